// Choosing rows, and steps of time: what is left says what it said before, and nothing is lost.
#include <errno.h>

#include "base/time.h"
#include "fixture.h"
#include "test.h"

static const struct fixture_row rows[] = {
    {0, "h1", 0, ROW_USAGE, "m", "a", 1, 10, 100, 10, 1, 0, "fra"},
    {0, "h1", 0, ROW_USAGE, "n", "a", 1, 7, 100, 10, 1, 0, "fra"},
    {0, "h1", 1, ROW_USAGE, "m", NULL, 1, 11, 100, 10, 1, 0, "fra"},
    {0, NULL, 0, ROW_UNPLACED, "m", "b", 0, 0, 7, 3, 1, 0, NULL},
    {9, "h1", 0, ROW_IDLE, NULL, NULL, 0, 20, 0, 0, 0, 0, "fra"},
    {20, "h1", 0, ROW_USAGE, "m", "b", 0, 30, 50, 5, 2, 0, "fra"},
    {31, "h2", 3, ROW_UNATTRIBUTED, NULL, NULL, 0, 40, 0, 0, 0, 0, NULL},
    {130, "h2", 3, ROW_USAGE, "n", "", 0, 50, 20, 2, 1, 0, NULL},
};
enum { FINAL = 140, FILTERS_MAX = 4 };

static size_t parse(const char *text, struct report_filter *filters)
{
    struct str rest = str_of(text), one;
    size_t n = 0;
    while (rest.n > 0 && str_split(&rest, ' ', &one)) {
        struct error err;
        assert_ok(report_filter_parse(one, &filters[n++], &err), &err);
    }
    return n;
}

static void test_choose(void **state)
{
    (void)state;
    static const struct {
        const char *filters;
        int64_t cost, unplaced;
        size_t gpus;
    } cases[] = {
        {"", 168, 1, 3},
        {"model=m", 51, 1, 2},
        {"model=m model=n", 108, 1, 3},
        {"model=m tenant=b", 30, 1, 1},
        {"tenant=", 61, 0, 2}, // none, or an empty name; idle time is nobody's
        {"gpu=h1/0", 67, 0, 1},
        {"gpu=h1/0 gpu=h2/3", 157, 0, 2},
        {"host=h2", 90, 0, 1},
        {"host=", 0, 1, 0},
        {"site=fra kind=usage", 58, 0, 2},
        {"site=", 90, 1, 1},
        {"kind=idle kind=unattributed", 60, 0, 2},
        {"model=nobody", 0, 0, 0},
    };
    struct fixture f;
    fixture_init(&f, rows, ARRAY_LEN(rows), FINAL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct report_filter filters[FILTERS_MAX];
        struct report_query q = fixture_query("tenant");
        q.filters = filters;
        q.n_filters = parse(cases[i].filters, filters);
        const struct report *r = fixture_load(&f, &q);
        i128 sum = 0;
        for (size_t k = 0; k < r->n_rows; k++) {
            sum += r->rows[k].sums.cost_nusd;
        }
        if (r->bill.cost_nusd != cases[i].cost || sum != cases[i].cost ||
            r->kinds[ROW_UNPLACED].requests != cases[i].unplaced || r->n_gpus != cases[i].gpus ||
            r->whole.cost_nusd != 168) {
            fail_msg("%s: %lld", cases[i].filters, (long long)r->bill.cost_nusd);
        }
    }
    fixture_done(&f);
}

static const struct report_row *find(const struct report *r, const struct report_row *like)
{
    for (size_t i = 0; i < r->n_rows; i++) {
        bool same = r->rows[i].kind == like->kind;
        for (size_t k = 0; k < r->query.n_by; k++) {
            same = same && str_eq(r->rows[i].values[k].text, like->values[k].text);
        }
        if (same) {
            return &r->rows[i];
        }
    }
    return NULL;
}

