#include "cost/gpu.h"

#include "base/alloc.h"
#include "ledger.h"

static void add_sample(struct gpu *g, int64_t ts, const char *id, int64_t price)
{
    struct sample s = {.ts = ts,
                       .price_nusd = price,
                       .name = NO_TEXT,
                       .site = NO_TEXT,
                       .id = short_id_make(NULL, str_of(id))};
    gpu_add_sample(g, &s);
}

static void test_samples_are_sorted(void **state)
{
    (void)state;
    struct gpu g = {0};
    add_sample(&g, 10, "a", 1);
    add_sample(&g, 30, "b", 3);
    add_sample(&g, 20, "c", 2);
    add_sample(&g, 5, "d", 0);
    gpu_sort(&g);
    add_sample(&g, 25, "e", 4);
    gpu_sort(&g);
    const int64_t ts[] = {5, 10, 20, 25, 30}, prices[] = {0, 1, 2, 4, 3};
    assert_int_equal(g.n_samples, ARRAY_LEN(ts));
    for (size_t i = 0; i < ARRAY_LEN(ts); i++) {
        assert_i64(g.samples[i].ts, ts[i]);
        assert_i64(g.samples[i].price_nusd, prices[i]);
    }
    gpu_done(&g);
}

// Of samples at one instant the lowest event_id counts, whenever it comes.
static void test_one_sample_an_instant(void **state)
{
    (void)state;
    struct gpu g = {0};
    add_sample(&g, 10, "m", 1);
    add_sample(&g, 10, "z", 2);
    add_sample(&g, 20, "m", 3);
    gpu_sort(&g);
    assert_int_equal(g.n_samples, 2);
    assert_i64(g.samples[0].price_nusd, 1);
    add_sample(&g, 10, "b", 4);
    add_sample(&g, 10, "c", 5);
    add_sample(&g, 20, "ma", 6); // behind its own beginning
    gpu_sort(&g);
    assert_int_equal(g.n_samples, 2);
    assert_i64(g.samples[0].price_nusd, 4);
    assert_i64(g.samples[1].price_nusd, 3);
    gpu_done(&g);
}

static void test_uses_are_sorted(void **state)
{
    (void)state;
    struct request requests[] = {{.id = short_id_make(NULL, STR("b"))},
                                 {.id = short_id_make(NULL, STR("a"))},
                                 {.id = short_id_make(NULL, STR("c"))}};
    const int64_t starts[] = {10, 10, 5};
    struct gpu g = {0};
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        gpu_add_use(&g, (struct use){starts[i], 20, &requests[i], 0});
    }
    gpu_sort(&g);
    assert_ptr_equal(g.uses[0].request, &requests[2]);
    assert_ptr_equal(g.uses[1].request, &requests[1]); // at one start, by event_id
    assert_ptr_equal(g.uses[2].request, &requests[0]);
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        short_id_done(requests[i].id);
    }
    gpu_done(&g);
}

// What is older than `before` goes; of a request that ended its time stays, of one that runs all.
static void test_forgets(void **state)
{
    (void)state;
    struct request ended = {0}, running = {0}, coming = {0};
    struct gpu g = {0};
    add_sample(&g, 10, "a", 1);
    add_sample(&g, 50, "b", 2);
    add_sample(&g, 130, "c", 3);
    gpu_add_use(&g, (struct use){20, 90, &ended, 0});
    gpu_add_use(&g, (struct use){80, 150, &running, 0});
    gpu_add_use(&g, (struct use){110, 160, &coming, 0});
    gpu_sort(&g);
    g.at_use = 2; // as leave_window() puts the cursors behind a window up to 100
    ARRAY_RESERVE(g.running, g.n_running, g.cap_running);
    g.running[g.n_running++] = 1;
    gpu_forget(&g, 100, 49);
    assert_int_equal(g.n_samples, 2);
    assert_i64(g.samples[0].ts, 50);
    assert_int_equal(g.n_busy, 1);
    assert_i64(g.busy[0].from, 20);
    assert_i64(g.busy[0].to, 90);
    assert_int_equal(g.n_uses - g.head_uses, 2);
    assert_ptr_equal(g.uses[g.head_uses].request, &running);
    assert_i64(g.before, 90);
    assert_i64(g.after, 100); // a request crosses the frontier
    assert_i64(g.sample_after, 130);
    assert_false(gpu_empty(&g));
    g.at_use = g.n_uses;
    g.n_running = 0;
    gpu_forget(&g, 500, 400);
    assert_true(gpu_empty(&g));
    gpu_done(&g);
}

static void test_busy_time_is_merged(void **state)
{
    (void)state;
    struct gpu g = {0};
    gpu_add_busy(&g, 10, 20);
    gpu_add_busy(&g, 30, 40);
    gpu_add_busy(&g, 20, 30);
    gpu_add_busy(&g, 50, 60);
    assert_int_equal(g.n_busy, 2);
    assert_i64(g.busy[0].from, 10);
    assert_i64(g.busy[0].to, 40);
    gpu_done(&g);
}

int main(void)
{
    return TEST_RUN(TEST(test_samples_are_sorted), TEST(test_one_sample_an_instant),
                    TEST(test_uses_are_sorted), TEST(test_forgets), TEST(test_busy_time_is_merged));
}
