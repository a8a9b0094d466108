// Expiry: what goes, and what stays because something still needs it.
#include <errno.h>

#include "fixture.h"

enum { HOUR = 3600, DAY = 24 * HOUR };

static size_t expire(struct fixture *f, enum store_collection c, int64_t before, size_t limit)
{
    size_t removed = 99;
    assert_ok(store_expire(f->s, c, before, limit, &removed, &f->err), &f->err);
    return removed;
}

// 10 samples and 10 final requests, one every 10 minutes, each a second long; frontier at the end.
static void fill_history(struct fixture *f)
{
    char id[2] = "a";
    for (int i = 0; i < 10; i++, id[0]++) {
        add_sample(f, id, "h", 0, at(600 * i));
        add_usage(f, id, "h", 0, at(600 * i), at(600 * i + 1));
    }
    put(f);
    for (int i = 0; i < 10; i++) {
        add_cost(f, i + 1, 1, 1);
    }
    set_seen(f, add_shard(f, 0, at(6000)), 10, 10);
    put(f);
}

static char *samples_of(struct fixture *f)
{
    return ids_of(f, f->s, query(RECORD_SAMPLE, RECORDS_BY_TIME, RECORDS_ALL));
}

static char *usages_of(struct fixture *f)
{
    return ids_of(f, f->s, query(RECORD_USAGE, RECORDS_BY_TIME, RECORDS_ALL));
}

static void test_expire_records(void **state)
{
    struct fixture *f = *state;
    fill_history(f);
    assert_i64(info_of(f, f->s).raw_from, INT64_MIN);
    assert_i64((int64_t)expire(f, STORE_GPU_METRICS, at(1200), 100), 2);
    assert_string_equal(samples_of(f), "c d e f g h i j");
    assert_i64(info_of(f, f->s).raw_from, at(600) + 1);
    assert_i64(info_of(f, f->s).samples, 8);
    assert_i64(info_of(f, f->s).first, at(0));                         // a request's
    assert_i64((int64_t)expire(f, STORE_TOKEN_USAGE, at(1801), 3), 3); // one that ends then stays
    assert_string_equal(usages_of(f), "d e f g h i j");
    assert_i64(info_of(f, f->s).raw_from, at(1201) + 1);
    assert_i64(info_of(f, f->s).first, at(1200));
    assert_i64((int64_t)expire(f, STORE_TOKEN_USAGE, at(1801), 3), 0);
    struct usage_cost cost;
    assert_i64(store_cost(f->s, nth_seq(f, RECORD_USAGE, 1), &cost, &f->err), -ENOENT);
    assert_i64((int64_t)expire(f, STORE_TOKEN_USAGE, at(1802), 0), 0);
}

// What comes again after it was expired, or comes that late, would be counted on top of what is
// computed already: it goes to the dead letters. What is still there is a duplicate as ever.
static void test_too_late(void **state)
{
    struct fixture *f = *state;
    enum { MARGIN = 2 * 300 + 60 };
    fill_history(f);
    add_usage(f, "early", "h", 0, at(1203), at(1204));
    put(f);
    assert_i64(f->records[0].verdict, STORE_NEW); // nothing was expired yet
    assert_i64((int64_t)expire(f, STORE_TOKEN_USAGE, at(1202), 3), 3);
    for (int pass = 0; pass < 2; pass++) {
        add_usage(f, "a", "h", 0, at(0), at(1));
        add_sample(f, "new", "h", 0, at(1201 + MARGIN));
        add_usage(f, "d", "h", 0, at(1800), at(1801));
        add_usage(f, "d", "h", 0, at(1800), at(1802));
        add_usage(f, pass ? "y" : "x", "h", 0, at(1202 + MARGIN), at(1203 + MARGIN));
        for (size_t i = 0; i < f->n_records; i++) { // from two files: each tells of its own
            f->records[i].origin = pass ? STR("again.ndjson") : STR("late.ndjson");
        }
        put(f);
        static const enum store_verdict verdicts[] = {STORE_EXPIRED, STORE_EXPIRED, STORE_DUPLICATE,
                                                      STORE_CONFLICT, STORE_NEW};
        for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
            assert_i64(f->records[i].verdict, verdicts[i]);
            assert_true((f->records[i].record->seq > 0) == (verdicts[i] != STORE_EXPIRED));
        }
        fixture_reopen(f);
    }
    assert_i64(info_of(f, f->s).dead_letters, 6);
    assert_string_equal(usages_of(f), "early d x y e f g h i j");
}

