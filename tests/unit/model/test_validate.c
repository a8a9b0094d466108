#include "test.h"

#include <errno.h>
#include <float.h>

#include "base/time.h"
#include "model/fields.h"
#include "model/validate.h"

static struct record some_sample(void)
{
    struct record r;
    record_clear(&r, RECORD_SAMPLE);
    r.sample.ts = 100 * NS_PER_S;
    r.sample.gpu.host = STR("h");
    return r;
}

static struct record some_usage(void)
{
    struct record r;
    record_clear(&r, RECORD_USAGE);
    r.usage.ts = 100 * NS_PER_S;
    r.usage.model = STR("m");
    return r;
}

static void assert_good(const struct record *r)
{
    struct error err = {0};
    assert_ok(record_check(r, &err), &err);
}

static void assert_bad(const struct record *r, const char *message)
{
    struct error err = {0};
    assert_i64(record_check(r, &err), -EINVAL);
    assert_str(str_of(err.msg), message);
    assert_i64(record_check(r, NULL), -EINVAL);
}

static void test_sample(void **state)
{
    (void)state;
    struct record r = some_sample();
    struct gpu_sample *s = &r.sample;
    assert_good(&r);
    s->has = SAMPLE_UTILIZATION | SAMPLE_POWER;
    s->utilization = 1;
    s->power_w = DBL_MAX;
    assert_good(&r);
    s->utilization = 1.5;
    assert_bad(&r, "utilization: is over 1 (1.5)");
    s->utilization = (double)NAN;
    assert_bad(&r, "utilization: is not finite");
    s->has = SAMPLE_POWER; // what is absent is not looked at
    assert_good(&r);
    s->power_w = (double)INFINITY;
    assert_bad(&r, "power_w: is not finite");
    s->power_w = -0.25;
    assert_bad(&r, "power_w: is negative (-0.25)");
    s->has = SAMPLE_PRICE | SAMPLE_ENERGY;
    s->price_nusd_hour = -1500000000;
    assert_bad(&r, "price_per_hour_usd: is negative (-1.5)");
    s->price_nusd_hour = RECORD_PRICE_MAX + 1;
    assert_bad(&r, "price_per_hour_usd: is over 1000000 (1000000.000000001)");
    s->price_nusd_hour = RECORD_PRICE_MAX;
    s->energy_mj = -1;
    assert_bad(&r, "energy_mj: is negative (-1)");
}

static void test_gpu(void **state)
{
    (void)state;
    struct record r = some_sample();
    r.sample.gpu.index = -1;
    assert_bad(&r, "gpu_index: is negative (-1)");
    r.sample.gpu.index = RECORD_GPU_INDEX_MAX + 1;
    assert_bad(&r, "gpu_index: is over 65535 (65536)");
    r.sample.gpu.index = 0;
    r.sample.gpu.instance = -2;
    assert_bad(&r, "gpu_instance: is negative (-2)");
    r.sample.gpu.instance = RECORD_GPU_INSTANCE_MAX;
    assert_good(&r);
}

static void test_texts(void **state)
{
    (void)state;
    static const char long_text[RECORD_TEXT_MAX + 1] = {[0 ... RECORD_TEXT_MAX] = 'x'};
    struct record r = some_sample();
    r.sample.gpu.host = STR_NONE;
    assert_bad(&r, "host: missing");
    r.sample.gpu.host = STR("");
    assert_bad(&r, "host: is empty");
    r.sample.gpu.host = (struct str){long_text, RECORD_TEXT_MAX};
    assert_good(&r);
    r.sample.gpu.host = (struct str){long_text, RECORD_TEXT_MAX + 1};
    assert_bad(&r, "host: is longer than 512 bytes (513)");
    r.sample.gpu.host = STR("a\0b");
    assert_bad(&r, "host: has a NUL character");
    r.sample.gpu.host = STR("h");
    r.sample.site = STR("");
    assert_good(&r);
    r.event_id = STR("");
    assert_bad(&r, "event_id: is empty");
    struct record u = some_usage();
    u.usage.model = STR_NONE;
    assert_bad(&u, "model: missing");
}

static void test_times(void **state)
{
    (void)state;
    struct record r = some_sample();
    r.sample.ts = -1;
    assert_bad(&r, "ts: is before 1970");
    r.sample.ts = 0;
    assert_good(&r);
    r.sample.ts = TIME_MAX - 1;
    assert_good(&r);
    r.sample.ts = TIME_MAX;
    assert_bad(&r, "ts: is after 2199");
}

