// Rows of windows.
#include "fixture.h"

static void test_window_fields(void **state)
{
    struct fixture *f = *state;
    struct window_row want[] = {
        {.window_start = at(0),
         .gpu = {STR_NONE, -1, -1},
         .kind = ROW_UNPLACED,
         .model = STR("m"),
         .requests = 1,
         .final = true,
         .revision = 3},
        {.window_start = at(0),
         .gpu = {STR("h"), 2, 5},
         .site = STR("fra1"),
         .kind = ROW_USAGE,
         .model = STR("m"),
         .tenant = STR(""),
         .cost_nusd = 3,
         .cost_in_nusd = 1,
         .cost_out_nusd = 2,
         .prompt_tokens = 4,
         .completion_tokens = 5,
         .cached_prompt_tokens = 6,
         .requests = 7,
         .unpriced_requests = 8,
         .busy_ns = 9,
         .unpriced_ns = 10,
         .energy_j = 1.0 / 3,
         .has_energy = true,
         .revision = 0,
         .method = METHOD_EQUAL},
    };
    f->windows[0] = (struct window_rows){at(0), at(60), 0, want, ARRAY_LEN(want), false};
    f->n_windows = 1;
    put(f);
    fixture_reopen(f);
    const struct window_query q = {LEVEL_WINDOW, at(0), at(1), 0};
    struct store_cursor *c = NULL;
    struct window_row got;
    assert_ok(store_windows(f->s, &q, &c, &f->err), &f->err);
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_i64(store_windows_next(c, &got, &f->err), 1);
        assert_true(window_row_same(&got, &want[i]));
        assert_i64(got.final, want[i].final);
        assert_i64(got.revision, want[i].revision);
    }
    assert_i64(store_windows_next(c, &got, &f->err), 0);
    store_cursor_close(c);
}

static void test_windows_are_replaced_whole(void **state)
{
    struct fixture *f = *state;
    add_idle(f, 0, at(0), "a", 0, 1);
    add_idle(f, 0, at(0), "a", 1, 2);
    add_idle(f, 1, at(0), "b", 0, 3);
    add_idle(f, 0, at(60), "a", 0, 4);
    put(f);
    assert_string_equal(all_rows(f, LEVEL_WINDOW), "0 a0 $1, 0 a1 $2, 0 b0 $3, 60 a0 $4");
    add_idle(f, 0, at(0), "a", 7, 9);
    put(f);
    assert_string_equal(all_rows(f, LEVEL_WINDOW), "0 a7 $9, 0 b0 $3, 60 a0 $4");
    f->windows[f->n_windows++] = (struct window_rows){at(60), at(120), 0, NULL, 0, false};
    put(f);
    assert_string_equal(all_rows(f, LEVEL_WINDOW), "0 a7 $9, 0 b0 $3");
}

static void test_window_order(void **state)
{
    struct fixture *f = *state;
    add_idle(f, 2, at(60), "x", 0, 1);
    add_idle(f, 10, at(60), "a", 0, 2);
    add_idle(f, 1, at(60), "z", 0, 3);
    add_idle(f, 10, at(0), "b", 0, 4);
    add_idle(f, 2, at(120), "x", 0, 5);
    put(f);
    assert_string_equal(all_rows(f, LEVEL_WINDOW),
                        "0 b0 $4, 60 z0 $3, 60 x0 $1, 60 a0 $2, 120 x0 $5");
    assert_string_equal(rows_of(f, LEVEL_WINDOW, INT64_MIN, INT64_MAX, 2), "60 x0 $1, 120 x0 $5");
    assert_string_equal(rows_of(f, LEVEL_WINDOW, at(60), at(120), 2), "60 x0 $1");
    assert_string_equal(rows_of(f, LEVEL_WINDOW, at(60), at(120), -1),
                        "60 z0 $3, 60 x0 $1, 60 a0 $2");
    assert_string_equal(rows_of(f, LEVEL_WINDOW, at(61), at(120), -1), "");
    assert_string_equal(rows_of(f, LEVEL_WINDOW, INT64_MIN, INT64_MAX, 3), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(test_window_fields),
        ON_ALL(test_windows_are_replaced_whole),
        ON_ALL(test_window_order),
    };
    return fixture_run("windows", tests);
}
