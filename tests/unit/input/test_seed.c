#include <errno.h>
#include <stdlib.h>

#include "harness.h"
#include "input/inventory.h"
#include "model/validate.h"

static struct harness h;

static int setup(void **state)
{
    (void)state;
    harness_init(&h);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harness_done(&h);
    return 0;
}

// The shape of the mission's gpu_seed.json: no ts, no host, one index twice.
#define MISSION                                                                                    \
    "[\n  {\"gpu_index\": 0, \"name\": \"NVIDIA GeForce RTX 3090\", \"utilization\": 0.42,\n"      \
    "   \"mem_used_mb\": 8192, \"mem_total_mb\": 24576, \"power_w\": 210.5,\n"                     \
    "   \"price_per_hour_usd\": 0.85},\n"                                                          \
    "  {\"gpu_index\": 0, \"name\": \"NVIDIA A100-SXM4-40GB\", \"utilization\": 0.0,\n"            \
    "   \"mem_used_mb\": 0, \"mem_total_mb\": 40960, \"power_w\": 50,\n"                           \
    "   \"price_per_hour_usd\": 3.2}\n]\n"

static void read_seed(struct buf *notes, const char *json, const char *options)
{
    harness_write(&h, "gpu_seed.json", str_of(json));
    harness_read_all(&h, notes, harness_uri(&h, "seed", "gpu_seed.json", options));
}

static void test_the_missions_shape(void **state)
{
    (void)state;
    struct buf got;
    static const char *const vars[] = {"HOSTNAME", "vm4", NULL};
    harness_set_vars(&h, vars);
    read_seed(&got, MISSION, "?duration=10s");
    assert_int_equal(harness_count(&got, "\"host\":\"vm4\""), 20);
    assert_int_equal(harness_count(&got, "\"gpu_index\":0"), 10);
    assert_int_equal(harness_count(&got, "\"gpu_index\":1"), 10); // the next free one
    assert_int_equal(harness_count(&got, "\"price_per_hour_usd\":0.85"), 10);
    assert_int_equal(harness_count(&got, "\"price_per_hour_usd\":3.2"), 10);
    assert_int_equal(harness_count(&got, "\"mem_used_mb\":8192"), 10);
    assert_int_equal(harness_count(&got, "\"utilization\":0,"), 10); // idle stays idle
    assert_int_equal(harness_count(&got, "temperature"), 0);         // absent stays absent
    buf_done(&got);
}

static void test_shapes(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        uint32_t n;
        const char *key; // of the last: "host/index/instance"
    } cases[] = {
        {"[{\"power_w\":1}]", 1, "h/0/-1"},
        {"[{\"power_w\":1},{\"power_w\":2}]", 2, "h/1/-1"},
        {" { \"about\" : [1], \"gpus\" : [ {\"power_w\":1} ] } ", 1, "h/0/-1"},
        {"[{\"host\":\"a\",\"power_w\":1},{\"host\":\"b\",\"gpu_index\":5,\"power_w\":1}]", 2,
         "b/5/-1"},
        {"[{\"ts\":\"never\",\"event_id\":7,\"host\":null,\"name\":null,\"power_w\":1}]", 1,
         "h/0/-1"},
        {"[{\"gpu_index\":3,\"gpu_instance\":7,\"power_w\":1,\"mig_profile\":\"1g.10gb\"}]", 1,
         "h/3/7"},
        {"[{\"gpu_index\":0,\"gpu_instance\":1,\"power_w\":1},"
         "{\"gpu_index\":0,\"gpu_instance\":2,\"power_w\":1}]",
         2, "h/0/2"},
        {inventory_built_in, 2, "h/1/-1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct inventory inv;
        struct error err = {0};
        char key[64];
        assert_ok(inventory_parse(&h.arena, str_of(cases[i].json), STR("h"), &inv, &err), &err);
        assert_int_equal(inv.n, cases[i].n);
        const struct gpu_key *k = &inv.gpus[inv.n - 1].gpu;
        snprintf(key, sizeof(key), STR_FMT "/%d/%d", STR_ARG(k->host), k->index, k->instance);
        assert_string_equal(key, cases[i].key);
    }
}

