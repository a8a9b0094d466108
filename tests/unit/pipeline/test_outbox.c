// What travels to the store: later findings take the place of earlier ones, and nothing gets lost.
#include "pipeline/outbox.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "test.h"

static void add_window(struct outbox *o, int64_t start, uint32_t shard, size_t rows)
{
    o->shard = shard;
    outbox_add_window(o, start, start + 60);
    for (size_t i = 0; i < rows; i++) {
        struct window_row row = {.window_start = start, .cost_nusd = (int64_t)i};
        outbox_add_row(o, &row);
    }
}

static void add_state(struct outbox *o, uint32_t shard, int64_t frontier, struct engine *e)
{
    const struct shard_state state = {.shard = shard, .frontier = frontier};
    const struct time_range *dirty;
    size_t n = engine_dirty(e, &dirty);
    outbox_add_shard(o, &state, dirty, n);
}

static struct engine *dirty_engine(int64_t from, int64_t to)
{
    static const struct price_book no_prices = {NULL, 0};
    static struct settings epoch;
    static const struct settings_history settings = {&epoch, 1};
    epoch = settings_default;
    struct engine *e = engine_new(&settings, &no_prices);
    engine_dirty_add(e, from, to);
    return e;
}

static void test_windows_keep_their_rows(void **state)
{
    (void)state;
    struct outbox a = {0}, b = {0};
    assert_true(outbox_empty(&a));
    add_window(&a, 0, 0, 2);
    add_window(&a, 60, 0, 0);
    add_window(&b, 120, 3, 3);
    outbox_append(&a, &b);
    assert_true(outbox_empty(&b));
    struct window_rows windows[3];
    struct store_write w = {0};
    outbox_fill(&a, windows, &w);
    assert_int_equal(w.n_windows, 3);
    const size_t rows[] = {2, 0, 3};
    const uint32_t shards[] = {0, 0, 3};
    for (size_t i = 0; i < 3; i++) {
        assert_i64(windows[i].window_start, (int64_t)i * 60);
        assert_i64(windows[i].window_end, (int64_t)i * 60 + 60);
        assert_int_equal(windows[i].n, rows[i]);
        assert_int_equal(windows[i].shard, shards[i]);
        for (size_t j = 0; j < rows[i]; j++) {
            assert_i64(windows[i].rows[j].window_start, (int64_t)i * 60);
            assert_i64(windows[i].rows[j].cost_nusd, (int64_t)j);
        }
    }
    outbox_clear(&a);
    assert_true(outbox_empty(&a));
    outbox_done(&a);
    outbox_done(&b);
}

// The newer state of a shard replaces the older one with all its ranges; another's stays.
static void test_newer_states_replace_older_ones(void **state)
{
    (void)state;
    struct engine *old = dirty_engine(0, 60), *other = dirty_engine(60, 120);
    struct engine *new = dirty_engine(180, 240);
    struct outbox a = {0}, b = {0};
    add_state(&a, 0, 100, old);
    add_state(&a, 1, 200, other);
    add_state(&b, 0, 300, new);
    outbox_append(&a, &b);
    struct store_write w = {0};
    outbox_fill(&a, NULL, &w);
    assert_int_equal(w.n_shards, 2);
    assert_int_equal(w.shards[0].shard, 1);
    assert_i64(w.shards[0].frontier, 200);
    assert_int_equal(w.shards[1].shard, 0);
    assert_i64(w.shards[1].frontier, 300);
    assert_int_equal(w.n_unsettled, 2);
    assert_int_equal(w.unsettled[0].shard, 1);
    assert_i64(w.unsettled[0].from, 60);
    assert_int_equal(w.unsettled[1].shard, 0);
    assert_i64(w.unsettled[1].from, 180);
    outbox_done(&a);
    outbox_done(&b);
    engine_free(old);
    engine_free(other);
    engine_free(new);
}

static void test_costs_in_order(void **state)
{
    (void)state;
    struct outbox a = {0}, b = {0};
    char id[] = "one"; // the engine's, which does not live as long
    const struct str text = {id, strlen(id)};
    const struct usage_cost costs[] = {
        {.seq = 1, .event_id = text}, {.seq = 2}, {.seq = 1, .event_id = text}};
    outbox_add_cost(&a, &costs[0]);
    outbox_add_cost(&b, &costs[1]);
    outbox_add_cost(&b, &costs[2]);
    memset(id, 'x', sizeof(id) - 1);
    assert_false(outbox_empty(&a));
    outbox_append(&a, &b);
    outbox_done(&b);
    struct store_write w = {0};
    outbox_fill(&a, NULL, &w);
    assert_int_equal(w.n_costs, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_i64(w.costs[i].seq, costs[i].seq);
        assert_str(w.costs[i].event_id, i == 1 ? NULL : "one");
    }
    outbox_done(&a);
}

