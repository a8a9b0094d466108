#include <errno.h>

#include "base/time.h"
#include "fixture.h"
#include "test.h"

// Three hours of one GPU and a bit of another; the last window is not final.
static const struct fixture_row rows[] = {
    {0, "h1", 0, ROW_USAGE, "m", "a", 1, 10, 100, 10, 1, 0, "fra"},
    {0, NULL, 0, ROW_UNPLACED, "m", "b", 0, 0, 7, 3, 1, 0, NULL},
    {59, "h1", 0, ROW_IDLE, NULL, NULL, 0, 20, 0, 0, 0, 0, "fra"},
    {60, "h1", 0, ROW_USAGE, "m", "a", 0, 30, 50, 5, 2, FIXTURE_UNPRICED, "fra"},
    {119, "h2", 3, ROW_UNATTRIBUTED, NULL, NULL, 0, 40, 0, 0, 0, 0, NULL},
    {130, "h1", 0, ROW_USAGE, "n", NULL, 0, 50, 20, 2, 1, 0, "fra"},
    {150, "h1", 0, ROW_USAGE, "n", NULL, 0, 60, 20, 2, 1, FIXTURE_OPEN, "fra"},
};
enum { FINAL = 145 };

static const struct report_row *only(const struct report *r, enum row_kind kind, const char *value)
{
    for (size_t i = 0; i < r->n_rows; i++) {
        if (r->rows[i].kind == kind && str_eq(r->rows[i].values[0].text, str_of(value))) {
            return &r->rows[i];
        }
    }
    fail_at(__FILE__, __LINE__, "there is no row '%s'\n", value ? value : "(absent)");
    return NULL;
}

static void test_totals(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, rows, ARRAY_LEN(rows), FINAL);
    struct report_query q = fixture_query("model");
    const struct report *r = fixture_load(&f, &q);
    assert_false(r->empty);
    assert_false(r->has_open);
    assert_i64((int64_t)r->kinds[ROW_USAGE].cost_nusd, 90);
    assert_i64((int64_t)r->kinds[ROW_IDLE].cost_nusd, 20);
    assert_i64((int64_t)r->kinds[ROW_UNATTRIBUTED].cost_nusd, 40);
    assert_i64((int64_t)r->bill.cost_nusd, 150);
    assert_i64((int64_t)r->bill.prompt_tokens, 170); // unplaced tokens are no part of it
    assert_i64(r->kinds[ROW_UNPLACED].requests, 1);
    assert_i64(r->bill.unpriced_requests, 2);
    assert_i64((int64_t)only(r, ROW_USAGE, "m")->sums.cost_nusd, 40);
    assert_i64((int64_t)only(r, ROW_USAGE, "n")->sums.cost_nusd, 50);
    assert_i64((int64_t)only(r, ROW_UNPLACED, "m")->sums.prompt_tokens, 7);
    assert_i64(r->from, FIXTURE_EPOCH);
    assert_i64(r->final_until, FIXTURE_EPOCH + FINAL * FIXTURE_MINUTE);
    assert_i64((int64_t)r->n_gpus, 2);
    assert_i64((int64_t)r->n_hosts, 2);
    assert_str(r->gpus[0].name, "NVIDIA L4");
    assert_i64((int64_t)r->gpus[0].unpriced_ns, 10 * NS_PER_S);
    assert_i64((int64_t)r->gpus[1].unattributed_ns, 10 * NS_PER_S);
    assert_i64((int64_t)r->n_splits, 1);
    fixture_done(&f);
}

static void test_provisional(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, rows, ARRAY_LEN(rows), FINAL);
    struct report_query q = fixture_query("model");
    q.provisional = true;
    const struct report *r = fixture_load(&f, &q);
    assert_true(r->has_open);
    assert_i64((int64_t)r->bill.cost_nusd, 210);
    assert_true(only(r, ROW_USAGE, "n")->sums.open);
    assert_false(only(r, ROW_USAGE, "m")->sums.open);
    fixture_done(&f);
}