static void test_bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *json, *says;
    } cases[] = {
        {"", "not a JSON array"},
        {"{}", "not a JSON array"},
        {"{\"gpus\":1}", "not a JSON array"},
        {"{\"gpus\":[{\"power_w\":1}]", "not a JSON array"},
        {"[]", "no GPU in it"},
        {"[{\"power_w\":1}", "not JSON behind GPU 1"},
        {"[{\"power_w\":1}] x", "not JSON behind GPU 1"},
        {"[{\"power_w\":1},3]", "GPU 2: not an object"},
        {"[{\"power_w\":1},{\"power_w\":-3}]", "GPU 2: power_w"},
        {"[{\"power_w\":\"much\"}]", "GPU 1: power_w"},
        {"[{\"utilization\":85}]", "GPU 1: utilization"},
        {"[{\"power_w\":1,\"power_w\":2}]", "GPU 1: "},
        {"[{}]", "GPU 1: "},
        {"[{\"model\":\"m\",\"prompt_tokens\":1,\"completion_tokens\":1,\"latency_ms\":1}]",
         "GPU 1: "},
        {"[{\"power_w\":1]", "bad.json': not JSON"},
        {"{\"gpus\":[{\"power_w\":1}],\"gpus\":[{\"power_w\":2}]}", "gpus: given twice"},
        {"{\"gpus\":3,\"gpus\":[{\"power_w\":2}]}", "gpus: given twice"},
        {"[{\"gpu_index\":65535,\"power_w\":1},{\"gpu_index\":65535,\"power_w\":1}]",
         "GPU 2: gpu_index: 65535 is taken, and so is every one above"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct input *in = NULL;
        struct error err = {0};
        harness_write(&h, "bad.json", str_of(cases[i].json));
        const char *uri = harness_uri(&h, "seed", "bad.json", "");
        assert_int_equal(harness_try(&h, uri, &in, &err), -EINVAL);
        if (strstr(err.msg, cases[i].says) == NULL || strstr(err.msg, "bad.json") == NULL) {
            fail_msg("%s: %s", cases[i].json, err.msg);
        }
    }
}

static void test_where_the_file_comes_from(void **state)
{
    (void)state;
    struct buf got;
    harness_read_all(&h, &got, "seed:?duration=3s");
    assert_int_equal(harness_count(&got, "RTX 3090"), 3);
    buf_done(&got);
    harness_write(&h, "own.json", STR("[{\"name\":\"own\",\"power_w\":5}]"));
    const char *const vars[] = {"GPU_SEED", harness_path(&h, "own.json"), NULL};
    harness_set_vars(&h, vars);
    harness_read_all(&h, &got, "seed:?duration=3s");
    assert_int_equal(harness_count(&got, "\"name\":\"own\""), 3);
    buf_done(&got);
    const char *const gone[] = {"GPU_SEED", "/no/such/seed.json", NULL};
    struct input *in = NULL;
    struct error err = {0};
    harness_set_vars(&h, gone);
    assert_int_equal(harness_try(&h, "seed:", &in, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "/no/such/seed.json"));
}

static void test_the_same_each_time(void **state)
{
    (void)state;
    struct buf first, again, other;
    read_seed(&first, MISSION, "?duration=1m");
    read_seed(&again, MISSION, "?duration=1m");
    read_seed(&other, MISSION, "?duration=1m&seed=2");
    assert_true(str_eq(buf_view(&first), buf_view(&again)));
    assert_false(str_eq(buf_view(&first), buf_view(&other)));
    buf_done(&first);
    buf_done(&again);
    buf_done(&other);
    harness_check_resume(&h, harness_uri(&h, "seed", "gpu_seed.json", "?duration=20s"), 1);
}

static void test_values_stay_in_range(void **state)
{
    (void)state;
    struct batch b;
    batch_init(&b);
    harness_write(&h, "full.json",
                  STR("[{\"utilization\":1,\"power_w\":700,\"energy_mj\":1000},"
                      "{\"utilization\":0.01,\"power_w\":0,\"temperature_c\":0}]"));
    struct input *in =
        harness_open(&h, "%s", harness_uri(&h, "seed", "full.json", "?duration=10m&every=500ms"));
    int64_t energy = 1000, n = 0, last = 0;
    double busy = 0;
    for (int r = INPUT_MORE; r == INPUT_MORE;) {
        batch_clear(&b);
        r = input_next(in, &b, NULL);
        for (size_t i = 0; i < b.n_records; i++, n++) {
            const struct gpu_sample *g = &b.records[i].sample;
            assert_true(g->utilization >= 0 && g->utilization <= 1);
            assert_true(g->power_w >= 0 && g->temperature_c >= 0);
            assert_true(g->ts > last);
            last = g->ts;
            if (g->gpu.index == 0) {
                assert_true(g->energy_mj > energy);
                energy = g->energy_mj;
                busy += g->utilization;
            }
        }
    }
    assert_i64(n, 2 * 2 * 600);
    assert_i64(input_info(in)->total, n);
    assert_near((double)energy, 1000 + 700.0 * 600 * 1000, 700 * 1000);
    assert_true(busy / 1200 > 0.95 && busy / 1200 < 1);
    input_close(in);
    batch_done(&b);
}

