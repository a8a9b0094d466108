#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"
#include "harness.h"

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

struct totals {
    double usages, samples, dead, prompt, output, busy, busy_ns;
    int64_t last_ts;
};

static void add(struct totals *t, const struct batch *b)
{
    for (size_t i = 0; i < b->n_records; i++) {
        const struct record *r = &b->records[i];
        assert_true(record_ts(r) >= t->last_ts);
        t->last_ts = record_ts(r);
        if (r->kind == RECORD_SAMPLE) {
            t->samples++;
            t->busy += r->sample.utilization;
        } else {
            t->usages++;
            t->prompt += (double)r->usage.prompt_tokens;
            t->output += (double)r->usage.completion_tokens;
        }
    }
    t->dead += (double)b->n_dead;
}

static struct totals total_of(const char *uri)
{
    struct totals t = {0};
    struct error err = {0};
    struct batch b;
    batch_init(&b);
    struct input *in = harness_open(&h, "%s", uri);
    int r = INPUT_MORE;
    while (r == INPUT_MORE) {
        batch_clear(&b);
        r = input_next(in, &b, &err);
        add(&t, &b);
    }
    assert_ok(r, &err);
    input_close(in);
    batch_done(&b);
    return t;
}

static void test_looks_like_a_cluster(void **state)
{
    (void)state;
    static const char *const uris[] = {
        "synthetic:?duration=15m",
        "synthetic:?duration=15m&seed=2",
        "synthetic:?duration=15m&seed=3",
        "synthetic:?duration=1h&gpus=32&tenants=12",
    };
    for (size_t i = 0; i < ARRAY_LEN(uris); i++) {
        struct totals t = total_of(uris[i]);
        double gpu_seconds = t.samples, dollars = gpu_seconds / 3600 * 2.5;
        double per_mtok = dollars / ((t.prompt + t.output) / 1e6);
        assert_true(t.busy / t.samples > 0.4 && t.busy / t.samples < 0.85);
        assert_true(per_mtok > 0.1 && per_mtok < 3);
        assert_true(t.prompt / t.output > 3 && t.prompt / t.output < 20);
        assert_true(t.usages > 500);
        assert_true(t.dead == 0);
    }
}

static void test_the_seed_decides(void **state)
{
    (void)state;
    struct buf a, b, c;
    harness_read_all(&h, &a, "synthetic:?duration=1m");
    harness_read_all(&h, &b, "synthetic:?duration=1m");
    harness_read_all(&h, &c, "synthetic:?duration=1m&seed=9");
    assert_true(str_eq(buf_view(&a), buf_view(&b)));
    assert_false(str_eq(buf_view(&a), buf_view(&c)));
    assert_true(str_starts(buf_view(&a), STR("1 synthetic#")));
    buf_done(&a);
    buf_done(&b);
    buf_done(&c);
}

// What was made up once is made up everywhere and for ever: ids in stores depend on it. A change
// that means to change it changes this number.
static void test_every_machine_makes_up_the_same(void **state)
{
    (void)state;
    uint64_t hash = 0;
    struct batch b;
    batch_init(&b);
    struct input *in = harness_open(&h, "synthetic:?duration=10m&gpus=12&tenants=9&price=2.5");
    for (int r = INPUT_MORE; r == INPUT_MORE;) {
        batch_clear(&b);
        r = input_next(in, &b, NULL);
        for (size_t i = 0; i < b.n_records; i++) {
            const struct record *record = &b.records[i];
            const struct usage_record *u = &record->usage;
            const struct gpu_sample *g = &record->sample;
            int64_t parts[] = {(int64_t)hash, record_ts(record), 0, 0, 0};
            if (record->kind == RECORD_USAGE) {
                parts[2] = u->prompt_tokens;
                parts[3] = u->completion_tokens;
                parts[4] = u->latency_ns * 3 + u->ttft_ns;
            } else {
                parts[2] = g->energy_mj;
                parts[3] = (int64_t)(g->utilization * 1000 + 0.5);
                parts[4] = (int64_t)(g->power_w * 1000 + 0.5);
            }
            hash = hash_bytes(parts, sizeof(parts), 0);
        }
    }
    assert_true(b.position > 8000);
    assert_i64((int64_t)hash, INT64_C(6325260067354212127));
    input_close(in);
    batch_done(&b);
}