static void test_the_last_of_a_window_counts(void **state)
{
    (void)state;
    struct outbox a = {0};
    add_window(&a, 0, 1, 2);
    add_window(&a, 60, 1, 1);
    add_window(&a, 0, 2, 1);
    add_window(&a, 0, 1, 3);
    outbox_drop_superseded(&a);
    struct window_rows windows[3];
    struct store_write w = {0};
    outbox_fill(&a, windows, &w);
    assert_int_equal(w.n_windows, 3);
    assert_i64(windows[0].window_start, 60);
    assert_int_equal(windows[1].shard, 2);
    assert_int_equal(windows[2].n, 3);
    assert_i64(windows[2].rows[2].cost_nusd, 2);
    outbox_done(&a);
}

// What is about a shard goes, and nothing else.
static void test_a_shard_is_dropped(void **state)
{
    (void)state;
    struct engine *e = dirty_engine(0, 60);
    struct outbox a = {0};
    for (uint32_t i = 0; i < 6; i++) {
        uint32_t shard = i % 2;
        add_window(&a, i * 60, shard, i + 1);
        struct usage_cost cost = {.seq = (int64_t)i + 1};
        outbox_add_cost(&a, &cost);
        if (i < 2) {
            add_state(&a, shard, 100, e);
        }
    }
    outbox_drop_shard(&a, 0);
    struct window_rows windows[3];
    struct store_write w = {0};
    outbox_fill(&a, windows, &w);
    assert_int_equal(w.n_windows, 3);
    assert_int_equal(w.n_costs, 3);
    assert_int_equal(w.n_shards, 1);
    assert_int_equal(w.n_unsettled, 1);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(windows[i].shard, 1);
        assert_int_equal(windows[i].n, 2 * i + 2);
        assert_i64(windows[i].rows[2 * i + 1].cost_nusd, (int64_t)(2 * i + 1));
        assert_i64(w.costs[i].seq, (int64_t)(2 * i + 2));
    }
    outbox_done(&a);
    engine_free(e);
}

// Every parcel's would come to be as large as the largest there ever was.
static void test_a_large_one_does_not_stay_large(void **state)
{
    (void)state;
    enum { MANY = 20000, FEW = 100 };
    struct outbox o = {0};
    for (int64_t n = MANY; n >= FEW; n -= MANY - FEW) {
        add_window(&o, 60, 1, (size_t)n);
        for (int64_t i = 0; i < n; i++) {
            const struct usage_cost cost = {.seq = i + 1, .event_id = STR("r")};
            outbox_add_cost(&o, &cost);
        }
        assert_i64(o.costs[n - 1].seq, n);
        assert_int_equal(o.cost_shards[n - 1], 1);
        assert_i64(o.rows[n - 1].cost_nusd, n - 1);
        outbox_clear(&o);
        assert_true(outbox_empty(&o));
        assert_true(outbox_reserved(&o) <= OUTBOX_KEPT);
    }
    outbox_done(&o);
}

// Nor do many, each a little larger than the one before: nothing in them adds up.
static void test_what_is_kept_is_bounded(void **state)
{
    (void)state;
    enum { SIZES = 400, STEP = 13 };
    struct outbox o = {0};
    size_t most = 0;
    for (int64_t n = 1; n < SIZES * STEP; n += STEP) {
        const struct shard_state shard = {.shard = (uint32_t)n};
        const struct time_range range = {n, n + 1};
        for (int64_t i = 0; i < n; i++) {
            const struct usage_cost cost = {.seq = i + 1, .event_id = STR("vllm-a-0-000000000001")};
            outbox_add_cost(&o, &cost);
        }
        for (int64_t i = 0; i < n; i += STEP) {
            add_window(&o, i, 1, STEP);
            outbox_add_shard(&o, &shard, &range, 1);
        }
        most = MAX(most, outbox_reserved(&o));
        outbox_clear(&o);
        assert_true(outbox_reserved(&o) <= OUTBOX_KEPT);
    }
    assert_true(most > OUTBOX_KEPT); // else it was no question
    outbox_done(&o);
}

int main(void)
{
    return TEST_RUN(TEST(test_the_last_of_a_window_counts), TEST(test_a_shard_is_dropped),
                    TEST(test_windows_keep_their_rows), TEST(test_newer_states_replace_older_ones),
                    TEST(test_costs_in_order), TEST(test_a_large_one_does_not_stay_large),
                    TEST(test_what_is_kept_is_bounded));
}