// What the wobble makes of numbers that no GPU shows is still a record, and near them.
static void test_values_that_are_out_of_this_world(void **state)
{
    (void)state;
    struct batch b;
    struct error why;
    batch_init(&b);
    harness_write(&h, "huge.json",
                  STR("[{\"power_w\":1e300,\"energy_mj\":9223372036854775807},"
                      "{\"power_w\":1.7976931348623157e308,\"energy_mj\":5},"
                      "{\"temperature_c\":1e300},{\"power_w\":9007199254740993}]"));
    struct input *in = harness_open(&h, "%s", harness_uri(&h, "seed", "huge.json", "?duration=1m"));
    assert_int_equal(input_next(in, &b, NULL), INPUT_END);
    assert_int_equal(b.n_records, 4 * 60);
    for (size_t i = 0; i < b.n_records; i++) {
        const struct gpu_sample *g = &b.records[i].sample;
        assert_ok(record_check(&b.records[i], &why), &why);
        assert_true(g->gpu.index != 0 || (g->power_w > 9e299 && g->energy_mj == INT64_MAX));
        assert_true(g->gpu.index != 1 || (g->power_w > 1e308 && g->energy_mj == INT64_MAX));
        assert_true(g->gpu.index != 2 || g->temperature_c > 9e299);
        assert_true(g->gpu.index != 3 || (g->power_w > 8e15 && g->power_w < 1e16));
    }
    input_close(in);
    batch_done(&b);
}

static void test_many_gpus_of_one_index(void **state)
{
    (void)state;
    struct buf json;
    struct inventory inv;
    struct error err = {0};
    buf_init(&json, INVENTORY_BYTES_MAX);
    for (int i = 0; i < INVENTORY_GPUS_MAX; i++) {
        buf_cstr(&json,
                 i ? ",{\"gpu_index\":7,\"power_w\":1}" : "[{\"gpu_index\":7,\"power_w\":1}");
    }
    buf_char(&json, ']');
    assert_ok(inventory_parse(&h.arena, buf_view(&json), STR("h"), &inv, &err), &err);
    assert_int_equal(inv.n, INVENTORY_GPUS_MAX);
    for (uint32_t i = 0; i < inv.n; i++) {
        assert_int_equal(inv.gpus[i].gpu.index, 7 + i);
    }
    buf_done(&json);
}

static void test_live(void **state)
{
    (void)state;
    struct batch b;
    batch_init(&b);
    struct input *in = harness_open(&h, "seed:");
    assert_false(input_info(in)->finite);
    size_t n = 0;
    for (int second = 0; second <= 30; second++) {
        batch_clear(&b);
        assert_int_equal(input_next(in, &b, NULL), INPUT_MORE);
        for (size_t i = 0; i < b.n_records; i++) {
            assert_true(b.records[i].sample.ts <= h.clock.wall);
        }
        n += b.n_records;
        harness_advance(&h, NS_PER_S);
    }
    assert_in_range(n, 58, 61);
    input_close(in);
    batch_done(&b);
}

// Behind the first sample a round comes as one batch, though its samples are taken one after the
// other: eight times fewer messages and commits for eight GPUs.
static void test_rounds(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        int64_t every;
    } rows[] = {{"seed:", NS_PER_S}, {"seed:?every=10s", NS_PER_S}, {"seed:?every=50ms", 0}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct batch b;
        batch_init(&b);
        struct input *in = harness_open(&h, "%s", rows[i].uri);
        int64_t last = INT64_MIN;
        size_t rounds = 0;
        for (int tenth = 0; tenth < 400; tenth++) {
            batch_clear(&b);
            assert_int_equal(input_next(in, &b, NULL), INPUT_MORE);
            if (b.n_records > 0) {
                assert_true(last == INT64_MIN || h.clock.mono - last >= rows[i].every);
                last = h.clock.mono;
                rounds++;
            }
            harness_advance(&h, 100 * NS_PER_MS);
        }
        assert_in_range(rounds, 8, 400);
        input_close(in);
        batch_done(&b);
    }
}

#define SEED_TEST(f) TEST_WITH(f, setup, teardown)

int main(void)
{
    return TEST_RUN(
        SEED_TEST(test_the_missions_shape), SEED_TEST(test_shapes), SEED_TEST(test_bad_files),
        SEED_TEST(test_where_the_file_comes_from), SEED_TEST(test_the_same_each_time),
        SEED_TEST(test_values_stay_in_range), SEED_TEST(test_values_that_are_out_of_this_world),
        SEED_TEST(test_many_gpus_of_one_index), SEED_TEST(test_live), SEED_TEST(test_rounds));
}
