#include "test.h"

#include "base/buf.h"
#include "model/fields.h"

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

static void test_key_order(void **state)
{
    (void)state;
    const struct gpu_key ascending[] = {
        {STR("a"), 9, 9},
        {STR("aa"), 0, GPU_INSTANCE_NONE},
        {STR("b"), 0, GPU_INSTANCE_NONE},
        {STR("b"), 0, 0},
        {STR("b"), 0, 1},
        {STR("b"), 2, GPU_INSTANCE_NONE},
        {STR("b"), 10, 0},
    };
    for (int i = 0; i < (int)ARRAY_LEN(ascending); i++) {
        for (int k = 0; k < (int)ARRAY_LEN(ascending); k++) {
            assert_i64(sign(gpu_key_cmp(&ascending[i], &ascending[k])), sign(i - k));
        }
    }
}

static void test_host(void **state)
{
    (void)state;
    struct record r;
    record_clear(&r, RECORD_USAGE);
    assert_str(record_host(&r), NULL);
    r.usage.host = STR("u");
    assert_str(record_host(&r), "u");
    record_clear(&r, RECORD_SAMPLE);
    r.sample.gpu.host = STR("s");
    assert_str(record_host(&r), "s");
}

static void test_shard(void **state)
{
    (void)state;
    unsigned count[12] = {0};
    for (unsigned i = 0; i < 12000; i++) {
        char host[32];
        int n = snprintf(host, sizeof(host), "gpu-%05u", i);
        uint32_t shard = record_shard((struct str){host, (size_t)n}, ARRAY_LEN(count));
        assert_true(shard < ARRAY_LEN(count));
        count[shard]++;
    }
    for (size_t i = 0; i < ARRAY_LEN(count); i++) {
        assert_in_range(count[i], 800, 1200);
    }
    assert_i64(record_shard(STR_NONE, 12), 0);
    assert_i64(record_shard(STR("gpu-01"), 1), 0);
}

static struct record some_sample(void)
{
    struct record r;
    record_clear(&r, RECORD_SAMPLE);
    r.sample.ts = 1795435200000000001;
    r.sample.gpu = (struct gpu_key){STR("gpu-01"), 3, GPU_INSTANCE_NONE};
    r.sample.has = SAMPLE_POWER | SAMPLE_PRICE;
    r.sample.power_w = 631.2;
    r.sample.price_nusd_hour = 2480000000;
    r.sample.name = STR("NVIDIA H100");
    return r;
}

static struct record some_usage(void)
{
    static const int32_t gpus[] = {1, 4};
    struct record r;
    record_clear(&r, RECORD_USAGE);
    r.usage.ts = 1795435200000000000;
    r.usage.model = STR("llama-3-70b");
    r.usage.host = STR("gpu-01");
    r.usage.latency_ns = 900000001;
    r.usage.prompt_tokens = 100;
    r.usage.completion_tokens = 50;
    r.usage.gpus = gpus;
    r.usage.n_gpus = 2;
    r.extra = STR("\"x\":1");
    return r;
}

// Digests and shards are stored. A change of these numbers is a change of the stores' format.
static void test_stored_values(void **state)
{
    (void)state;
    struct record sample = some_sample(), usage = some_usage();
    assert_i64((int64_t)record_digest(&sample), INT64_C(1242257999580910826));
    assert_i64((int64_t)record_digest(&usage), INT64_C(-1650401676065129317));
    assert_i64(record_shard(STR("gpu-01"), 1000), 209);
}

static void test_not_part_of_what_is_said(void **state)
{
    (void)state;
    struct record r = some_sample();
    uint64_t digest = record_digest(&r);
    r.event_id = STR("other");
    r.seq = 7;
    r.shard = 3;
    r.position = 12;
    r.digest = 1;
    assert_true(record_digest(&r) == digest);
    r.sample.energy_mj = 5; // absent all the same
    r.sample.utilization = 0.5;
    assert_true(record_digest(&r) == digest);
    r.sample.power_w = 0;
    digest = record_digest(&r);
    r.sample.power_w = -0.0;
    assert_true(record_digest(&r) == digest);
}

// The same bytes, said by other fields.
static void test_texts_do_not_run_together(void **state)
{
    (void)state;
    static const struct {
        const char *name, *uuid, *source;
    } rows[] = {
        {"ab", "c", NULL}, {"a", "bc", NULL},   {"abc", "", NULL},  {"abc", NULL, NULL},
        {"", "abc", NULL}, {NULL, "abc", NULL}, {NULL, "abc", ""},  {NULL, NULL, "abc"},
        {"ab", NULL, "c"}, {"a", "b", "c"},     {NULL, NULL, NULL}, {"", "", ""},
    };
    uint64_t digests[ARRAY_LEN(rows)];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct record r = some_sample();
        r.sample.name = str_of(rows[i].name);
        r.sample.uuid = str_of(rows[i].uuid);
        r.sample.source = str_of(rows[i].source);
        digests[i] = record_digest(&r);
        for (size_t k = 0; k < i; k++) {
            assert_true(digests[k] != digests[i]);
        }
    }
}

static void test_extra_counts_byte_for_byte(void **state)
{
    (void)state;
    struct record a = some_usage(), b = some_usage();
    b.extra = STR("\"x\":1.0");
    assert_true(record_digest(&a) != record_digest(&b));
    b.extra = STR_NONE;
    uint64_t none = record_digest(&b);
    assert_true(record_digest(&a) != none);
    b.extra = STR("");
    assert_true(record_digest(&b) == none);
}

static void test_kinds_differ(void **state)
{
    (void)state;
    struct record a, b;
    record_clear(&a, RECORD_SAMPLE);
    record_clear(&b, RECORD_USAGE);
    assert_true(record_digest(&a) != record_digest(&b));
}

// Tags are stored in digests: none may stand for two things.
static void test_tags(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_record_fields; i++) {
        const struct field *f = &record_fields[i];
        assert_int_equal(f->tag == 0, f->at[RECORD_SAMPLE] == offsetof(struct record, event_id));
        for (size_t k = 0; k < i; k++) {
            bool gpus = f->type == FIELD_GPUS && record_fields[k].type == FIELD_GPU;
            assert_int_equal(f->tag == record_fields[k].tag, gpus);
        }
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_key_order), TEST(test_host), TEST(test_shard),
                    TEST(test_stored_values), TEST(test_not_part_of_what_is_said),
                    TEST(test_texts_do_not_run_together), TEST(test_extra_counts_byte_for_byte),
                    TEST(test_kinds_differ), TEST(test_tags));
}
