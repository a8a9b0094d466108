#include "base/time.h"
#include "fixture.h"
#include "test.h"

static const struct fixture_row rows[] = {
    {0, "h", 0, ROW_USAGE, "m1", NULL, 0, 7, 20, 0, 3, 0, NULL},
    {0, "h", 0, ROW_USAGE, "m10", "t1", 0, 9, 1000, 0, 1, 0, NULL},
    {0, "h", 0, ROW_USAGE, "m10", "t2", 0, 1, 5, 0, 2, 0, NULL},
    {0, "h", 0, ROW_USAGE, "m2", "t1", 0, 5, 100, 0, 9, 0, NULL},
    {0, "h", 0, ROW_IDLE, NULL, NULL, 0, 50, 0, 0, 0, 0, NULL},
    {60, "h", 1, ROW_USAGE, "m2", "t1", 0, 2, 10, 0, 1, 0, NULL},
    {60, "h", 1, ROW_UNATTRIBUTED, NULL, NULL, 0, 80, 0, 0, 0, 0, NULL},
    {60, NULL, 0, ROW_UNPLACED, "m3", "t3", 0, 0, 10, 1, 1, 0, NULL},
};

// The rows as "m10/t1 m10/t2 ... idle", times as hours of the day; others as "(2)usage".
static struct str names(struct fixture *f, const struct report *r)
{
    buf_clear(&f->text);
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_row *row = &r->rows[i];
        buf_cstr(&f->text, i > 0 ? " " : "");
        for (size_t k = 0; row->others == 0 && k < r->query.n_by; k++) {
            const struct report_value *v = &row->values[k];
            buf_cstr(&f->text, k > 0 ? "/" : "");
            if (r->query.by[k] == DIM_HOUR) {
                buf_i64(&f->text, (v->time - FIXTURE_EPOCH) / NS_PER_HOUR);
            } else {
                buf_str(&f->text, str_present(v->text) ? v->text : STR("-"));
            }
        }
        if (row->others > 0) {
            buf_printf(&f->text, "(%zu)", row->others);
        }
        if (row->kind != ROW_USAGE || row->others > 0) {
            buf_printf(&f->text, "%s", row_kind_name(row->kind));
        }
    }
    return buf_view(&f->text);
}

