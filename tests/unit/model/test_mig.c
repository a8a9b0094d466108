#include "model/mig.h"

#include "test.h"

static void test_names_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *name, *gpu, *profile; // gpu NULL: no slice
        uint32_t slices;
    } rows[] = {
        {"NVIDIA H100 80GB HBM3 MIG 1g.10gb", "NVIDIA H100 80GB HBM3", "1g.10gb", 1},
        {"NVIDIA A100-SXM4-40GB MIG 3g.20gb", "NVIDIA A100-SXM4-40GB", "3g.20gb", 3},
        {"NVIDIA H100 80GB HBM3 MIG 1g.10gb+me", "NVIDIA H100 80GB HBM3", "1g.10gb+me", 1},
        {"NVIDIA H100 80GB HBM3 MIG 1c.3g.40gb", "NVIDIA H100 80GB HBM3", "3g.40gb", 3},
        {"X MIG 7g.80gb", "X", "7g.80gb", 7},
        {"X MIG strange", "X", "strange", 0},
        {"NVIDIA H100 80GB HBM3", NULL, NULL, 0},
        {"NVIDIA H100 MIG ", NULL, NULL, 0},
        {" MIG 1g.10gb", NULL, NULL, 0},
        {"", NULL, NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str gpu, profile;
        bool slice = mig_split(str_of(rows[i].name), &gpu, &profile);
        if (slice != (rows[i].gpu != NULL)) {
            fail_msg("%s: %d", rows[i].name, slice);
        }
        if (slice) {
            assert_str(gpu, rows[i].gpu);
            assert_str(profile, rows[i].profile);
            assert_i64(mig_profile_slices(profile), rows[i].slices);
        }
    }
    assert_i64(mig_profile_slices(STR_NONE), 0);
    assert_i64(mig_profile_slices(STR("999g.1gb")), 0);
}

static void test_names_are_put_together(void **state)
{
    (void)state;
    struct arena a = {0};
    assert_str(mig_name(&a, STR("3g.40gb"), STR("NVIDIA H100")), "MIG 3g.40gb of NVIDIA H100");
    assert_str(mig_name(&a, STR_NONE, STR("NVIDIA H100")), "MIG of NVIDIA H100");
    assert_str(mig_name(&a, STR("3g.40gb"), STR_NONE), "MIG 3g.40gb");
    // What nvidia-smi calls the slices of the H100 capture, from their memory.
    assert_str(mig_profile(&a, 3, 40448), "3g.40gb");
    assert_str(mig_profile(&a, 2, 20096), "2g.20gb");
    assert_str(mig_profile(&a, 1, 9984), "1g.10gb");
    assert_str(mig_profile(&a, 1, 10240), "1g.10gb");
    arena_done(&a);
}

// The price of a whole GPU is not that of a slice.
static void test_a_pattern_for_gpus_matches_no_slice(void **state)
{
    (void)state;
    struct arena a = {0};
    struct str name = mig_name(&a, STR("1g.10gb"), STR("NVIDIA H100 80GB HBM3"));
    assert_false(str_glob(STR("NVIDIA H100*"), name));
    assert_false(str_glob(STR("NVIDIA H100 80GB HBM3"), name));
    assert_true(str_glob(STR("MIG 1g.10gb of NVIDIA H100*"), name));
    arena_done(&a);
}

static void test_shares(void **state)
{
    (void)state;
    assert_i64(mig_share(2800000000, 3, 7), 1200000000);
    assert_i64(mig_share(10, 1, 7), 1); // 1.43
    assert_i64(mig_share(11, 1, 7), 2); // 1.57
    assert_i64(mig_share(7, 1, 2), 4);  // a half, up
    assert_i64(mig_share(5, 7, 7), 5);
    assert_i64(mig_share(0, 1, 7), 0);
    assert_i64(mig_share(INT64_MAX, 7, 7), INT64_MAX);
}