static void test_expire_by_and_by(void **state)
{
    struct fixture *f = *state;
    fill_history(f);
    assert_i64((int64_t)expire(f, STORE_TOKEN_USAGE, at(3000), 2), 2);
    assert_string_equal(usages_of(f), "c d e f g h i j");
    assert_i64((int64_t)expire(f, STORE_TOKEN_USAGE, at(3000), 2), 2);
    assert_i64((int64_t)expire(f, STORE_TOKEN_USAGE, at(3000), 2), 1);
    assert_string_equal(usages_of(f), "f g h i j");
    fixture_reopen(f);
    assert_i64(info_of(f, f->s).usages, 5);
    add_usage(f, "z", "h", 0, at(7000), at(7001));
    put(f);
    int64_t last = nth_seq(f, RECORD_USAGE, 10);
    assert_true(f->records[0].record->seq > last); // numbers do not come back
}

// What the end of the history depends on stays: twice gpu_timeout and a window, 11 minutes.
static void test_expire_keeps_the_neighbourhood(void **state)
{
    struct fixture *f = *state;
    fill_history(f);
    assert_i64((int64_t)expire(f, STORE_GPU_METRICS, INT64_MAX, 100), 9); // those before 5340 s
    assert_string_equal(samples_of(f), "j");
    assert_i64((int64_t)expire(f, STORE_TOKEN_USAGE, INT64_MAX, 100), 9);
    assert_string_equal(usages_of(f), "j");
    assert_i64(info_of(f, f->s).last, at(5401));
}

static void test_expire_keeps_what_is_open(void **state)
{
    struct fixture *f = *state;
    fill_history(f);
    add_cost(f, 2, 1, 1)->final = false;
    add_sample(f, "late", "h", 0, at(1)); // not taken in by the engine yet
    set_seen(f, add_shard(f, 0, at(6000)), 10, 10);
    put(f);
    assert_i64((int64_t)expire(f, STORE_TOKEN_USAGE, at(1800), 100), 2);
    assert_string_equal(usages_of(f), "b d e f g h i j");
    assert_i64((int64_t)expire(f, STORE_GPU_METRICS, at(1800), 100), 3);
    assert_string_equal(samples_of(f), "late d e f g h i j");
    set_seen(f, add_shard(f, 0, at(6000)), 10, 4);
    put(f);
    assert_i64((int64_t)expire(f, STORE_TOKEN_USAGE, at(3600), 100), 1);
    assert_string_equal(usages_of(f), "b e f g h i j");
}

static void test_expire_keeps_what_is_unsettled(void **state)
{
    struct fixture *f = *state;
    fill_history(f);
    add_shard(f, 0, at(6000));
    add_unsettled(f, 0, at(3060), at(3120));
    put(f);
    assert_i64((int64_t)expire(f, STORE_GPU_METRICS, INT64_MAX, 100), 4); // before 2400 s
    assert_string_equal(samples_of(f), "e f g h i j");
}

// A request that runs when the unsettled time begins takes its own beginning along.
static void test_expire_keeps_what_runs(void **state)
{
    struct fixture *f = *state;
    fill_history(f);
    add_usage(f, "long", "h", 0, at(1500), at(3061));
    put(f);
    add_cost(f, 11, 1, 1);
    add_shard(f, 0, at(6000));
    add_unsettled(f, 0, at(3060), at(3120));
    put(f);
    assert_i64((int64_t)expire(f, STORE_TOKEN_USAGE, INT64_MAX, 100), 2); // before 840 s
    assert_string_equal(usages_of(f), "c long d e f g h i j");
    add_shard(f, 0, at(6000))->oldest_pending = at(1700);
    put(f);
    assert_i64((int64_t)expire(f, STORE_TOKEN_USAGE, INT64_MAX, 100), 0);
    add_shard(f, 0, at(6000));
    put(f);
    assert_i64((int64_t)expire(f, STORE_TOKEN_USAGE, INT64_MAX, 100), 8);
    assert_string_equal(usages_of(f), "j");
}

static void test_expire_waits_for_the_engine(void **state)
{
    struct fixture *f = *state;
    add_sample(f, "a", "h", 0, at(0));
    put(f); // no frontier yet
    assert_i64((int64_t)expire(f, STORE_GPU_METRICS, INT64_MAX, 100), 0);
}