static void test_models_and_tenants(void **state)
{
    (void)state;
    struct buf got;
    harness_read_all(&h, &got,
                     "synthetic:?duration=10m&gpus=4&hosts=2&tp=2&models=llama-3-70b:1,phi-4-14b:3"
                     "&tenants=blue:3,red&price=2.5&rate=5");
    int big = harness_count(&got, "\"model\":\"llama-3-70b\"");
    int small = harness_count(&got, "\"model\":\"phi-4-14b\"");
    int blue = harness_count(&got, "\"tenant\":\"blue\""), red = harness_count(&got, "\"red\"");
    assert_near(big + small, 3000, 200);
    assert_int_equal(blue + red, big + small);
    assert_near((double)small / big, 3, 0.5);
    assert_near((double)blue / red, 3, 0.5);
    assert_int_equal(harness_count(&got, "\"gpu_indices\":[0,1]"), big);
    assert_int_equal(harness_count(&got, "\"price_per_hour_usd\":2.5"),
                     harness_count(&got, "\"utilization\""));
    buf_done(&got);
}

static void test_the_rate_is_kept(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        const char *vars[7];
        double rate;
    } cases[] = {
        {"synthetic:?duration=2m&rate=0.5", {NULL}, 0.5},
        {"synthetic:?duration=2m&rate=20", {NULL}, 20},
        {"synthetic:?duration=2m&rate=500", {NULL}, 500}, // texts get shorter, requests stay
        {"synthetic:?duration=2m&batch=20&sleep=500ms", {NULL}, 40},
        {"synthetic:?duration=2m", {"RATE", "30", NULL}, 30},
        {"synthetic:?duration=2m", {"BATCH", "20", "SLEEP_SEC", "0.5", NULL}, 40},
        {"synthetic:?duration=2m&rate=10", {"RATE", "30", "BATCH", "20", NULL}, 10},
        {"synthetic:?duration=2m", {"RATE", "30", "SLEEP_SEC", "0", NULL}, 30},
        {"synthetic:?duration=2m&sleep=0&batch=7&rate=30", {NULL}, 30},
        {"synthetic:?duration=2m&rate=300&gpus=1", {NULL}, 300},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        harness_set_vars(&h, cases[i].vars);
        double want = cases[i].rate * 120, got = total_of(cases[i].uri).usages;
        assert_near(got, want, want * 0.05 + 20);
    }
}

static void test_resume(void **state)
{
    (void)state;
    harness_check_resume(&h, "synthetic:?duration=20s&gpus=3&rate=3", 7);
}

static void test_live(void **state)
{
    (void)state;
    struct totals t = {0};
    struct batch b;
    batch_init(&b);
    struct input *in = harness_open(&h, "synthetic:?rate=50");
    assert_false(input_info(in)->finite);
    for (int second = 0; second <= 60; second++) {
        do {
            batch_clear(&b);
            assert_int_equal(input_next(in, &b, NULL), INPUT_MORE);
            add(&t, &b);
            assert_true(t.last_ts <= h.clock.wall);
        } while (b.n_records > 0);
        harness_advance(&h, NS_PER_S);
    }
    assert_near(t.samples, 60 * 8, 9);
    assert_near(t.usages, 60 * 50, 300);
    assert_true(t.dead == 0);
    input_close(in);
    batch_done(&b);
}

static void test_deliveries_are_sleep_apart(void **state)
{
    (void)state;
    struct batch b;
    batch_init(&b);
    struct input *in = harness_open(&h, "synthetic:?batch=20&sleep=2s");
    int deliveries = 0;
    for (int tenth = 0; tenth < 200; tenth++) {
        batch_clear(&b);
        assert_int_equal(input_next(in, &b, NULL), INPUT_MORE);
        deliveries += b.n_records > 0;
        harness_advance(&h, NS_PER_S / 10);
    }
    assert_in_range(deliveries, 9, 11);
    input_close(in);
    batch_done(&b);
}