static void test_usage(void **state)
{
    (void)state;
    struct record r = some_usage();
    struct usage_record *u = &r.usage;
    assert_good(&r);
    u->prompt_tokens = RECORD_TOKENS_MAX + 1;
    assert_bad(&r, "prompt_tokens: is over 1000000000 (1000000001)");
    u->prompt_tokens = 10;
    u->completion_tokens = -1;
    assert_bad(&r, "completion_tokens: is negative (-1)");
    u->completion_tokens = 0;
    u->has = USAGE_CACHED;
    u->cached_prompt_tokens = 11;
    assert_bad(&r, "cached_prompt_tokens: is over prompt_tokens (11 > 10)");
    u->cached_prompt_tokens = 10;
    assert_good(&r);
    u->has = USAGE_TTFT | USAGE_REQUESTS;
    u->latency_ns = 1500000;
    u->ttft_ns = 1500001;
    assert_bad(&r, "ttft_ms: is over latency_ms (1.500001 > 1.5)");
    u->ttft_ns = 1500000;
    u->requests = -3;
    assert_bad(&r, "requests: is negative (-3)");
}

static void test_start(void **state)
{
    (void)state;
    struct record r = some_usage();
    r.usage.latency_ns = r.usage.ts;
    assert_good(&r);
    r.usage.latency_ns++;
    assert_bad(&r, "latency_ms: puts the start before 1970");
    r.usage.ts = 0;
    r.usage.latency_ns = 0; // counts as 1 ms
    assert_bad(&r, "latency_ms: puts the start before 1970");
    r.usage.latency_ns = RECORD_LATENCY_MAX + 1;
    assert_bad(&r, "latency_ms: is over 604800000 (604800000.000001)");
}

static void test_gpus(void **state)
{
    (void)state;
    static const int32_t gpus[] = {0, 3, 3, 1, -1, 65536};
    static int32_t many[RECORD_GPUS_MAX + 1];
    for (int32_t i = 0; i <= RECORD_GPUS_MAX; i++) {
        many[i] = i;
    }
    struct record r = some_usage();
    struct usage_record *u = &r.usage;
    u->gpus = gpus;
    u->n_gpus = 2;
    assert_good(&r);
    u->n_gpus = 3;
    assert_bad(&r, "gpu_indices: names a GPU twice (3)");
    u->gpus = gpus + 2;
    u->n_gpus = 2;
    assert_bad(&r, "gpu_indices: is not in order (1)");
    u->gpus = gpus + 4;
    assert_bad(&r, "gpu_indices: is negative (-1)");
    u->n_gpus = 1;
    assert_bad(&r, "gpu_index: is negative (-1)");
    u->gpus = gpus + 5;
    assert_bad(&r, "gpu_index: is over 65535 (65536)");
    u->gpus = many;
    u->n_gpus = RECORD_GPUS_MAX;
    assert_good(&r);
    u->n_gpus = RECORD_GPUS_MAX + 1;
    assert_bad(&r, "gpu_indices: names more than 128 GPUs (129)");
    u->n_gpus = 2;
    u->gpu_instance = 0;
    assert_bad(&r, "gpu_instance: is a slice of one GPU, but several are named");
    u->n_gpus = 0;
    assert_bad(&r, "gpu_instance: is a slice of one GPU, but none is named");
    u->n_gpus = 1;
    assert_good(&r);
}

static void test_now(void **state)
{
    (void)state;
    struct record r = some_sample();
    struct error err = {0};
    int64_t ts = r.sample.ts;
    assert_ok(record_check_now(&r, ts, &err), &err);
    assert_ok(record_check_now(&r, ts + 365 * NS_PER_DAY, &err), &err);
    assert_ok(record_check_now(&r, ts - RECORD_AHEAD_MAX, &err), &err);
    assert_i64(record_check_now(&r, ts - RECORD_AHEAD_MAX - 1, &err), -EINVAL);
    assert_str(str_of(err.msg), "ts: is more than 1h ahead of the clock (1h)");
    assert_i64(record_check_now(&r, ts - 5400 * NS_PER_S, &err), -EINVAL);
    assert_str(str_of(err.msg), "ts: is more than 1h ahead of the clock (1h30m)");
    struct record u = some_usage();
    assert_i64(record_check_now(&u, u.usage.ts - 2 * NS_PER_DAY, NULL), -EINVAL);
}

static void test_extra(void **state)
{
    (void)state;
    static char big[RECORD_BYTES_MAX + 1];
    struct record r = some_sample();
    r.extra = (struct str){big, RECORD_BYTES_MAX};
    assert_good(&r);
    r.extra.n++;
    assert_bad(&r, "unknown fields: are longer than 1048576 bytes (1048577)");
}

int main(void)
{
    return TEST_RUN(TEST(test_sample), TEST(test_gpu), TEST(test_texts), TEST(test_times),
                    TEST(test_usage), TEST(test_start), TEST(test_gpus), TEST(test_now),
                    TEST(test_extra));
}
