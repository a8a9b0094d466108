#include "metered.h"

#include <stdlib.h>

#include "cost/engine.h"
#include "model/fields.h"

enum { HOUR = 3600, BATCH = 40, UNSEEN = 25, WINDOWS_MAX = 20000, ROWS_MAX = 60000 };

static const char *const hosts[METERED_SHARDS] = {"gpu-01", "gpu-02"};
static const char *const tenants[] = {"chat", "search", "batch", NULL};

// What an engine says, to be written.
struct found {
    struct arena *arena;
    uint32_t shard;
    struct window_rows *windows;
    size_t n_windows;
    struct window_row *rows;
    size_t n_rows;
    struct usage_cost *costs;
    size_t n_costs;
};

uint64_t metered_draw(struct metered *m, uint64_t below)
{
    return draw(&m->random, below);
}

static bool chance(struct metered *m, uint64_t percent)
{
    return metered_draw(m, 100) < percent;
}

// ---- records -------------------------------------------------------------------------------

static int64_t pick_length(struct metered *m)
{
    return chance(m, 4) ? 1 + (int64_t)metered_draw(m, 3 * HOUR)
                        : 1 + (int64_t)metered_draw(m, chance(m, 20) ? 900 : 90);
}

static struct record *random_usage(struct metered *m, size_t number)
{
    static const int32_t both[] = {0, 1}, one[] = {0}, other[] = {1};
    struct record *r = arena_alloc(&m->f->arena, sizeof(*r));
    char *id AUTO_FREE = x_asprintf("id-%03u-%zu", (unsigned)metered_draw(m, 500), number);
    uint32_t host = (uint32_t)metered_draw(m, METERED_SHARDS);
    int64_t last = host == 1 ? METERED_DAY * 3 / 2 : METERED_DAYS * METERED_DAY;
    // In bursts, and now and then at the same instant.
    int64_t burst = (int64_t)metered_draw(m, (uint64_t)last / HOUR / 3) * HOUR * 3;
    int64_t start = MIN(burst + (int64_t)metered_draw(m, 1800), last - 1), length = pick_length(m);
    record_clear(r, RECORD_USAGE);
    r->event_id = arena_copy(&m->f->arena, str_of(id));
    r->position = (int64_t)number + 1;
    struct usage_record *u = &r->usage;
    u->ts = at(start + length);
    u->latency_ns = length * NS_PER_S;
    u->prompt_tokens = 1 + (int64_t)metered_draw(m, 1000);
    u->completion_tokens = (int64_t)metered_draw(m, 500);
    u->requests = 1;
    u->model = chance(m, 70) ? STR("llama-3-70b") : STR("qwen3-30b");
    u->tenant = chance(m, 3) ? STR("rare") : str_of(tenants[metered_draw(m, ARRAY_LEN(tenants))]);
    u->host = chance(m, 5) ? STR_NONE : str_of(hosts[host]);
    u->site = chance(m, 50) ? STR("paris") : STR_NONE;
    u->n_gpus = chance(m, 8) ? 0 : chance(m, 15) ? 2 : 1;
    u->gpus = u->n_gpus == 0 ? NULL : u->n_gpus == 2 ? both : chance(m, 50) ? one : other;
    if (chance(m, 60)) {
        u->has |= USAGE_TTFT;
        u->ttft_ns = (int64_t)metered_draw(m, (uint64_t)u->latency_ns + 1);
    }
    r->shard = host;
    r->digest = record_digest(r);
    return r;
}

static int by_arrival(const void *a, const void *b)
{
    const struct record *x = *(struct record *const *)a, *y = *(struct record *const *)b;
    return x->usage.ts < y->usage.ts ? -1 : x->usage.ts > y->usage.ts;
}

// As they end; some much later.
static void make_records(struct metered *m, size_t n, uint64_t late_percent)
{
    assert_true(n <= METERED_MAX);
    for (m->n = 0; m->n < n; m->n++) {
        m->arriving[m->n] = random_usage(m, m->n);
    }
    qsort(m->arriving, n, sizeof(m->arriving[0]), by_arrival);
    for (size_t i = 0; i + 1 < n; i++) {
        size_t to = i + 1 + metered_draw(m, n - i - 1);
        if (chance(m, late_percent)) {
            struct record *late = m->arriving[i];
            m->arriving[i] = m->arriving[to];
            m->arriving[to] = late;
        }
    }
}

// ---- an engine's sink ----------------------------------------------------------------------

static void on_window(void *ctx, int64_t start, int64_t end)
{
    struct found *d = ctx;
    assert_true(d->n_windows < WINDOWS_MAX);
    d->windows[d->n_windows++] = (struct window_rows){
        .window_start = start, .window_end = end, .shard = d->shard, .rows = &d->rows[d->n_rows]};
}

static void on_row(void *ctx, const struct window_row *row)
{
    struct found *d = ctx;
    assert_true(d->n_rows < ROWS_MAX);
    struct window_row *copy = &d->rows[d->n_rows++];
    *copy = *row;
    copy->gpu.host = arena_copy(d->arena, row->gpu.host);
    copy->site = arena_copy(d->arena, row->site);
    copy->model = arena_copy(d->arena, row->model);
    copy->tenant = arena_copy(d->arena, row->tenant);
    d->windows[d->n_windows - 1].n++;
}

