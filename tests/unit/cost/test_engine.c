// Time moving on: what is late and what that makes dirty, previews, partial sums, restarts.
#include "ledger.h"

#include "base/time.h"

static void check_dirty(const struct engine *e, int64_t from, int64_t to)
{
    const struct time_range *ranges;
    size_t n = engine_dirty(e, &ranges);
    if (from == to) {
        assert_int_equal(n, 0);
        return;
    }
    assert_int_equal(n, 1);
    assert_i64(ranges[0].from, from);
    assert_i64(ranges[0].to, to);
}

// A sample at 0 and one at 1200 s, computed up to 600 s; then one record more.
static const struct {
    const char *name;
    bool sample;
    int64_t from, to; // of a request; a sample's instant is `from`
    int64_t dirty_from, dirty_to;
} late[] = {
    // Reaching 300 s back and ahead, in whole windows, up to the frontier.
    {"a sample in the past", true, 400 * S, 0, 60 * S, 600 * S},
    {"a sample long ago", true, 30 * S, 0, 0, 360 * S},
    {"a request in the past", false, 400 * S, 410 * S, 60 * S, 600 * S},
    {"a request over the frontier", false, 590 * S, 700 * S, 240 * S, 600 * S},
    {"a request from the frontier on, far from everything", false, 600 * S, 700 * S, 0, 0},
    {"a sample after the frontier, far from everything", true, 601 * S, 0, 0, 0},
};

static void test_late(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(late); i++) {
        struct bench b;
        bench_init(&b);
        assert_int_equal(bench_add(&b, make_sample("s0", 0, PRICE_NONE)), 0);
        assert_int_equal(bench_add(&b, make_sample("s1", 1200 * S, PRICE_NONE)), 0);
        bench_advance(&b, 600 * S);
        assert_i64(engine_frontier(b.engine), 600 * S);
        struct record r = late[i].sample ? make_sample("r", late[i].from, PRICE_NONE)
                                         : make_usage("r", late[i].from, -1, late[i].to, 1, 1);
        int got = bench_add(&b, r);
        bool is_late = late[i].dirty_to > 0;
        if (got != (is_late ? ENGINE_LATE : 0)) {
            fail_at(__FILE__, __LINE__, "%s: %d\n", late[i].name, got);
        }
        check_dirty(b.engine, late[i].dirty_from, late[i].dirty_to);
        assert_i64((int64_t)engine_stats(b.engine).late, is_late);
        bench_done(&b);
    }
}

static struct record evidence(const char *id, bool request, int64_t at)
{
    return request ? make_usage(id, at, -1, at + S, 1, 1) : make_sample(id, at, PRICE_NONE);
}

// The first evidence behind the frontier (240 s) bills the gap before it, if that is no longer than
// gpu_timeout.
static void test_closing_a_gap(void **state)
{
    (void)state;
    static const struct {
        int64_t ts;
        int want;
    } cases[] = {{290 * S, ENGINE_LATE}, {300 * S, ENGINE_LATE}, {300 * S + 1, 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int request = 0; request < 2; request++) {
            struct bench b;
            bench_init(&b);
            (void)bench_add(&b, make_sample("s0", 0, PRICE_NONE));
            bench_advance(&b, 240 * S);
            assert_int_equal(b.ledger.n_rows, 0);
            assert_int_equal(bench_add(&b, evidence("s1", request, cases[i].ts)), cases[i].want);
            check_dirty(b.engine, 0, cases[i].want ? 240 * S : 0);
            assert_int_equal(bench_add(&b, evidence("s2", request, cases[i].ts + S)), 0);
            bench_done(&b);
        }
    }
}

