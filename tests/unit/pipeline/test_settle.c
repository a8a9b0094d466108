// Comparing what is derived with what is stored, and replacing it.
#include "pipeline/settle.h"

#include "base/time.h"
#include "test.h"

static struct window_row row(int32_t gpu, int64_t cost, int32_t revision)
{
    return (struct window_row){.gpu = {STR("h"), gpu, GPU_INSTANCE_NONE},
                               .kind = ROW_IDLE,
                               .cost_nusd = cost,
                               .final = true,
                               .revision = revision};
}

enum { ROWS_MAX = 4 };

static const struct settle_case {
    const char *name;
    size_t n_derived, n_stored;
    struct {
        int32_t gpu;
        int64_t cost;
        int32_t revision; // of the stored one; 0: not final
    } derived[ROWS_MAX], stored[ROWS_MAX];
    size_t equal, different;
    int32_t revisions[ROWS_MAX]; // of what replaces the window
} cases[] = {
    {"both empty", 0, 0, {{0}}, {{0}}, 0, 0, {0}},
    {"the same", 2, 2, {{0, 5, 0}, {1, 6, 0}}, {{0, 5, 1}, {1, 6, 3}}, 2, 0, {0}},
    {"one differs: it alone is new",
     2,
     2,
     {{0, 5, 0}, {1, 6, 0}},
     {{0, 5, 1}, {1, 7, 1}},
     1,
     1,
     {1, 2}},
    {"behind the newest of the window",
     2,
     2,
     {{0, 5, 0}, {1, 6, 0}},
     {{0, 5, 4}, {1, 7, 1}},
     1,
     1,
     {4, 5}},
    {"one is missing", 2, 1, {{0, 5, 0}, {1, 6, 0}}, {{1, 6, 1}}, 1, 1, {2, 1}},
    {"one is too many", 1, 2, {{1, 6, 0}}, {{0, 5, 1}, {1, 6, 1}}, 1, 1, {1}},
    {"nothing was stored: it was final by that", 1, 0, {{0, 5, 0}}, {{0}}, 0, 1, {2}},
    {"stored, but not final", 1, 1, {{0, 5, 0}}, {{0, 5, 0}}, 0, 1, {2}},
    {"all gone", 0, 1, {{0}}, {{0, 5, 1}}, 0, 1, {0}},
};

static void test_windows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct settle_case *c = &cases[i];
        struct window_row derived[ROWS_MAX], stored[ROWS_MAX];
        for (size_t j = 0; j < ROWS_MAX; j++) {
            derived[j] = row(c->derived[j].gpu, c->derived[j].cost, 1);
            stored[j] = row(c->stored[j].gpu, c->stored[j].cost, c->stored[j].revision);
            stored[j].final = c->stored[j].revision > 0;
        }
        struct derive_window w = {0, 60, derived, stored, c->n_derived, c->n_stored, 0};
        struct outbox o = {0};
        size_t equal = 99;
        size_t different = rows_different(&w, &equal);
        settle_window(&o, &w);
        bool right = different == c->different && equal == c->equal &&
                     o.n_windows == (c->different > 0) &&
                     o.n_rows == (c->different > 0 ? c->n_derived : 0);
        for (size_t j = 0; j < o.n_rows && right; j++) {
            right = o.rows[j].revision == c->revisions[j];
        }
        if (!right) {
            fail_at(__FILE__, __LINE__, "%s: %zu equal, %zu different, %zu rows\n", c->name, equal,
                    different, o.n_rows);
        }
        outbox_done(&o);
    }
}

static void test_costs(void **state)
{
    (void)state;
    const struct usage_cost derived = {
        .seq = 1, .priced = true, .cost_nusd = 5, .cost_in_nusd = 5, .final = true, .revision = 1};
    struct outbox o = {0};
    struct usage_cost stored = derived;
    stored.revision = 3;
    stored.late = true;
    settle_cost(&o, &derived, &stored);
    assert_int_equal(o.n_costs, 0);
    stored.cost_nusd = stored.cost_in_nusd = 4;
    settle_cost(&o, &derived, &stored);
    assert_int_equal(o.n_costs, 1);
    assert_int_equal(o.costs[0].revision, 4);
    assert_true(o.costs[0].late); // once true, it stays
    assert_i64(o.costs[0].cost_nusd, 5);
    stored = (struct usage_cost){0}; // none is final yet
    settle_cost(&o, &derived, &stored);
    assert_int_equal(o.n_costs, 2);
    assert_int_equal(o.costs[1].revision, 1);
    assert_true(o.costs[1].late); // what comes in time has one when its windows are settled
    outbox_done(&o);
}

static void test_slices(void **state)
{
    (void)state;
    struct store_info info = {
        .samples = 100000, .usages = 100000, .first = 0, .last = 30 * NS_PER_DAY};
    assert_i64(settle_slice(&info, &settings_default), NS_PER_DAY); // few records
    info.samples = 2900000; // 3,000,000: a fifteenth of them in two days, but a day at most
    assert_i64(settle_slice(&info, &settings_default), NS_PER_DAY);
    info.last = 10 * NS_PER_HOUR; // 200,000 in 40 minutes
    assert_i64(settle_slice(&info, &settings_default), 40 * 60 * NS_PER_S);
    info.last = NS_PER_S;
    assert_i64(settle_slice(&info, &settings_default), 60 * NS_PER_S); // a window at least
}

int main(void)
{
    return TEST_RUN(TEST(test_windows), TEST(test_costs), TEST(test_slices));
}