static void test_expire_everything(void **state)
{
    struct fixture *f = *state;
    struct settings e = settings_default;
    assert_ok(store_add_settings(f->s, &e, 0, &f->err), &f->err);
    fill_history(f);
    add_shard(f, 0, at(10 * DAY));
    put(f);
    assert_i64((int64_t)expire(f, STORE_GPU_METRICS, INT64_MAX, 100), 10);
    assert_i64((int64_t)expire(f, STORE_TOKEN_USAGE, INT64_MAX, 100), 10);
    struct store_info i = info_of(f, f->s);
    assert_true(i.samples == 0 && i.usages == 0 && i.first == INT64_MAX && i.last == INT64_MIN);
    struct gpu_info *gpus = NULL;
    size_t n = 0;
    assert_ok(store_gpus(f->s, &f->arena, &gpus, &n, &f->err), &f->err);
    assert_i64((int64_t)n, 1); // the last that was seen of it stays
    assert_i64(gpus[0].newest.ts, at(5400));
    assert_i64(gpus[0].first_seen, at(0));
}

static void test_expire_windows(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 4; i++) {
        add_idle(f, 0, at(i * HOUR), "a", 0, 1 << i);
        add_idle(f, 0, at(i * HOUR + 60), "a", 0, 16 << i);
    }
    add_shard(f, 0, at(3 * HOUR + 120));
    put(f);
    assert_string_equal(all_rows(f, LEVEL_HOUR), "0 a0 $17, 3600 a0 $34, 7200 a0 $68");
    assert_i64((int64_t)expire(f, STORE_COST_WINDOWS, at(HOUR + 60), 100), 3);
    assert_string_equal(all_rows(f, LEVEL_WINDOW),
                        "3660 a0 $32, 7200 a0 $4, 7260 a0 $64, 10800 a0 $8, 10860 a0 $128");
    assert_string_equal(all_rows(f, LEVEL_HOUR), "0 a0 $17, 3600 a0 $34, 7200 a0 $68");

    // The hours of what was expired are not summed up from what is left of it.
    add_idle(f, 0, at(0), "a", 0, 500);
    add_idle(f, 0, at(HOUR + 120), "a", 0, 500);
    add_idle(f, 0, at(2 * HOUR), "a", 0, 5);
    put(f);
    assert_string_equal(all_rows(f, LEVEL_HOUR), "0 a0 $17, 3600 a0 $34, 7200 a0 $69");
    add_shard(f, 0, at(DAY));
    put(f);
    assert_string_equal(all_rows(f, LEVEL_DAY), "0 a0 $256");
}

static void test_expire_windows_guards(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 4; i++) {
        add_idle(f, 0, at(i * HOUR), "a", 0, 1);
        add_idle(f, 1, at(i * HOUR), "b", 0, 1);
    }
    add_shard(f, 0, at(3 * HOUR + 600)); // its fourth hour is not complete
    add_shard(f, 1, at(4 * HOUR));
    add_unsettled(f, 1, at(HOUR + 600), at(HOUR + 660));
    put(f);
    assert_i64((int64_t)expire(f, STORE_COST_WINDOWS, INT64_MAX, 2), 2);
    assert_i64((int64_t)expire(f, STORE_COST_WINDOWS, INT64_MAX, 100), 2);
    assert_string_equal(all_rows(f, LEVEL_WINDOW),
                        "3600 b0 $1, 7200 b0 $1, 10800 a0 $1, 10800 b0 $1");
}

static void test_expire_dead_letters(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 4; i++) {
        f->letters[i] = (struct dead_letter){.at = at(i), .position = i, .reason = STR("r")};
    }
    f->n_letters = 4;
    put(f);
    assert_i64((int64_t)expire(f, STORE_DEAD_LETTERS, at(3), 2), 2);
    assert_i64((int64_t)expire(f, STORE_DEAD_LETTERS, at(3), 2), 1);
    assert_i64(only_letter(f).position, 3);
    assert_i64(info_of(f, f->s).dead_letters, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(test_expire_records),
        ON_ALL(test_too_late),
        ON_ALL(test_expire_by_and_by),
        ON_ALL(test_expire_keeps_the_neighbourhood),
        ON_ALL(test_expire_keeps_what_is_open),
        ON_ALL(test_expire_keeps_what_is_unsettled),
        ON_ALL(test_expire_keeps_what_runs),
        ON_ALL(test_expire_waits_for_the_engine),
        ON_ALL(test_expire_everything),
        ON_ALL(test_expire_windows),
        ON_ALL(test_expire_windows_guards),
        ON_ALL(test_expire_dead_letters),
    };
    return fixture_run("expire", tests);
}
