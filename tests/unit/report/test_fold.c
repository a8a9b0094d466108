// Others over time: the costliest series stay for all of the time, the rest is added up step by
// step.
#include "base/time.h"
#include "fixture.h"
#include "test.h"

static const struct fixture_row rows[] = {
    {0, "h", 0, ROW_USAGE, "a", NULL, 0, 7, 20, 0, 3, 0, NULL},
    {0, "h", 0, ROW_USAGE, "b", NULL, 0, 9, 1000, 0, 1, 0, NULL},
    {0, "h", 0, ROW_USAGE, "c", NULL, 0, 1, 5, 0, 2, 0, NULL},
    {0, "h", 0, ROW_IDLE, NULL, NULL, 0, 50, 0, 0, 0, 0, NULL},
    {60, "h", 0, ROW_USAGE, "a", NULL, 0, 7, 20, 0, 3, 0, NULL},
    {60, "h", 1, ROW_USAGE, "d", NULL, 0, 2, 10, 0, 1, 0, NULL},
    {60, "h", 1, ROW_USAGE, "c", NULL, 0, 3, 10, 0, 1, 0, NULL},
    {120, "h", 1, ROW_USAGE, "b", NULL, 0, 2, 10, 0, 1, 0, NULL},
};

static void test_by_time(void **state)
{
    (void)state;
    static const struct {
        const char *by;
        size_t limit;
        const char *want; // hour:value=cost, others as (n)
    } cases[] = {
        {"time,model", 0, "0:b=9 0:a=7 0:c=1 0:-=50 1:a=7 1:c=3 1:d=2 2:b=2"},
        {"time,model", 1, "0:a=7 0:(2)=10 0:-=50 1:a=7 1:(2)=5 2:(1)=2"},
        {"time,model", 2, "0:b=9 0:a=7 0:(1)=1 0:-=50 1:a=7 1:(2)=5 2:b=2"},
        {"time,gpu", 1, "0:h/0=17 0:h/0=50 1:h/0=7 1:(1)=5 2:(1)=2"},
        {"time", 1, "0:=17 0:=50 1:=12 2:=2"},
    };
    struct fixture f;
    fixture_init(&f, rows, ARRAY_LEN(rows), 180);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct report_query q = fixture_query(cases[i].by);
        q.limit = cases[i].limit;
        q.step = NS_PER_HOUR;
        q.sort = SORT_AUTO;
        const struct report *r = fixture_load(&f, &q);
        buf_clear(&f.text);
        for (size_t k = 0; k < r->n_rows; k++) {
            const struct report_row *row = &r->rows[k];
            buf_printf(&f.text, "%s%lld:", k > 0 ? " " : "",
                       (long long)((row->values[0].time - FIXTURE_EPOCH) / NS_PER_HOUR));
            if (row->others > 0) {
                buf_printf(&f.text, "(%zu)", row->others);
            } else if (q.n_by > 1) {
                buf_str(&f.text, str_present(row->values[1].text) ? row->values[1].text : STR("-"));
            }
            buf_printf(&f.text, "=%lld", (long long)row->sums.cost_nusd);
        }
        assert_str(buf_view(&f.text), cases[i].want);
    }
    fixture_done(&f);
}

// Loaded shares of what is folded go with it.
static void test_adds_up(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, rows, ARRAY_LEN(rows), 180);
    struct report_query q = fixture_query("time,model");
    q.limit = 1;
    q.step = NS_PER_HOUR;
    const struct report *r = fixture_load(&f, &q);
    i128 cost = 0, loaded = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        cost += r->rows[i].sums.cost_nusd;
        loaded += r->rows[i].loaded_nusd;
    }
    assert_i64((int64_t)cost, 81);
    assert_i64((int64_t)loaded, 81);
    fixture_done(&f);
}

int main(void)
{
    return TEST_RUN(TEST(test_by_time), TEST(test_adds_up));
}
