#include "pipeline/rebuild.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/time.h"
#include "pipeline/seen.h"

struct rebuild {
    struct store *store;
    const struct settings_history *settings;
    struct shard_state *state;
    struct engine *engine;
    void (*arrived)(void *ctx, const struct record *r, int late);
    void *ctx;
    struct error *err;
};

static int each_record(struct rebuild *b, const struct record_query *q,
                       void (*f)(struct rebuild *b, const struct record *r))
{
    struct store_cursor *cursor = NULL;
    struct stored_record row;
    int r = store_records(b->store, q, &cursor, b->err);
    while (r >= 0 && (r = store_records_next(cursor, &row, b->err)) > 0) {
        f(b, &row.record);
    }
    store_cursor_close(cursor);
    return r;
}

static void feed_known(struct rebuild *b, const struct record *r)
{
    if (seen_has(b->state, r->kind, r->seq)) {
        (void)engine_add(b->engine, r);
    }
}

static void feed_arrived(struct rebuild *b, const struct record *r)
{
    int late = engine_add(b->engine, r);
    if (b->arrived) {
        b->arrived(b->ctx, r, late);
    }
}

static int64_t longest_reach(const struct settings_history *h)
{
    int64_t reach = 0;
    for (size_t i = 0; i < h->n; i++) {
        reach = MAX(reach, h->epochs[i].gpu_timeout_ns);
    }
    return reach;
}

// Everything the engine had seen that can still matter: what ends a reach before `from` or later.
static int feed_past(struct rebuild *b, int64_t from, int64_t longest)
{
    bool all = from == INT64_MIN;
    int64_t since = all ? INT64_MIN : from - longest_reach(b->settings);
    struct record_query q = {.kind = RECORD_SAMPLE,
                             .order = RECORDS_BY_TIME,
                             .from = since,
                             .to = INT64_MAX,
                             .shard = b->state->shard};
    int r = each_record(b, &q, feed_known);
    if (r < 0) {
        return r;
    }
    q.kind = RECORD_USAGE;
    q.from = all ? INT64_MIN : since - longest;
    return each_record(b, &q, feed_known);
}

static int feed_seqs(struct rebuild *b, enum record_kind kind, int64_t from, int64_t to)
{
    struct record_query q = {
        .kind = kind, .order = RECORDS_BY_SEQ, .from = from, .to = to, .shard = b->state->shard};
    return from < to ? each_record(b, &q, feed_arrived) : 0;
}

// What came to light in gaps, then all behind the highest. Reading narrows the gaps.
static int feed_unseen(struct rebuild *b, enum record_kind kind)
{
    const struct shard_gaps gaps = b->state->gaps[kind];
    int64_t behind = seen_highest(b->state, kind) + 1;
    for (size_t i = 0; i < gaps.n; i++) {
        int r = feed_seqs(b, kind, gaps.v[i].from, MIN(gaps.v[i].to, behind));
        if (r < 0) {
            return r;
        }
    }
    return feed_seqs(b, kind, behind, INT64_MAX);
}

static int restore_ranges(struct rebuild *b)
{
    struct arena arena = {0};
    struct unsettled_range *ranges = NULL;
    size_t n = 0;
    int r = store_unsettled(b->store, &arena, &ranges, &n, b->err);
    for (size_t i = 0; i < n && r == 0; i++) {
        if (ranges[i].shard == b->state->shard) {
            engine_dirty_add(b->engine, ranges[i].from, ranges[i].to);
        }
    }
    arena_done(&arena);
    return r;
}

static int run(struct rebuild *b)
{
    const struct engine_sink nowhere = {0};
    struct store_info info;
    int r = store_info(b->store, &info, b->err);
    if (r < 0) {
        return r;
    }
    int64_t frontier = b->state->frontier;
    int64_t from = MIN(frontier, b->state->oldest_pending);
    if (frontier != INT64_MIN) {
        engine_start_at(b->engine, MAX(from, 0));
        from = engine_frontier(b->engine);
    }
    r = feed_past(b, from, MAX(info.longest_usage_ns, USAGE_MIN_NS));
    if (r < 0) {
        return r;
    }
    if (frontier != INT64_MIN) {
        engine_advance(b->engine, frontier, &nowhere);
    }
    r = restore_ranges(b);
    r = r < 0 ? r : feed_unseen(b, RECORD_SAMPLE);
    return r < 0 ? r : feed_unseen(b, RECORD_USAGE);
}

// Wraps the caller's `arrived`, keeping count of what was seen.
struct arrival {
    struct shard_state *state;
    void (*arrived)(void *ctx, const struct record *r, int late);
    void *ctx;
};

static void on_arrival(void *ctx, const struct record *r, int late)
{
    struct arrival *a = ctx;
    seen_read(a->state, r->kind, r->seq);
    if (a->arrived) {
        a->arrived(a->ctx, r, late);
    }
}

int rebuild_engine(struct store *store, const struct settings_history *settings,
                   const struct price_book *prices, struct shard_state *state,
                   void (*arrived)(void *ctx, const struct record *r, int late), void *ctx,
                   struct engine **ret, struct error *err)
{
    struct arrival arrival = {state, arrived, ctx};
    struct rebuild b = {
        .store = store,
        .settings = settings,
        .state = state,
        .engine = engine_new(settings, prices),
        .arrived = on_arrival,
        .ctx = &arrival,
        .err = err,
    };
    int r = run(&b);
    if (r < 0) {
        engine_free(b.engine);
        return r;
    }
    *ret = b.engine;
    return 0;
}
