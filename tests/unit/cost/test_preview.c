// Windows as they stand, told again only where they may have changed: what was told adds up to what
// a whole preview says, whatever comes in whatever order.
#include "ledger.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/macros.h"

enum { ROUNDS = 30, STEPS = 400, WINDOWS = 4096, GPUS = 3 };
#define BEGIN (INT64_C(1700000040) * S)
#define WINDOW (60 * S)

struct shown {
    struct buf windows[WINDOWS]; // the rows of each, as text
    size_t at, told;             // the one that is being told; how many were
};

static void on_window(void *ctx, int64_t start, int64_t end)
{
    struct shown *s = ctx;
    int64_t at = start / WINDOW - BEGIN / WINDOW + WINDOWS / 2;
    assert_true(end - start == WINDOW && at >= 0 && at < WINDOWS);
    s->at = (size_t)at;
    s->told++;
    buf_clear(&s->windows[at]);
}

static void on_row(void *ctx, const struct window_row *r)
{
    struct shown *s = ctx;
    buf_printf(&s->windows[s->at], "%d %d " STR_FMT " " STR_FMT " " STR_FMT, r->gpu.index, r->kind,
               STR_ARG(r->site), STR_ARG(r->model), STR_ARG(r->tenant));
    const int64_t values[] = {r->cost_nusd,         r->cost_in_nusd,         r->cost_out_nusd,
                              r->prompt_tokens,     r->completion_tokens,    r->requests,
                              r->unpriced_requests, r->cached_prompt_tokens, r->busy_ns,
                              r->unpriced_ns};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        buf_printf(&s->windows[s->at], " %lld", (long long)values[i]);
    }
    buf_printf(&s->windows[s->at], " %d %a\n", r->has_energy, r->energy_j);
}

static void show(struct bench *b, struct shown *s)
{
    struct engine_sink sink = {.window_begin = on_window, .row = on_row, .ctx = s};
    s->told = 0;
    engine_preview(b->engine, &sink);
}

// A beginning of it; what comes in before the rest is told the next time.
static void show_some(struct bench *b, struct shown *s)
{
    struct engine_sink sink = {.window_begin = on_window, .row = on_row, .ctx = s};
    (void)engine_preview_changed(b->engine, 1, &sink);
}

// What has changed, so much work at a time.
static void show_changed(struct bench *b, struct shown *s, size_t work)
{
    struct engine_sink sink = {.window_begin = on_window, .row = on_row, .ctx = s};
    size_t steps = 0;
    for (s->told = 0; engine_preview_changed(b->engine, work, &sink); steps++) {
        assert_true(steps <= (GPUS + 1) * s->told + GPUS); // each a GPU of a window at least
    }
}

static struct shown *shown_new(void)
{
    struct shown *s = x_zalloc(sizeof(*s));
    for (size_t i = 0; i < WINDOWS; i++) {
        buf_init(&s->windows[i], 1 << 20);
    }
    return s;
}

static void shown_free(struct shown *s)
{
    for (size_t i = 0; i < WINDOWS; i++) {
        buf_done(&s->windows[i]);
    }
    free(s);
}

// ---- random records ----------------------------------------------------------------------------

// What a round is like.
struct weather {
    uint64_t seed;
    int64_t now;
    int64_t pace, disorder; // ns, at most, between two records, and back from now
    int64_t longest;        // request
    uint32_t sites, prices; // one sample in so many tells; 0: none
    int number;
};

static uint64_t below(struct weather *w, uint64_t n)
{
    w->seed ^= w->seed << 13;
    w->seed ^= w->seed >> 7;
    w->seed ^= w->seed << 17;
    return (w->seed >> 11) % n;
}

static bool one_in(struct weather *w, uint32_t n)
{
    return n > 0 && below(w, n) == 0;
}

static struct record a_sample(struct weather *w, const char *id, int64_t ts)
{
    struct record r =
        make_sample(id, ts, one_in(w, w->prices) ? (int64_t)below(w, 4) * USD : PRICE_NONE);
    r.sample.gpu.index = (int32_t)below(w, GPUS);
    r.sample.site = one_in(w, w->sites) ? (below(w, 2) ? STR("north") : STR("south")) : STR_NONE;
    if (below(w, 2)) {
        r.sample.has |= SAMPLE_POWER;
        r.sample.power_w = (double)below(w, 700);
    }
    return r;
}