// Up to the frontier the GPU is billed for a request; a sample close behind gives that time its
// price. Only the nearest one does.
static void test_pricing_what_is_final(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    (void)bench_add(&b, make_usage("r", 0, -1, 60 * S, 1, 1));
    bench_advance(&b, 60 * S);
    assert_int_equal(bench_add(&b, make_sample("s0", 80 * S, 7)), ENGINE_LATE);
    check_dirty(b.engine, 0, 60 * S);
    engine_dirty_remove(b.engine, 0, 60 * S);
    assert_int_equal(bench_add(&b, make_sample("s1", 85 * S, 9)), 0);
    assert_int_equal(bench_add(&b, make_sample("s2", 75 * S, 8)), ENGINE_LATE);
    bench_done(&b);
}

// A sample of the same instant with a lower event_id takes the place of the one before, and its
// price with it.
static void test_replacing_a_sample_ahead(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    (void)bench_add(&b, make_usage("r", 0, -1, 60 * S, 1, 1));
    bench_advance(&b, 60 * S);
    assert_int_equal(bench_add(&b, make_sample("z", 80 * S, 7)), ENGINE_LATE);
    engine_dirty_remove(b.engine, 0, 60 * S);
    assert_int_equal(bench_add(&b, make_sample("a", 80 * S, 9)), ENGINE_LATE);
    check_dirty(b.engine, 0, 60 * S);
    bench_done(&b);
}

static int add_sited(struct bench *b, const char *id, int64_t ts, const char *site)
{
    struct record r = make_sample(id, ts, PRICE_NONE);
    r.sample.site = str_of(site);
    return bench_add(b, r);
}

// Where a GPU is, the next sample that states it may say, though it is not the next one.
static void test_siting_what_is_final(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    (void)bench_add(&b, make_usage("r", 0, -1, 60 * S, 1, 1));
    (void)add_sited(&b, "s0", 60 * S, NULL);
    bench_advance(&b, 60 * S);
    assert_int_equal(add_sited(&b, "s1", 70 * S, NULL), 0);
    assert_int_equal(add_sited(&b, "s2", 80 * S, "ams"), ENGINE_LATE);
    check_dirty(b.engine, 0, 60 * S);
    engine_dirty_remove(b.engine, 0, 60 * S);
    assert_int_equal(add_sited(&b, "s3", 85 * S, "fra"), 0);
    assert_int_equal(add_sited(&b, "s4", 75 * S, "fra"), ENGINE_LATE);
    engine_dirty_remove(b.engine, 0, 60 * S);
    assert_int_equal(add_sited(&b, "a", 75 * S, NULL), ENGINE_LATE); // and takes s4's place
    engine_dirty_remove(b.engine, 0, 60 * S);
    assert_int_equal(add_sited(&b, "s5", 76 * S, "ber"), ENGINE_LATE);
    bench_done(&b);
}