static void test_how_often_a_gpu_can_be_cut(void **state)
{
    (void)state;
    static const struct {
        const char *gpu;
        uint32_t slices;
    } rows[] = {
        {"NVIDIA A100-SXM4-80GB", 7},
        {"NVIDIA A800-SXM4-80GB", 7},
        {"NVIDIA H100 80GB HBM3", 7},
        {"NVIDIA H200", 7},
        {"NVIDIA H20", 7},
        {"NVIDIA GH200 480GB", 7},
        {"NVIDIA B200", 7},
        {"NVIDIA GB300", 7},
        {"NVIDIA A30", 4},
        {"NVIDIA A30X", 4},
        {"NVIDIA RTX A3000", 0},
        {"NVIDIA RTX PRO 6000 Blackwell Server Edition", 4},
        {"NVIDIA RTX PRO 5000 Blackwell", 2},
        {"NVIDIA L40S", 0},
        {"", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (mig_gpu_slices(str_of(rows[i].gpu)) != rows[i].slices) {
            fail_msg("%s: %u", rows[i].gpu, mig_gpu_slices(str_of(rows[i].gpu)));
        }
    }
    assert_i64(mig_gpu_slices(STR_NONE), 0);
}

// Every source's own way to say that something is a slice, and what its price goes by.
static void test_names_that_prices_go_by(void **state)
{
    (void)state;
    static const struct {
        const char *name, *profile;
        int32_t instance;
        const char *want; // NULL: none
        uint32_t slices, of;
    } rows[] = {
        // nvml: and nvidia-smi:
        {"MIG 3g.40gb of NVIDIA H100 80GB HBM3", "3g.40gb", 2,
         "MIG 3g.40gb of NVIDIA H100 80GB HBM3", 3, 7},
        // dcgm: names the GPU
        {"NVIDIA A800-SXM4-80GB", "1g.10gb", 7, "MIG 1g.10gb of NVIDIA A800-SXM4-80GB", 1, 7},
        {"NVIDIA A30", "2g.12gb", 1, "MIG 2g.12gb of NVIDIA A30", 2, 4},
        {"NVIDIA H100 80GB HBM3", "1c.3g.40gb", 1, "MIG 3g.40gb of NVIDIA H100 80GB HBM3", 3, 7},
        // the driver's own name, from whoever passes it on
        {"NVIDIA H100 80GB HBM3 MIG 1g.10gb", NULL, -1, "MIG 1g.10gb of NVIDIA H100 80GB HBM3", 1,
         7},
        {"NVIDIA H100", "1g.10gb", -1, "MIG 1g.10gb of NVIDIA H100", 1, 7},
        {"NVIDIA H100", NULL, 0, "MIG of NVIDIA H100", 0, 0},
        {"NVIDIA A30", "7g.80gb", 0, "MIG 7g.80gb of NVIDIA A30", 0, 0}, // more than it has
        {"NVIDIA R100", "1g.36gb", 0, "MIG 1g.36gb of NVIDIA R100", 0, 0},
        {NULL, "1g.10gb", 0, "MIG 1g.10gb", 0, 0},
        {NULL, NULL, 5, "MIG", 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char room[MIG_NAME_MAX];
        const struct gpu_sample s = {.gpu = {.instance = rows[i].instance},
                                     .name = str_of(rows[i].name),
                                     .mig_profile = str_of(rows[i].profile)};
        struct mig_slice slice;
        struct str name = mig_sample_name(&s, room);
        assert_str(name, rows[i].want);
        assert_true(mig_slice_of(name, &slice));
        assert_i64(slice.slices, rows[i].slices);
        assert_i64(slice.of, rows[i].of);
    }
}

static void test_whole_gpus_keep_their_names(void **state)
{
    (void)state;
    static const char *const names[] = {"NVIDIA H100 80GB HBM3", "MIGHTY X1", "X MIG ", ""};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char room[MIG_NAME_MAX];
        const struct gpu_sample s = {.gpu = {.instance = GPU_INSTANCE_NONE},
                                     .name = str_of(names[i])};
        struct mig_slice slice;
        assert_str(mig_sample_name(&s, room), names[i]);
        assert_false(mig_slice_of(s.name, &slice));
    }
}

// Texts of their greatest length fit the room.
static void test_long_names(void **state)
{
    (void)state;
    char text[RECORD_TEXT_MAX], room[MIG_NAME_MAX];
    memset(text, 'x', sizeof(text));
    const struct gpu_sample s = {
        .gpu = {.instance = 0}, .name = {text, sizeof(text)}, .mig_profile = {text, sizeof(text)}};
    struct str name = mig_sample_name(&s, room);
    struct mig_slice slice;
    assert_i64(name.n, 8 + 2 * RECORD_TEXT_MAX);
    assert_true(mig_slice_of(name, &slice));
    assert_i64(slice.gpu.n, RECORD_TEXT_MAX);
    assert_i64(slice.of, 0);
}

int main(void)
{
    return TEST_RUN(TEST(test_names_are_taken_apart), TEST(test_names_are_put_together),
                    TEST(test_a_pattern_for_gpus_matches_no_slice), TEST(test_shares),
                    TEST(test_how_often_a_gpu_can_be_cut), TEST(test_names_that_prices_go_by),
                    TEST(test_whole_gpus_keep_their_names), TEST(test_long_names));
}
