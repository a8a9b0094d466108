// What is going on now, of stores with hand-made rows; the values are worked out beside them.
#include "api/now.h"

#include "base/alloc.h"
#include "fixture.h"
#include "test.h"

#define MIN_OF(m) (FIXTURE_EPOCH + (m)*FIXTURE_MINUTE)

static void read_now(struct fixture *f, struct now *ret)
{
    struct error err = {0};
    assert_ok(now_read(f->store, &f->arena, MIN_OF(10), ret, &err), &err);
}

// Each row is of 10 s of GPU time (fixture.c), in nano-USD.
static const struct fixture_row rows[] = {
    {0, "a", 0, ROW_USAGE, "old", "t", 1, 999, 9, 9, 9, 0, NULL}, // too long ago
    {4, "a", 0, ROW_USAGE, "m", "t", 1000, 4000, 100, 50, 3, 0, NULL},
    {4, "a", 0, ROW_IDLE, NULL, NULL, 0, 2000, 0, 0, 0, 0, NULL},
    {5, "a", 0, ROW_USAGE, "m", "t", 1000, 6000, 200, 100, 2, FIXTURE_OPEN, NULL},
    {5, "a", 0, ROW_USAGE, "n", NULL, 1000, 3000, 0, 50, 1, FIXTURE_OPEN, NULL},
    {5, "b", 1, ROW_IDLE, NULL, NULL, 0, 5000, 0, 0, 0, FIXTURE_OPEN, NULL},
};

// The newest sample is of minute 5, so rates are of the windows 4 and 5, open ones included. GPU
// a/0 was billed for 40 s, although a minute lies between the first and the newest record.
static void test_rates(void **state)
{
    (void)state;
    struct fixture f;
    struct now n;
    double usd = 0;
    fixture_init(&f, rows, ARRAY_LEN(rows), 5);
    read_now(&f, &n);
    assert_true(n.known);
    assert_i64(n.from, MIN_OF(4));
    assert_i64(n.to, MIN_OF(4) + 40 * NS_PER_S);
    assert_true(now_usd_per_hour(&n, &n.by_gpu.bill, &usd)); // 20,000 nano-USD in 40 s
    assert_true(usd > 0.00179999 && usd < 0.00180001);
    assert_true(now_usd_per_hour(&n, &n.by_gpu.kinds[ROW_IDLE], &usd)); // 7,000
    assert_true(usd > 0.00062999 && usd < 0.00063001);
    assert_true(now_per_minute(&n, sums_tokens(&n.by_gpu.kinds[ROW_USAGE])) == 750); // 500 in 40 s
    assert_true(now_per_minute(&n, n.by_gpu.kinds[ROW_USAGE].requests) == 9);
    fixture_done(&f);
}

static void test_event(void **state)
{
    (void)state;
    struct fixture f;
    struct now n;
    fixture_init(&f, rows, ARRAY_LEN(rows), 5);
    read_now(&f, &n);
    struct json j = {.b = &f.text};
    json_open(&j, NULL, '{');
    now_put_rates(&j, &n);
    json_close(&j, '}');
    assert_string_equal(
        f.text.p, "{\"since\":\"2026-11-22T00:04:00Z\",\"until\":\"2026-11-22T00:04:40Z\","
                  "\"usd_per_hour\":0.0018,\"usd_per_mtok\":0.04,\"busy_share\":0.6,"
                  "\"idle_usd_per_hour\":0.00063,\"unattributed_usd_per_hour\":0,"
                  "\"tokens_per_minute\":750,\"requests_per_minute\":9,\"behind_seconds\":300,"
                  "\"final_until\":\"2026-11-22T00:05:00Z\"}");
    fixture_done(&f);
}

// The sums of the rows are those that the rates are made of; those that cost most come first.
static void test_windows(void **state)
{
    (void)state;
    struct fixture f;
    struct now n;
    fixture_init(&f, rows, ARRAY_LEN(rows), 5);
    read_now(&f, &n);
    struct json j = {.b = &f.text};
    now_put_windows(&j, &n);
    const char *first = strstr(f.text.p, "\"items\":[{");
    assert_non_null(first);
    assert_non_null(
        strstr(first, "{\"gpu\":\"a/0\",\"kind\":\"usage\",\"model\":\"m\",\"tenant\":\"t\","
                      "\"requests\":5,\"prompt_tokens\":300,\"completion_tokens\":150,"
                      "\"cached_prompt_tokens\":0,\"cost_nusd\":10000,\"cost_usd\":\"0.000010000\","
                      "\"busy_ns\":20000000000,\"unpriced_ns\":0,\"others\":0}"));
    assert_null(strstr(f.text.p, "old"));
    i128 all = 0;
    for (size_t i = 0; i < n.windows.n_rows; i++) {
        all += n.windows.rows[i].sums.cost_nusd;
    }
    assert_i64((int64_t)all, 20000);
    fixture_done(&f);
}

static void expect_null(const struct now *n, struct fixture *f, const char *name)
{
    struct json j = {.b = &f->text};
    buf_clear(&f->text);
    json_open(&j, NULL, '{');
    now_put_rates(&j, n);
    json_close(&j, '}');
    AUTO_FREE char *want = x_asprintf("\"%s\":null", name);
    if (!strstr(f->text.p, want)) {
        fail_msg("%s is not null: %s", name, f->text.p);
    }
}

// Missing is not zero.
static void test_unpriced(void **state)
{
    (void)state;
    static const struct fixture_row unpriced[] = {
        {4, "a", 0, ROW_USAGE, "m", "t", 0, 0, 100, 50, 3, FIXTURE_UNPRICED, NULL},
        {5, "a", 0, ROW_USAGE, "m", "t", 0, 0, 100, 50, 3, FIXTURE_UNPRICED, NULL},
    };
    struct fixture f;
    struct now n;
    fixture_init(&f, unpriced, ARRAY_LEN(unpriced), 5);
    read_now(&f, &n);
    assert_true(n.known);
    expect_null(&n, &f, "usd_per_hour");
    expect_null(&n, &f, "usd_per_mtok");
    assert_non_null(strstr(f.text.p, "\"busy_share\":1,"));
    fixture_done(&f);
}

static void test_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct now n;
    fixture_init(&f, NULL, 0, 0);
    read_now(&f, &n);
    assert_false(n.known);
    static const char *const names[] = {"usd_per_hour",      "usd_per_mtok",   "busy_share",
                                        "tokens_per_minute", "behind_seconds", "since",
                                        "final_until"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        expect_null(&n, &f, names[i]);
    }
    buf_clear(&f.text);
    struct json j = {.b = &f.text};
    now_put_windows(&j, &n);
    assert_string_equal(f.text.p, "{\"since\":null,\"until\":null,\"items\":[]}");
    fixture_done(&f);
}

int main(void)
{
    return TEST_RUN(TEST(test_rates), TEST(test_event), TEST(test_windows), TEST(test_unpriced),
                    TEST(test_nothing));
}