// Choosing by what the report is grouped by leaves every row as it was, loaded shares included.
static void test_rows_stay(void **state)
{
    (void)state;
    struct fixture whole, part;
    struct report_filter filter = {DIM_MODEL, STR("m")};
    fixture_init(&whole, rows, ARRAY_LEN(rows), FINAL);
    fixture_init(&part, rows, ARRAY_LEN(rows), FINAL);
    struct report_query q = fixture_query("model,gpu");
    const struct report *all = fixture_load(&whole, &q);
    q.filters = &filter;
    q.n_filters = 1;
    const struct report *some = fixture_load(&part, &q);
    assert_i64((int64_t)some->n_rows, 3);
    for (size_t i = 0; i < some->n_rows; i++) {
        const struct report_row *row = &some->rows[i], *same = find(all, row);
        assert_non_null(same);
        assert_true(row->loaded_nusd == same->loaded_nusd);
        assert_true(row->loaded_in_nusd == same->loaded_in_nusd);
        assert_true(row->sums.cost_nusd == same->sums.cost_nusd);
        assert_int_equal(row->loaded_nusd > 0, row->kind != ROW_UNPLACED);
    }
    fixture_done(&whole);
    fixture_done(&part);
}

static void test_steps(void **state)
{
    (void)state;
    static const struct {
        const char *step;
        int minutes[5]; // of the steps there are; -1: the end
        int64_t costs[5];
    } cases[] = {
        {"window", {0, 9, 20, 31, 130}, {28, 20, 30, 40, 50}},
        {"15m", {0, 15, 30, 120, -1}, {48, 30, 40, 50, 0}},
        {"1h", {0, 120, -1}, {118, 50}},
        {"2h", {0, 120, -1}, {118, 50}},
        {"1d", {0, -1}, {168}},
    };
    struct fixture f;
    fixture_init(&f, rows, ARRAY_LEN(rows), FINAL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err;
        struct report_query q = fixture_query("time");
        assert_ok(report_step_parse(str_of(cases[i].step), &q.step, &err), &err);
        const struct report *r = fixture_load(&f, &q);
        int64_t costs[5] = {0};
        for (size_t k = 0; k < r->n_rows; k++) {
            int64_t minute = (r->rows[k].values[0].time - FIXTURE_EPOCH) / FIXTURE_MINUTE;
            size_t at = 0;
            while (at < 4 && cases[i].minutes[at] != minute) {
                at++;
            }
            assert_i64(cases[i].minutes[at], minute);
            costs[at] += (int64_t)r->rows[k].sums.cost_nusd;
        }
        assert_memory_equal(costs, cases[i].costs, sizeof(costs));
    }
    fixture_done(&f);
}

static void test_step_of_a_zone(void **state)
{
    (void)state;
    struct fixture f;
    struct zone berlin;
    fixture_init(&f, rows, ARRAY_LEN(rows), FINAL);
    assert_ok(zone_parse_fixed(STR("+01:00"), &berlin, NULL), NULL);
    struct report_query q = fixture_query("time");
    q.step = NS_PER_DAY;
    q.zone = &berlin;
    const struct report *r = fixture_load(&f, &q);
    assert_i64((int64_t)r->bill.cost_nusd, 168);
    for (size_t i = 0; i < r->n_rows; i++) { // local midnight, an hour before UTC's
        assert_i64(r->rows[i].values[0].time, FIXTURE_EPOCH - NS_PER_HOUR);
    }
    fixture_done(&f);
}

static void test_too_many(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    fixture_init(&f, rows, ARRAY_LEN(rows), FINAL);
    struct report_query q = fixture_query("model,tenant");
    q.max = 3;
    assert_i64(report_load(f.store, &q, &f.arena, &f.report, &err), -E2BIG);
    assert_non_null(strstr(err.msg, "more than 3 groups: ask for a shorter time"));
    q.max = 8;
    assert_ok(report_load(f.store, &q, &f.arena, &f.report, &err), &err);
    fixture_done(&f);
}

static void test_parse(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "model", "hour=1", "time=1", "price=1", "=x"};
    static const char *const steps[] = {"", "0s", "7m", "25h", "2d", "x", "500ms"};
    struct report_filter filter;
    int64_t step;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error err = {0};
        assert_i64(report_filter_parse(str_of(bad[i]), &filter, &err), -EINVAL);
        assert_true(err.msg[0] != '\0');
    }
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct error err = {0};
        if (report_step_parse(str_of(steps[i]), &step, &err) != -EINVAL) {
            fail_msg("'%s' is taken for a step", steps[i]);
        }
        assert_non_null(strstr(err.msg, "is no step"));
    }
    assert_ok(report_filter_parse(STR("tenant=a=b"), &filter, NULL), NULL);
    assert_str(filter.value, "a=b");
}

int main(void)
{
    return TEST_RUN(TEST(test_choose), TEST(test_rows_stay), TEST(test_steps),
                    TEST(test_step_of_a_zone), TEST(test_too_many), TEST(test_parse));
}