static struct record a_request(struct weather *w, const char *id, int64_t end)
{
    static const int32_t gpus[] = {0, 1, 2};
    int64_t length = 1 + (int64_t)below(w, (uint64_t)w->longest);
    int64_t first = below(w, 2) ? end - length / 2 : -1;
    struct record r = make_usage(id, end - length, first, end, (int64_t)below(w, 1000), 7);
    r.usage.model = below(w, 2) ? STR("m") : STR("n");
    r.usage.site = one_in(w, w->sites) ? STR("east") : STR_NONE;
    on_gpus(&r, gpus + below(w, GPUS), 1);
    if (one_in(w, 8)) {
        on_gpus(&r, gpus, GPUS);
    }
    if (one_in(w, 16)) {
        r.usage.host = STR_NONE;
        on_gpus(&r, NULL, 0);
    }
    return r;
}

static void add_one(struct bench *b, struct weather *w)
{
    char id[16];
    snprintf(id, sizeof(id), "%d", w->number++);
    w->now += (int64_t)below(w, (uint64_t)w->pace);
    int64_t ts = w->now - (one_in(w, 4) ? (int64_t)below(w, (uint64_t)w->disorder) : 0);
    (void)bench_add(b, below(w, 2) ? a_sample(w, id, ts) : a_request(w, id, ts));
}

static void compare(struct bench *b, const struct shown *told, const struct shown *whole)
{
    int64_t frontier = engine_frontier(b->engine);
    for (size_t i = 0; i < WINDOWS; i++) {
        int64_t start = ((int64_t)i - WINDOWS / 2 + BEGIN / WINDOW) * WINDOW;
        if (start >= frontier) {
            assert_string_equal(told->windows[i].n ? buf_view(&told->windows[i]).p : "",
                                whole->windows[i].n ? buf_view(&whole->windows[i]).p : "");
        }
    }
}

static void random_round(struct bench *b, struct weather *w, bool default_price)
{
    struct shown *told = shown_new();
    b->epochs[0].default_price_nusd = default_price ? USD : PRICE_NONE;
    for (int step = 0; step < STEPS; step++) {
        add_one(b, w);
        if (one_in(w, 3)) {
            show_some(b, told);
        }
        if (!one_in(w, 3)) {
            continue;
        }
        if (below(w, 2)) {
            engine_advance(b->engine, engine_settled_until(b->engine, w->now),
                           &(struct engine_sink){.ctx = NULL});
        }
        show_changed(b, told, one_in(w, 2) ? 3 : SIZE_MAX); // what was begun
        show_changed(b, told, one_in(w, 2) ? 3 : SIZE_MAX);
        struct shown *whole = shown_new();
        show(b, whole);
        compare(b, told, whole);
        shown_free(whole);
    }
    shown_free(told);
}

static void test_told_is_whole(void **state)
{
    (void)state;
    static const int64_t paces[] = {S / 5, 4 * S, 40 * S}, disorders[] = {1, 10 * S, 400 * S},
                         lengths[] = {S, 30 * S, 1200 * S};
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct bench b;
        struct weather w = {.seed = i * 7919 + 1, .now = BEGIN};
        w.pace = paces[below(&w, 3)];
        w.disorder = disorders[below(&w, 3)];
        w.longest = lengths[below(&w, 3)];
        w.sites = (uint32_t)below(&w, 4);
        w.prices = (uint32_t)below(&w, 3);
        bench_init(&b);
        random_round(&b, &w, below(&w, 2));
        bench_done(&b);
    }
}

// ---- work --------------------------------------------------------------------------------------

// Records that come in order change the end: so much is told each second, however much is open.
static void test_only_the_end_is_told(void **state)
{
    (void)state;
    struct bench b;
    struct shown *s = shown_new();
    size_t most = 0;
    bench_init(&b);
    for (int i = 0; i < 1000; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%d", i);
        (void)bench_add(&b, make_sample(id, BEGIN + i * S, USD));
        (void)bench_add(&b, make_usage(id, BEGIN + (i - 2) * S, -1, BEGIN + i * S, 5, 5));
        show_changed(&b, s, SIZE_MAX);
        most = s->told > most ? s->told : most;
    }
    assert_true(most <= 2);
    show(&b, s);
    assert_true(s->told > 15);
    show_changed(&b, s, SIZE_MAX);
    assert_i64((int64_t)s->told, 0);
    engine_tell_all(b.engine);
    show_changed(&b, s, SIZE_MAX);
    assert_true(s->told > 15);
    bench_price(&b, "x", USD, 0);
    show_changed(&b, s, SIZE_MAX);
    assert_true(s->told > 15);
    bench_done(&b);
    shown_free(s);
}