static void test_orders(void **state)
{
    (void)state;
    static const struct {
        const char *by;
        enum report_sort sort;
        size_t limit;
        const char *want;
    } cases[] = {
        {"model,tenant", SORT_AUTO, 0,
         "m10/t1 m10/t2 m1/- m2/t1 -/-idle -/-unattributed "
         "m3/t3unplaced"},
        {"model,tenant", SORT_COST, 0,
         "m10/t1 m10/t2 m1/- m2/t1 -/-idle -/-unattributed "
         "m3/t3unplaced"},
        {"model,tenant", SORT_TOKENS, 0,
         "m10/t1 m10/t2 m2/t1 m1/- -/-idle -/-unattributed "
         "m3/t3unplaced"},
        {"model,tenant", SORT_REQUESTS, 0,
         "m2/t1 m1/- m10/t2 m10/t1 -/-idle -/-unattributed "
         "m3/t3unplaced"},
        {"model,tenant", SORT_RATE, 0,
         "m1/- m2/t1 m10/t2 m10/t1 -/-idle -/-unattributed "
         "m3/t3unplaced"},
        {"model,tenant", SORT_NAME, 0,
         "m1/- m2/t1 m10/t1 m10/t2 -/-idle -/-unattributed "
         "m3/t3unplaced"},
        {"tenant", SORT_AUTO, 0, "t1 - t2 -idle -unattributed t3unplaced"},
        // Hours pass; asked for by cost, the dearer comes first: 82 against 72.
        {"hour", SORT_AUTO, 0, "0 0idle 1 1unattributed 1unplaced"},
        {"hour", SORT_COST, 0, "1 1unattributed 1unplaced 0 0idle"},
        {"gpu", SORT_AUTO, 0, "h/1 h/1unattributed h/0 h/0idle -unplaced"},
        {"kind", SORT_AUTO, 0, "usage idleidle unattributedunattributed unplacedunplaced"},
        // What is beyond the limit is folded, kind by kind; what is no group is not counted.
        {"model", SORT_AUTO, 1, "m10 -idle -unattributed m3unplaced (2)usage"},
        {"model", SORT_AUTO, 3, "m10 m1 m2 -idle -unattributed m3unplaced"},
        {"gpu", SORT_AUTO, 1, "h/1 h/1unattributed -unplaced (1)usage (1)idle"},
        {"gpu", SORT_AUTO, 2, "h/1 h/1unattributed h/0 h/0idle -unplaced"},
        {"", SORT_AUTO, 1, "idle unattributed unplaced"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        fixture_init(&f, rows, ARRAY_LEN(rows), 120);
        struct report_query q = fixture_query(cases[i].by);
        q.sort = cases[i].sort;
        q.limit = cases[i].limit;
        struct str got = names(&f, fixture_load(&f, &q));
        if (cases[i].by[0] == '\0') { // the usage row has no name at all
            assert_true(got.n > 0 && got.p[0] == ' ');
            got = (struct str){got.p + 1, got.n - 1};
        }
        if (!str_eq(got, str_of(cases[i].want))) {
            fail_at(__FILE__, __LINE__, "case %zu:\n got  " STR_FMT "\n want %s\n", i, STR_ARG(got),
                    cases[i].want);
        }
        fixture_done(&f);
    }
}

// GPUs that are left out are counted once, whether they served, idled, or both.
static void test_fold_counts_groups(void **state)
{
    (void)state;
    static const struct fixture_row gpus[] = {
        {0, "h", 0, ROW_USAGE, "m", NULL, 0, 9, 1, 0, 1, 0, NULL},
        {0, "h", 1, ROW_USAGE, "m", NULL, 0, 5, 1, 0, 1, 0, NULL},
        {0, "h", 1, ROW_IDLE, NULL, NULL, 0, 1, 0, 0, 0, 0, NULL},
        {0, "h", 2, ROW_IDLE, NULL, NULL, 0, 3, 0, 0, 0, 0, NULL},
    };
    struct fixture f;
    fixture_init(&f, gpus, ARRAY_LEN(gpus), 10);
    struct report_query q = fixture_query("gpu");
    q.limit = 1;
    assert_str(names(&f, fixture_load(&f, &q)), "h/0 (2)usage (2)idle");
    fixture_done(&f);
}

// Whatever is folded, the rows add up to the bill on both bases.
static void test_fold_adds_up(void **state)
{
    (void)state;
    static const char *const bys[] = {"model",     "tenant",           "gpu",     "hour", "kind",
                                      "model,gpu", "gpu,model,tenant", "host,day"};
    for (size_t i = 0; i < ARRAY_LEN(bys); i++) {
        for (size_t limit = 0; limit < 5; limit++) {
            struct fixture f;
            fixture_init(&f, rows, ARRAY_LEN(rows), 120);
            struct report_query q = fixture_query(bys[i]);
            q.limit = limit;
            const struct report *r = fixture_load(&f, &q);
            i128 cost = 0, loaded = 0, tokens = 0;
            for (size_t k = 0; k < r->n_rows; k++) {
                cost += r->rows[k].sums.cost_nusd;
                loaded += r->rows[k].loaded_nusd;
                tokens += r->rows[k].kind == ROW_USAGE ? sums_tokens(&r->rows[k].sums) : 0;
            }
            assert_i64((int64_t)cost, 154);
            assert_i64((int64_t)loaded, 154);
            assert_i64((int64_t)tokens, 1135);
            fixture_done(&f);
        }
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_orders), TEST(test_fold_counts_groups), TEST(test_fold_adds_up));
}