static void on_cost(void *ctx, const struct usage_cost *cost)
{
    struct found *d = ctx;
    assert_true(d->n_costs < METERED_MAX);
    struct usage_cost *copy = &d->costs[d->n_costs++];
    *copy = *cost;
    copy->event_id = arena_copy(d->arena, cost->event_id);
    copy->late = cost->late || cost->ts % (20 * NS_PER_S) == 0;
}

static struct engine_sink sink_to(struct found *d)
{
    return (struct engine_sink){
        .window_begin = on_window, .row = on_row, .cost = on_cost, .ctx = d};
}

// ---- a meter -------------------------------------------------------------------------------

struct meter {
    struct metered *m;
    struct engine *engines[METERED_SHARDS];
    struct shard_state states[METERED_SHARDS];
    struct found found;
};

static void commit(struct meter *t, struct store_write *w)
{
    w->windows = t->found.windows;
    w->n_windows = t->found.n_windows;
    w->costs = t->found.costs;
    w->n_costs = t->found.n_costs;
    assert_ok(store_commit(t->m->f->s, w, &t->m->f->err), &t->m->f->err);
    t->found.n_windows = t->found.n_rows = t->found.n_costs = 0;
}

static void store_batch(struct meter *t, size_t from, size_t to)
{
    struct store_record stored[METERED_MAX];
    struct store_write w = {.records = stored, .n_records = to - from};
    for (size_t i = from; i < to; i++) {
        stored[i - from] = (struct store_record){.record = t->m->arriving[i]};
    }
    commit(t, &w);
}

// What was stored is fed, windows that are old enough are computed, and both is written.
static void meter_batch(struct meter *t, size_t from, size_t to)
{
    struct unsettled_range unsettled[METERED_MAX];
    struct store_write w = {
        .shards = t->states, .n_shards = METERED_SHARDS, .unsettled = unsettled};
    for (size_t i = from; i < to; i++) {
        const struct record *r = t->m->arriving[i];
        (void)engine_add(t->engines[r->shard], r);
        t->states[r->shard].usage_seen = MAX(t->states[r->shard].usage_seen, r->seq);
    }
    for (uint32_t s = 0; s < METERED_SHARDS; s++) {
        struct engine *e = t->engines[s];
        const struct time_range *dirty;
        struct engine_sink sink = sink_to(&t->found);
        t->found.shard = s;
        engine_advance(e, engine_settled_until(e, engine_newest(e)), &sink);
        t->states[s].frontier = engine_frontier(e);
        t->states[s].newest = engine_newest(e);
        t->states[s].oldest_pending = engine_oldest_pending(e);
        size_t n = engine_dirty(e, &dirty);
        for (size_t i = 0; i < n; i++) {
            unsettled[w.n_unsettled++] = (struct unsettled_range){s, dirty[i].from, dirty[i].to};
        }
    }
    commit(t, &w);
}

static void preview(struct meter *t)
{
    struct store_write w = {0};
    for (uint32_t s = 0; s < METERED_SHARDS; s++) {
        struct engine_sink sink = sink_to(&t->found);
        t->found.shard = s;
        engine_preview(t->engines[s], &sink);
    }
    commit(t, &w);
}

static void take_shards(struct meter *t)
{
    struct fixture *f = t->m->f;
    for (uint32_t s = 0; s < METERED_SHARDS; s++) {
        struct shard_hold hold;
        assert_ok(store_take_shard(f->s, s, SHARD_TAKEOVER, &hold, &f->err), &f->err);
        t->states[s] = hold.state;
        t->engines[s] = engine_new(&t->m->settings, &t->m->prices);
    }
}

static void run(struct metered *m)
{
    struct meter t = {.m = m, .found = {.arena = &m->f->arena}};
    size_t seen = m->n - UNSEEN;
    t.found.windows = x_array(WINDOWS_MAX, sizeof(*t.found.windows));
    t.found.rows = x_array(ROWS_MAX, sizeof(*t.found.rows));
    t.found.costs = x_array(METERED_MAX, sizeof(*t.found.costs));
    take_shards(&t);
    for (size_t i = 0; i < seen; i += BATCH) {
        store_batch(&t, i, MIN(i + BATCH, seen));
        meter_batch(&t, i, MIN(i + BATCH, seen));
    }
    preview(&t);
    store_batch(&t, seen, m->n);
    for (uint32_t s = 0; s < METERED_SHARDS; s++) {
        engine_free(t.engines[s]);
    }
    free(t.found.windows);
    free(t.found.rows);
    free(t.found.costs);
}

void metered_init(struct metered *m, struct fixture *f, uint64_t seed, size_t requests,
                  uint64_t late)
{
    *m = (struct metered){.f = f, .random = seed * UINT64_C(0x9e3779b97f4a7c15)};
    m->epochs[0] = m->epochs[1] = settings_default;
    // So that the long ones are not late.
    m->epochs[0].horizon_ns = m->epochs[1].horizon_ns = 4 * NS_PER_HOUR;
    m->epochs[0].default_price_nusd = INT64_C(3600000000);
    m->epochs[1].effective_from = at(METERED_DAY * 3 / 2);
    m->settings = (struct settings_history){m->epochs, ARRAY_LEN(m->epochs)};
    assert_ok(store_set_shards(f->s, METERED_SHARDS, &f->err), &f->err);
    for (size_t i = 0; i < ARRAY_LEN(m->epochs); i++) {
        assert_ok(store_add_settings(f->s, &m->epochs[i], 1, &f->err), &f->err);
    }
    make_records(m, requests, late);
    run(m);
}