static void test_live_hosts_are_this_one(void **state)
{
    (void)state;
    static const char *const vars[] = {"HOSTNAME", "producers-7f9c", NULL};
    struct buf got;
    struct error err = {0};
    buf_init(&got, 1 << 20);
    harness_set_vars(&h, vars);
    struct input *in = harness_open(&h, "synthetic:");
    harness_advance(&h, 5 * NS_PER_S);
    assert_int_equal(harness_drain(in, &got, &err), INPUT_MORE); // the clock of the pace starts
    harness_advance(&h, 5 * NS_PER_S);
    assert_int_equal(harness_drain(in, &got, &err), INPUT_MORE);
    assert_true(harness_count(&got, "\"host\":\"producers-7f9c-01\"") >= 8);
    assert_int_equal(harness_count(&got, "\"host\":\"gpu-01\""), 0);
    input_close(in);
    buf_done(&got);
    // A finite one is the same everywhere.
    harness_read_all(&h, &got, "synthetic:?duration=2s");
    assert_int_equal(harness_count(&got, "producers"), 0);
    buf_done(&got);
}

static void test_small_clusters(void **state)
{
    (void)state;
    assert_true(total_of("synthetic:?duration=1m&gpus=1").usages > 0);
    assert_true(total_of("synthetic:?duration=1m&gpus=1&gpu=l4&rate=1").usages > 20);
    assert_true(total_of("synthetic:?duration=1m&gpus=9&hosts=4&rate=1").usages > 20);
    assert_true(total_of("synthetic:?duration=1m&gpu=l40s&models=qwen3-30b&rate=1").usages > 20);
}

static void test_what_does_not_open(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *says;
        const char *vars[3];
    } cases[] = {
        {"synthetic:day", "takes no path", {NULL}},
        {"synthetic:?rate=0", "RATE", {NULL}},
        {"synthetic:?rate=1e9", "RATE", {NULL}},
        {"synthetic:", "RATE in the environment) is 'fast'", {"RATE", "fast", NULL}},
        {"synthetic:", "SLEEP_SEC", {"SLEEP_SEC", "-1", NULL}},
        {"synthetic:?sleep=999us", "SLEEP_SEC", {NULL}},
        {"synthetic:?sleep=61m", "SLEEP_SEC", {NULL}},
        {"synthetic:?models=a%FF", "models", {NULL}},
        {"synthetic:?batch=0", "BATCH", {NULL}},
        {"synthetic:?models=", "models=", {NULL}},
        {"synthetic:?models=a:0", "models=", {NULL}},
        {"synthetic:?models=a:1001", "models=", {NULL}},
        {"synthetic:?models=a,,b", "models=", {NULL}},
        {"synthetic:?tenants=0", "tenants=", {NULL}},
        {"synthetic:?tenants=a:x", "tenants=", {NULL}},
        {"synthetic:?gpus=1&models=llama-3-8b,qwen3-30b", "no room", {NULL}},
        {"synthetic:?gpu=t4&gpus=1", "does not fit", {NULL}},
        {"synthetic:?duration=2h&start=now", "more than an hour", {NULL}},
        {"synthetic:?duration=40000d&start=2100-01-01", "more than an hour", {NULL}},
        {"synthetic:?duration=1m&nodes=3", "unknown option 'nodes'", {NULL}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct input *in = NULL;
        struct error err = {0};
        harness_set_vars(&h, cases[i].vars);
        assert_int_equal(harness_try(&h, cases[i].uri, &in, &err), -EINVAL);
        if (strstr(err.msg, cases[i].says) == NULL) {
            fail_msg("%s: %s", cases[i].uri, err.msg);
        }
    }
}

#define SYNTHETIC_TEST(f) TEST_WITH(f, setup, teardown)

int main(void)
{
    return TEST_RUN(SYNTHETIC_TEST(test_looks_like_a_cluster),
                    SYNTHETIC_TEST(test_the_seed_decides),
                    SYNTHETIC_TEST(test_every_machine_makes_up_the_same),
                    SYNTHETIC_TEST(test_models_and_tenants), SYNTHETIC_TEST(test_the_rate_is_kept),
                    SYNTHETIC_TEST(test_resume), SYNTHETIC_TEST(test_live),
                    SYNTHETIC_TEST(test_deliveries_are_sleep_apart),
                    SYNTHETIC_TEST(test_live_hosts_are_this_one),
                    SYNTHETIC_TEST(test_small_clusters), SYNTHETIC_TEST(test_what_does_not_open));
}
