// Hours and days.
#include "fixture.h"

enum { HOUR = 3600, DAY = 24 * HOUR };

static void test_hour_comes_with_the_frontier(void **state)
{
    struct fixture *f = *state;
    add_idle(f, 0, at(0), "a", 0, 1);
    add_idle(f, 0, at(60), "a", 0, 2);
    add_idle(f, 0, at(HOUR), "a", 0, 4);
    add_shard(f, 0, at(HOUR) - 1);
    put(f);
    assert_string_equal(all_rows(f, LEVEL_HOUR), "");
    add_shard(f, 0, at(HOUR));
    put(f);
    assert_string_equal(all_rows(f, LEVEL_HOUR), "0 a0 $3");
    add_idle(f, 0, at(HOUR + 60), "a", 0, 8);
    put(f);
    assert_string_equal(all_rows(f, LEVEL_HOUR), "0 a0 $3");
    add_shard(f, 0, at(3 * HOUR));
    put(f);
    assert_string_equal(all_rows(f, LEVEL_HOUR), "0 a0 $3, 3600 a0 $12");
    assert_string_equal(all_rows(f, LEVEL_DAY), "");
}

static void test_each_shard_has_its_frontier(void **state)
{
    struct fixture *f = *state;
    add_idle(f, 0, at(0), "a", 0, 1);
    add_idle(f, 1, at(0), "b", 0, 2);
    add_shard(f, 1, at(HOUR));
    put(f);
    assert_string_equal(all_rows(f, LEVEL_HOUR), "0 b0 $2");
    add_shard(f, 0, at(HOUR));
    put(f);
    assert_string_equal(all_rows(f, LEVEL_HOUR), "0 a0 $1, 0 b0 $2");
    assert_string_equal(rows_of(f, LEVEL_HOUR, at(0), at(1), 1), "0 b0 $2");
}

static void test_days(void **state)
{
    struct fixture *f = *state;
    add_idle(f, 0, at(0), "a", 0, 1);
    add_idle(f, 0, at(HOUR), "a", 0, 2);
    add_idle(f, 0, at(DAY - 60), "a", 1, 4);
    add_idle(f, 0, at(DAY), "a", 0, 8);
    add_shard(f, 0, at(DAY) - 1);
    put(f);
    assert_string_equal(all_rows(f, LEVEL_DAY), "");
    add_shard(f, 0, at(DAY));
    put(f);
    assert_string_equal(all_rows(f, LEVEL_DAY), "0 a0 $3, 0 a1 $4");
    add_shard(f, 0, at(2 * DAY) + 1);
    put(f);
    assert_string_equal(all_rows(f, LEVEL_DAY), "0 a0 $3, 0 a1 $4, 86400 a0 $8");
}

static void test_late_windows_roll_up_again(void **state)
{
    struct fixture *f = *state;
    add_idle(f, 0, at(0), "a", 0, 1);
    add_idle(f, 0, at(HOUR), "a", 0, 2);
    add_shard(f, 0, at(DAY));
    put(f);
    struct window_row *row = add_idle(f, 0, at(0), "a", 0, 100);
    row->revision = 2;
    add_idle(f, 0, at(2 * HOUR), "b", 0, 1000); // nothing was there
    put(f);
    assert_string_equal(all_rows(f, LEVEL_HOUR), "0 a0 $100, 3600 a0 $2, 7200 b0 $1000");
    assert_string_equal(all_rows(f, LEVEL_DAY), "0 a0 $102, 0 b0 $1000");
    f->windows[f->n_windows++] = (struct window_rows){at(HOUR), at(HOUR + 60), 0, NULL, 0, false};
    put(f);
    assert_string_equal(all_rows(f, LEVEL_HOUR), "0 a0 $100, 7200 b0 $1000");
    assert_string_equal(all_rows(f, LEVEL_DAY), "0 a0 $100, 0 b0 $1000");
}

static void test_what_a_roll_up_holds(void **state)
{
    struct fixture *f = *state;
    struct window_row *row = add_idle(f, 0, at(0), "a", 0, 1);
    row->has_energy = true;
    row->energy_j = 0.1;
    row->site = STR("old");
    row->revision = 5;
    row = add_idle(f, 0, at(60), "a", 0, 2);
    row->unpriced_ns = 3;
    row->method = METHOD_EQUAL;
    row = add_idle(f, 0, at(120), "a", 0, 4);
    row->has_energy = true;
    row->energy_j = 0.2;
    row->site = STR("new");
    add_idle(f, 0, at(180), "a", 0, 8)->final = false;
    add_shard(f, 0, at(HOUR));
    put(f);
    char *want AUTO_FREE = x_asprintf("0 'a' 0/-1 idle 'new' - - 7 0 0 0 0 0 0 0 %lld 3 %a J final"
                                      " r5 weighted\n",
                                      180LL * NS_PER_S, 0.1 + 0.2);
    assert_text(dump_windows(f, f->s, LEVEL_HOUR, -1), want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(test_hour_comes_with_the_frontier),
        ON_ALL(test_each_shard_has_its_frontier),
        ON_ALL(test_days),
        ON_ALL(test_late_windows_roll_up_again),
        ON_ALL(test_what_a_roll_up_holds),
    };
    return fixture_run("rollups", tests);
}
