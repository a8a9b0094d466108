#include "input/mig.h"

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

int main(void)
{
    return TEST_RUN(TEST(test_names_are_taken_apart), TEST(test_names_are_put_together),
                    TEST(test_a_pattern_for_gpus_matches_no_slice), TEST(test_shares));
}