// Whatever level rows are read from, the sums are those of the windows.
static void test_ranges(void **state)
{
    (void)state;
    static const struct {
        int from, to; // minutes; -1: open
        int64_t bill;
        int shown_from, shown_to;
    } cases[] = {
        {-1, -1, 150, 0, 151},   {0, 60, 30, 0, 60},       {1, 60, 20, 1, 60},  {0, 1, 10, 0, 1},
        {60, 120, 70, 60, 120},  {60, -1, 120, 60, 151},   {-1, 60, 30, 0, 60}, {2, 50, 0, 2, 50},
        {131, 200, 0, 131, 200}, {119, 131, 90, 119, 131},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        fixture_init(&f, rows, ARRAY_LEN(rows), FINAL);
        static const char *const bys[] = {"", "hour", "gpu,day"};
        for (size_t k = 0; k < ARRAY_LEN(bys); k++) {
            struct report_query q = fixture_query(bys[k]);
            int64_t from = FIXTURE_EPOCH + cases[i].from * FIXTURE_MINUTE;
            q.from = cases[i].from < 0 ? INT64_MIN : from;
            q.to = cases[i].to < 0 ? INT64_MAX : FIXTURE_EPOCH + cases[i].to * FIXTURE_MINUTE;
            const struct report *r = fixture_load(&f, &q);
            if (r->bill.cost_nusd != cases[i].bill) {
                fail_at(__FILE__, __LINE__, "case %zu by '%s': %lld\n", i, bys[k],
                        (long long)r->bill.cost_nusd);
            }
            assert_i64((r->from - FIXTURE_EPOCH) / FIXTURE_MINUTE, cases[i].shown_from);
            assert_i64((r->to - FIXTURE_EPOCH) / FIXTURE_MINUTE, cases[i].shown_to);
        }
        fixture_done(&f);
    }
}

// Half a window is widened to the whole.
static void test_widened(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, rows, ARRAY_LEN(rows), FINAL);
    struct report_query q = fixture_query("");
    q.from = FIXTURE_EPOCH + 30 * NS_PER_S;
    q.to = FIXTURE_EPOCH + 31 * NS_PER_S;
    const struct report *r = fixture_load(&f, &q);
    assert_i64((int64_t)r->bill.cost_nusd, 10);
    assert_i64(r->from, FIXTURE_EPOCH);
    assert_i64(r->to, FIXTURE_EPOCH + FIXTURE_MINUTE);
    fixture_done(&f);
}

static void test_dimensions(void **state)
{
    (void)state;
    static const struct {
        const char *by, *value;
        int64_t cost;
    } cases[] = {
        {"gpu", "h1/0", 90}, {"host", "h1", 90},   {"site", "fra", 90},
        {"tenant", "a", 40}, {"tenant", NULL, 50}, {"kind", "usage", 90},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        fixture_init(&f, rows, ARRAY_LEN(rows), FINAL);
        struct report_query q = fixture_query(cases[i].by);
        const struct report *r = fixture_load(&f, &q);
        assert_i64((int64_t)only(r, ROW_USAGE, cases[i].value)->sums.cost_nusd, cases[i].cost);
        fixture_done(&f);
    }
}

// Hours of a zone half an hour off are cut there, not at UTC's.
static void test_zones(void **state)
{
    (void)state;
    struct fixture f;
    struct zone india;
    fixture_init(&f, rows, ARRAY_LEN(rows), FINAL);
    assert_ok(zone_parse_fixed(STR("+05:30"), &india, NULL), NULL);
    struct report_query q = fixture_query("hour");
    q.zone = &india;
    const struct report *r = fixture_load(&f, &q);
    // 05:30 to 06:00 has the first window, 06:00 to 07:00 those of minutes 59 and 60, ...
    static const struct {
        int minute;
        int64_t cost;
    } wants[] = {{-30, 10}, {30, 50}, {90, 90}};
    for (size_t i = 0; i < ARRAY_LEN(wants); i++) {
        int64_t cost = 0;
        for (size_t k = 0; k < r->n_rows; k++) {
            if (r->rows[k].values[0].time == FIXTURE_EPOCH + wants[i].minute * FIXTURE_MINUTE) {
                cost += (int64_t)r->rows[k].sums.cost_nusd;
            }
        }
        assert_i64(cost, wants[i].cost);
    }
    fixture_done(&f);
}

static void test_empty(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, NULL, 0, 0);
    struct report_query q = fixture_query("model");
    const struct report *r = fixture_load(&f, &q);
    assert_true(r->empty);
    assert_i64((int64_t)r->n_rows, 0);
    fixture_done(&f);
}

static void test_names(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 64);
    report_gpu_name(&b, &(struct gpu_key){STR("gpu-01"), 0, GPU_INSTANCE_NONE});
    assert_str(buf_view(&b), "gpu-01/0");
    buf_clear(&b);
    report_gpu_name(&b, &(struct gpu_key){STR("gpu-01"), 7, 3});
    assert_str(buf_view(&b), "gpu-01/7:3");
    buf_clear(&b);
    report_others_name(&b, 1);
    report_others_name(&b, 12);
    assert_str(buf_view(&b), "(1 other)(12 others)");
    buf_done(&b);
}

int main(void)
{
    return TEST_RUN(TEST(test_totals), TEST(test_provisional), TEST(test_ranges),
                    TEST(test_widened), TEST(test_dimensions), TEST(test_zones), TEST(test_empty),
                    TEST(test_names));
}