// It is that of the whole window, also where its billed time is long over and forgotten.
static void test_siting_a_whole_window(void **state)
{
    (void)state;
    static const struct {
        int64_t ts;
        const char *site;
        int want;
    } cases[] = {{3610 * S, NULL, 0},
                 {3610 * S, "ams", ENGINE_LATE},
                 {3630 * S - 1, "ams", ENGINE_LATE}, // 30 s behind the window's last nanosecond
                 {3630 * S, "ams", 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        bench_init(&b);
        b.epochs[0].window_ns = HOUR;
        (void)bench_add(&b, make_usage("r", 0, -1, 10 * S, 1, 1));
        bench_advance(&b, HOUR);
        assert_int_equal(add_sited(&b, "s", cases[i].ts, cases[i].site), cases[i].want);
        check_dirty(b.engine, 0, cases[i].want ? HOUR : 0);
        bench_done(&b);
    }
}

// Before the first step, and before engine_start_at(), nothing is late.
static void test_nothing_is_late_before_time_moves(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    assert_i64(engine_frontier(b.engine), INT64_MIN);
    bench_advance(&b, 600 * S); // of nothing
    assert_i64(engine_frontier(b.engine), INT64_MIN);
    assert_int_equal(bench_add(&b, make_usage("r", 0, -1, 60 * S, 1, 1)), 0);
    bench_done(&b);
    bench_init(&b);
    engine_start_at(b.engine, 630 * S);
    assert_i64(engine_frontier(b.engine), 600 * S);
    assert_int_equal(bench_add(&b, make_usage("r", 0, -1, 60 * S, 1, 1)), 0);
    check_dirty(b.engine, 0, 0);
    bench_done(&b);
}

// A frontier only moves to whole windows, and never back.
static void test_whole_windows(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    (void)bench_add(&b, make_usage("r", 70 * S, -1, 80 * S, 1, 1));
    bench_advance(&b, 120 * S - 1);
    assert_int_equal(b.ledger.n_windows, 0);
    bench_advance(&b, 120 * S);
    assert_int_equal(b.ledger.n_windows, 1);
    assert_i64(engine_frontier(b.engine), 120 * S);
    bench_advance(&b, 60 * S);
    assert_int_equal(b.ledger.n_windows, 0);
    assert_i64(engine_frontier(b.engine), 120 * S);
    bench_done(&b);
}

static void test_preview_changes_nothing(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    bench_preview(&b);
    assert_int_equal(b.ledger.n_windows, 0);
    bench_cover(&b, 0, 180 * S);
    (void)bench_add(&b, make_usage("r", 30 * S, -1, 90 * S, 1, 1));
    bench_advance(&b, 60 * S);
    for (int i = 0; i < 2; i++) {
        bench_preview(&b);
        assert_int_equal(b.ledger.n_windows, 2);
        assert_int_equal(b.ledger.n_costs, 0);
        const struct window_row *row = ledger_row(&b.ledger, 60 * S, 0, ROW_USAGE, NULL);
        assert_i64(row->cost_nusd, 30000000);
        assert_false(row->final);
        assert_i64(row->revision, 0);
        assert_i64(ledger_money(&b.ledger, ROW_IDLE), 90000000);
    }
    bench_advance(&b, 180 * S);
    const struct window_row *row = ledger_row(&b.ledger, 60 * S, 0, ROW_USAGE, NULL);
    assert_true(row->final);
    assert_i64(row->revision, 1);
    assert_i64(row->cost_nusd, 30000000);
    assert_i64(ledger_cost(&b.ledger, "r")->cost_nusd, 60000000);
    bench_done(&b);
}

// Step by step, over a long silence, and with what happens in between.
static void test_preview_in_steps(void **state)
{
    (void)state;
    enum { LATER = 100000 };
    struct bench b;
    bench_init(&b);
    struct engine_sink sink = ledger_sink(&b.ledger);
    assert_false(engine_preview_changed(b.engine, 1, &sink));
    bench_cover(&b, 0, 180 * S);
    bench_cover(&b, LATER * 60 * S, LATER * 60 * S + 30 * S);
    assert_true(engine_preview_changed(b.engine, 1, &sink));
    assert_int_equal(b.ledger.n_windows, 1);
    bench_advance(&b, 120 * S); // two windows, one of which was yet to come
    (void)bench_add(&b, make_usage("r", 130 * S, -1, 140 * S, 1, 1));
    ledger_clear(&b.ledger);
    int steps = 0;
    while (engine_preview_changed(b.engine, 1, &sink)) {
        assert_true(steps++ < 64);
    }
    assert_i64(ledger_row(&b.ledger, 120 * S, 0, ROW_USAGE, NULL)->cost_nusd, 10000000);
    assert_i64(ledger_row(&b.ledger, LATER * 60 * S, 0, ROW_IDLE, NULL)->window_start,
               LATER * 60 * S);
    size_t rows = b.ledger.n_rows, windows = b.ledger.n_windows;
    bench_preview(&b);
    assert_int_equal(b.ledger.n_rows, rows);
    assert_int_equal(b.ledger.n_windows, windows);
    bench_done(&b);
}

static void keep_partial(void *ctx, const struct usage_cost *c)
{
    struct ledger *l = ctx;
    assert_true(l->n_costs < ARRAY_LEN(l->costs));
    l->costs[l->n_costs++] = *c;
}

static void test_partials(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    (void)bench_add(&b, make_usage("crosses", 0, -1, 90 * S, 1, 1));
    (void)bench_add(&b, make_usage("ended", 120 * S, -1, 130 * S, 1, 1));
    (void)bench_add(&b, make_usage("coming", 200 * S, -1, 210 * S, 1, 1));
    bench_advance(&b, 60 * S);
    ledger_clear(&b.ledger);
    engine_partials(b.engine, keep_partial, &b.ledger);
    assert_int_equal(b.ledger.n_costs, 1);
    struct usage_cost c = b.ledger.costs[0];
    assert_i64(c.seq, 1);
    assert_i64(c.cost_nusd, 60000000);
    assert_true(c.priced);
    assert_false(c.final);
    // A settlement found other sums, and a part without a price.
    c.cost_in_nusd = 5;
    c.cost_out_nusd = 6;
    c.priced = false;
    c.unpriced_ns = 7;
    assert_true(engine_set_partial(b.engine, &c));
    c.seq = 3; // begins behind the frontier: was never charged
    assert_false(engine_set_partial(b.engine, &c));
    c.seq = 99;
    assert_false(engine_set_partial(b.engine, &c));
    bench_advance(&b, 120 * S);
    const struct usage_cost *done = ledger_cost(&b.ledger, "crosses");
    assert_i64(done->cost_nusd, 11 + 30000000);
    assert_i64(done->unpriced_ns, 7);
    assert_false(done->priced);
    assert_i64(ledger_row(&b.ledger, 60 * S, 0, ROW_USAGE, NULL)->unpriced_requests, 1);
    bench_done(&b);
}

// An engine that starts later computes the same from there on, with what came before as neighbours.
static void test_restart(void **state)
{
    (void)state;
    struct bench whole, later;
    bench_init(&whole);
    bench_init(&later);
    engine_start_at(later.engine, 120 * S);
    struct bench *both[] = {&whole, &later};
    for (size_t i = 0; i < 2; i++) {
        bench_cover(both[i], 0, 300 * S);
        (void)bench_add(both[i], make_usage("a", 10 * S, -1, 50 * S, 1, 1));
        (void)bench_add(both[i], make_usage("b", 100 * S, 110 * S, 200 * S, 3, 5));
        (void)bench_add(both[i], make_usage("c", 150 * S, -1, 160 * S, 1, 1));
    }
    bench_advance(&whole, 120 * S);
    bench_advance(&whole, 300 * S);
    bench_advance(&later, 300 * S);
    assert_int_equal(later.ledger.n_rows, whole.ledger.n_rows);
    for (size_t i = 0; i < whole.ledger.n_rows; i++) {
        assert_true(window_row_same(&whole.ledger.rows[i], &later.ledger.rows[i]));
    }
    assert_true(usage_cost_same(ledger_cost(&whole.ledger, "c"), ledger_cost(&later.ledger, "c")));
    // "b" was charged before by another: here only from 120 s on.
    assert_i64(ledger_cost(&whole.ledger, "b")->cost_nusd -
                   ledger_cost(&later.ledger, "b")->cost_nusd,
               20000000);
    bench_done(&whole);
    bench_done(&later);
}

static void test_watermarks(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    static const struct {
        int64_t watermark, want;
    } cases[] = {
        {INT64_MIN, INT64_MIN}, {0, INT64_MIN},          {300 * S, INT64_MIN},
        {300 * S + 1, 0},       {360 * S - 1, 0},        {360 * S, 60 * S},
        {1000 * S, 660 * S},    {1020 * S - 1, 660 * S}, {1020 * S, 720 * S},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_i64(engine_settled_until(b.engine, cases[i].watermark), cases[i].want);
    }
    bench_done(&b);
}

static void test_newest_and_oldest(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    assert_i64(engine_newest(b.engine), INT64_MIN);
    assert_i64(engine_oldest_pending(b.engine), INT64_MAX);
    (void)bench_add(&b, make_usage("a", 70 * S, -1, 80 * S, 1, 1));
    (void)bench_add(&b, make_usage("b", 30 * S, -1, 130 * S, 1, 1));
    struct record lost = make_usage("lost", 0, -1, 180 * S + 1, 1, 1);
    lost.usage.host = STR_NONE;
    (void)bench_add(&b, lost);
    assert_i64(engine_newest(b.engine), 180 * S + 1);
    assert_i64(engine_oldest_pending(b.engine), 30 * S);
    bench_advance(&b, 120 * S);
    assert_i64(engine_oldest_pending(b.engine), 30 * S);
    bench_advance(&b, 180 * S);
    assert_i64(engine_oldest_pending(b.engine), INT64_MAX);
    bench_done(&b);
}

static void test_dirty_ranges(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    engine_dirty_add(b.engine, 60 * S, 120 * S);
    engine_dirty_add(b.engine, 120 * S, 240 * S);
    check_dirty(b.engine, 60 * S, 240 * S);
    engine_dirty_remove(b.engine, 0, 180 * S);
    check_dirty(b.engine, 180 * S, 240 * S);
    engine_dirty_remove(b.engine, INT64_MIN, INT64_MAX);
    check_dirty(b.engine, 0, 0);
    bench_done(&b);
}

// A day of samples and requests leaves no more behind than the last few minutes need.
static void test_memory_is_bounded(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    size_t most = 0;
    for (int64_t t = 0; t < 24 * HOUR; t += 30 * S) {
        char id[32];
        snprintf(id, sizeof(id), "%lld", (long long)t);
        (void)bench_add(&b, make_sample(id, t, PRICE_NONE));
        (void)bench_add(&b, make_usage(id, t, -1, t + 20 * S, 1, 1));
        struct engine_sink nowhere = {0};
        engine_advance(b.engine, engine_settled_until(b.engine, t), &nowhere);
        struct engine_stats s = engine_stats(b.engine);
        most = MAX(most, s.samples + s.requests);
    }
    // 300 s of reach and 300 s of horizon, a window more: 22 samples, and half as many requests.
    assert_true(most <= 22 + 2 + 14);
    assert_i64((int64_t)engine_stats(b.engine).records, 2 * 2880);
    bench_done(&b);
}

// What no longer matters is not even kept: but it dirties what it touches.
static void test_too_old(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    (void)bench_add(&b, make_sample("s0", 0, PRICE_NONE));
    (void)bench_add(&b, make_sample("s1", 7200 * S, PRICE_NONE));
    bench_advance(&b, 7200 * S);
    size_t before = engine_stats(b.engine).samples;
    assert_int_equal(bench_add(&b, make_sample("old", 3600 * S, PRICE_NONE)), ENGINE_LATE);
    assert_int_equal(bench_add(&b, make_usage("r", 3600 * S, -1, 3610 * S, 1, 1)), ENGINE_LATE);
    assert_int_equal(engine_stats(b.engine).samples, before);
    assert_int_equal(engine_stats(b.engine).requests, 0);
    check_dirty(b.engine, 3300 * S, 3960 * S);
    bench_done(&b);
}

int main(void)
{
    return TEST_RUN(TEST(test_late), TEST(test_closing_a_gap), TEST(test_pricing_what_is_final),
                    TEST(test_replacing_a_sample_ahead), TEST(test_siting_what_is_final),
                    TEST(test_siting_a_whole_window), TEST(test_nothing_is_late_before_time_moves),
                    TEST(test_whole_windows), TEST(test_preview_changes_nothing),
                    TEST(test_preview_in_steps), TEST(test_partials), TEST(test_restart),
                    TEST(test_watermarks), TEST(test_newest_and_oldest), TEST(test_dirty_ranges),
                    TEST(test_memory_is_bounded), TEST(test_too_old));
}
