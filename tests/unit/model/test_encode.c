#include "test.h"

#include "base/time.h"
#include "decoding.h"
#include "model/encode.h"
#include "model/fields.h"

static void assert_encoded(const struct record *r, const char *want)
{
    struct buf b;
    buf_init(&b, RECORD_BYTES_MAX);
    record_encode(&b, r);
    assert_true(buf_ok(&b));
    assert_str(buf_view(&b), want);
    buf_done(&b);
}

static void test_sample(void **state)
{
    (void)state;
    struct record r;
    record_clear(&r, RECORD_SAMPLE);
    r.sample.ts = 1795435200 * NS_PER_S;
    r.sample.gpu.host = STR("gpu-01");
    assert_encoded(&r, "{\"ts\":\"2026-11-23T12:00:00Z\",\"host\":\"gpu-01\",\"gpu_index\":0}");
    r.sample.has = SAMPLE_PRICE | SAMPLE_UTILIZATION;
    r.sample.price_nusd_hour = 2950000000;
    r.sample.utilization = -0.0;
    r.sample.name = STR("a \"name\"");
    assert_encoded(&r,
                   "{\"ts\":\"2026-11-23T12:00:00Z\",\"host\":\"gpu-01\",\"gpu_index\":0,"
                   "\"name\":\"a \\\"name\\\"\",\"utilization\":0,\"price_per_hour_usd\":2.95}");
}

static struct record usage(void)
{
    static const int32_t gpus[] = {0, 7};
    struct record r;
    record_clear(&r, RECORD_USAGE);
    r.usage.ts = NS_PER_S / 2;
    r.usage.model = STR("m");
    r.usage.latency_ns = 1;
    r.usage.gpus = gpus;
    r.usage.n_gpus = ARRAY_LEN(gpus);
    r.event_id = STR("e");
    r.extra = STR("\"x\":1");
    return r;
}

#define USAGE_START                                                                                \
    "{\"ts\":\"1970-01-01T00:00:00.500Z\",\"gpu_indices\":[0,7],\"model\":\"m\","                  \
    "\"prompt_tokens\":0,\"completion_tokens\":0,\"latency_ms\":0.000001"

static void test_usage(void **state)
{
    (void)state;
    struct record r = usage();
    assert_encoded(&r, USAGE_START ",\"event_id\":\"e\",\"x\":1}");
    r.event_id = STR_NONE;
    r.extra = STR_NONE;
    assert_encoded(&r, USAGE_START "}");
}

static void test_open(void **state)
{
    (void)state;
    struct record r = usage();
    struct buf b;
    buf_init(&b, RECORD_BYTES_MAX);
    record_encode_open(&b, &r, false);
    assert_str(buf_view(&b), USAGE_START ",\"event_id\":\"e\",\"x\":1");
    buf_clear(&b);
    record_encode_open(&b, &r, true);
    assert_str(buf_view(&b), USAGE_START ",\"event_id\":\"e\"");
    buf_done(&b);
}

// A buffer that is too small says so, and is not written past its end.
static void test_no_room(void **state)
{
    (void)state;
    struct record r = usage();
    for (size_t limit = 0; limit < 100; limit++) {
        struct buf b;
        buf_init(&b, limit);
        record_encode(&b, &r);
        assert_false(buf_ok(&b));
        assert_true(b.n <= limit);
        buf_done(&b);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_sample), TEST(test_usage), TEST(test_open), TEST(test_no_room));
}
