#include "cost/rows.h"

#include <errno.h>
#include <math.h>

#include "base/macros.h"
#include "test.h"

static const struct window_row row = {
    .window_start = 60,
    .gpu = {{"h", 1}, 1, GPU_INSTANCE_NONE},
    .site = {"ams", 3},
    .kind = ROW_USAGE,
    .model = {"m", 1},
    .tenant = {"t", 1},
    .cost_nusd = 3,
    .cost_in_nusd = 1,
    .cost_out_nusd = 2,
    .requests = 1,
    .busy_ns = 60,
    .energy_j = 1.5,
    .has_energy = true,
    .final = true,
    .revision = 1,
};

static void test_same(void **state)
{
    (void)state;
    struct window_row a = row;
    assert_true(window_row_same(&row, &a));
    a.final = false;
    a.revision = 7;
    assert_true(window_row_same(&row, &a));
    a = row;
    a.has_energy = false;
    assert_false(window_row_same(&row, &a));
    struct window_row b = a;
    b.energy_j = 99; // means nothing
    assert_true(window_row_same(&a, &b));
}

// Every field but `final` and `revision` tells rows apart.
static void test_different(void **state)
{
    (void)state;
    struct window_row rows[20];
    size_t n = 0;
#define DIFFERENT(field, value) (rows[n] = row, rows[n].field = (value), n++)
    DIFFERENT(window_start, 120);
    DIFFERENT(gpu.host, STR("i"));
    DIFFERENT(gpu.index, 2);
    DIFFERENT(gpu.instance, 0);
    DIFFERENT(site, STR_NONE);
    DIFFERENT(kind, ROW_IDLE);
    DIFFERENT(model, STR("n"));
    DIFFERENT(tenant, STR_NONE);
    DIFFERENT(cost_nusd, 4);
    DIFFERENT(cost_in_nusd, 2);
    DIFFERENT(cost_out_nusd, 1);
    DIFFERENT(prompt_tokens, 1);
    DIFFERENT(completion_tokens, 1);
    DIFFERENT(cached_prompt_tokens, 1);
    DIFFERENT(requests, 2);
    DIFFERENT(unpriced_requests, 1);
    DIFFERENT(busy_ns, 61);
    DIFFERENT(unpriced_ns, 1);
    DIFFERENT(method, METHOD_EQUAL);
    DIFFERENT(energy_j, nextafter(1.5, 2));
    assert_int_equal(n, ARRAY_LEN(rows));
    for (size_t i = 0; i < n; i++) {
        if (window_row_same(&row, &rows[i])) {
            fail_at(__FILE__, __LINE__, "the %zuth change is not seen\n", i + 1);
        }
    }
}

static void test_cost_same(void **state)
{
    (void)state;
    const struct usage_cost cost = {.seq = 1,
                                    .priced = true,
                                    .cost_nusd = 3,
                                    .cost_in_nusd = 1,
                                    .cost_out_nusd = 2,
                                    .energy_j = 1,
                                    .has_energy = true};
    struct usage_cost same = cost;
    same.final = same.late = true;
    same.revision = 9;
    assert_true(usage_cost_same(&cost, &same));
    struct usage_cost others[9];
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        others[i] = cost;
    }
    others[0].seq = 2;
    others[1].priced = false;
    others[2].cost_nusd = 4;
    others[3].cost_in_nusd = 2;
    others[4].cost_out_nusd = 1;
    others[5].unpriced_ns = 1;
    others[6].method = METHOD_EQUAL;
    others[7].has_energy = false;
    others[8].energy_j = 2;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_false(usage_cost_same(&cost, &others[i]));
    }
}

// Each row of this goes before the next one.
static void test_order(void **state)
{
    (void)state;
    struct window_row rows[10];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        rows[i] = row;
    }
    rows[0].window_start = 0;
    rows[1].gpu.host = STR_NONE; // unplaced
    rows[1].gpu.index = -1;
    rows[2].gpu.index = 0;
    rows[2].gpu.instance = 9;
    rows[3].tenant = STR_NONE; // an absent tenant before any name
    rows[4].tenant = STR("");
    // rows[5]: as it is
    rows[6].model = STR("ma");
    rows[7].kind = ROW_IDLE;
    rows[7].model = rows[7].tenant = STR_NONE;
    rows[8].gpu.instance = 0;
    rows[9].gpu.host = STR("ha");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t j = 0; j < ARRAY_LEN(rows); j++) {
            int c = window_row_cmp(&rows[i], &rows[j]);
            if ((c < 0) != (i < j) || (c > 0) != (i > j)) {
                fail_at(__FILE__, __LINE__, "rows %zu and %zu compare as %d\n", i, j, c);
            }
        }
    }
}

static void test_kinds(void **state)
{
    (void)state;
    static const char *const names[] = {"usage", "idle", "unattributed", "unplaced"};
    for (int k = ROW_USAGE; k <= ROW_UNPLACED; k++) {
        enum row_kind parsed;
        assert_string_equal(row_kind_name((enum row_kind)k), names[k]);
        assert_int_equal(row_kind_parse(str_of(names[k]), &parsed), 0);
        assert_int_equal(parsed, k);
    }
    enum row_kind parsed;
    assert_int_equal(row_kind_parse(STR("Idle"), &parsed), -EINVAL);
    assert_int_equal(row_kind_parse(STR(""), &parsed), -EINVAL);
}

int main(void)
{
    return TEST_RUN(TEST(test_same), TEST(test_different), TEST(test_cost_same), TEST(test_order),
                    TEST(test_kinds));
}