// A window of many GPUs is told in steps, so that whoever tells it can do something else meanwhile:
// one GPU in each at least, and its rows when all are known. One that comes meanwhile, before those
// that are told, is told the next time.
static void test_a_window_is_told_in_steps(void **state)
{
    (void)state;
    enum { MANY = 40, SAMPLES = 5 };
    struct bench b;
    struct shown *s = shown_new();
    struct engine_sink sink = {.window_begin = on_window, .row = on_row, .ctx = s};
    bench_init(&b);
    for (int i = 0; i < MANY * SAMPLES; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%d", i);
        struct record r = make_sample(id, BEGIN + i / MANY * S, USD);
        r.sample.gpu.index = 1 + i % MANY;
        (void)bench_add(&b, r);
    }
    for (int step = 1; step < MANY; step++) {
        assert_true(engine_preview_changed(b.engine, 1, &sink));
        assert_i64((int64_t)s->told, 0);
    }
    (void)bench_add(&b, make_sample("new", BEGIN, USD)); // of GPU 0
    while (engine_preview_changed(b.engine, SAMPLES * MANY, &sink)) {
        continue;
    }
    assert_i64((int64_t)s->told, 1);
    show_changed(&b, s, SAMPLES * MANY / 4);
    struct shown *whole = shown_new();
    show(&b, whole);
    compare(&b, s, whole);
    shown_free(whole);
    shown_free(s);
    bench_done(&b);
}

// ---- much to compute ---------------------------------------------------------------------------

struct sums {
    size_t windows, rows, costs;
    int64_t cost_nusd, billed_ns, paid_nusd, last;
};

static void sum_window(void *ctx, int64_t start, int64_t end)
{
    struct sums *s = ctx;
    assert_true(start >= s->last); // each once, in order
    s->last = end;
    s->windows++;
}

static void sum_row(void *ctx, const struct window_row *r)
{
    struct sums *s = ctx;
    s->rows++;
    s->cost_nusd += r->cost_nusd;
    s->billed_ns += r->busy_ns;
}

static void sum_cost(void *ctx, const struct usage_cost *c)
{
    struct sums *s = ctx;
    s->costs++;
    s->paid_nusd += c->cost_nusd;
}

static struct engine_sink sums_sink(struct sums *s)
{
    return (struct engine_sink){
        .window_begin = sum_window, .row = sum_row, .cost = sum_cost, .ctx = s};
}

// A request of seven days, another one thirty years later: so many windows are looked at, and what
// is found does not depend on how many rows are taken at a time.
static void add_far_apart(struct bench *b)
{
    (void)bench_add(b, make_usage("a", BEGIN - RECORD_LATENCY_MAX, -1, BEGIN, 1000, 500));
    (void)bench_add(b, make_usage("b", BEGIN - S, -1, BEGIN, 10, 5));
    (void)bench_add(b, make_usage("c", BEGIN + 262980 * HOUR, -1, BEGIN + 262980 * HOUR + S, 1, 1));
}

static void test_rows_are_found_in_parts(void **state)
{
    (void)state;
    struct bench whole, parts;
    struct sums all = {.windows = 0}, some = {.windows = 0};
    struct engine_sink sink = sums_sink(&all);
    int64_t end = BEGIN + 262980 * HOUR + 2 * WINDOW;
    size_t calls = 1;
    bench_init(&whole);
    bench_init(&parts);
    add_far_apart(&whole);
    add_far_apart(&parts);
    engine_advance(whole.engine, end, &sink);
    sink = sums_sink(&some);
    while (engine_advance_some(parts.engine, end, 100, &sink)) {
        calls++;
    }
    assert_true(all.windows >= 10081 && all.windows <= 10084); // of 16 million
    assert_i64((int64_t)all.costs, 3);
    assert_true(calls > 90 && calls < 110);
    assert_memory_equal(&all, &some, sizeof(all));
    assert_i64(engine_frontier(whole.engine), engine_frontier(parts.engine));
    bench_done(&whole);
    bench_done(&parts);
}

int main(void)
{
    return TEST_RUN(TEST(test_told_is_whole), TEST(test_only_the_end_is_told),
                    TEST(test_a_window_is_told_in_steps), TEST(test_rows_are_found_in_parts));
}
