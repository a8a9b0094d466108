#include "pipeline/derive.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/time.h"

struct derivation {
    const struct derive_config *c;
    struct engine *engine;
    int64_t reach;    // the longest gpu_timeout
    int64_t longest;  // the longest request stored
    int64_t raw_from; // records before this were expired
    int64_t hull_from, hull_to;
    int64_t windows_to; // windows from c->from on are visited up to here

    struct store_cursor *samples, *usages, *windows;
    struct stored_record sample, usage; // the next ones, borrowed from their cursors
    bool has_sample, has_usage;
    struct map costs; // seq -> stored cost of a request that is being computed

    struct window_row next_stored; // the next one of `windows`
    bool has_stored;
    struct arena stored_texts;
    struct window_row *stored; // of the window at hand
    size_t n_stored, cap_stored;
    struct window_row *derived;
    size_t n_derived, cap_derived;
    int64_t window_start, window_end, bill_nusd;
    bool window_open;

    int failure; // of a callback
    struct error err;
};

static int64_t window_length(const struct derivation *d, int64_t t)
{
    return settings_at(d->c->settings, t)->window_ns;
}

// ---- the stored side -----------------------------------------------------------------------

static void next_stored_window(struct derivation *d)
{
    if (d->failure) {
        return;
    }
    int r = store_windows_next(d->windows, &d->next_stored, &d->err);
    d->has_stored = r > 0;
    d->failure = r < 0 ? r : 0;
}

static void keep_stored(struct derivation *d)
{
    struct window_row row = d->next_stored;
    row.gpu.host = arena_copy(&d->stored_texts, row.gpu.host);
    row.site = arena_copy(&d->stored_texts, row.site);
    row.model = arena_copy(&d->stored_texts, row.model);
    row.tenant = arena_copy(&d->stored_texts, row.tenant);
    ARRAY_RESERVE(d->stored, d->n_stored, d->cap_stored);
    d->stored[d->n_stored++] = row;
}

static void load_stored(struct derivation *d, int64_t start)
{
    d->n_stored = 0;
    arena_reset(&d->stored_texts);
    while (d->has_stored && d->next_stored.window_start == start) {
        keep_stored(d);
        next_stored_window(d);
    }
}

static void visit_window(struct derivation *d, int64_t start, int64_t end, size_t n_derived)
{
    load_stored(d, start);
    struct derive_window w = {
        .start = start,
        .end = end,
        .derived = d->derived,
        .n_derived = n_derived,
        .stored = d->stored,
        .n_stored = d->n_stored,
        .bill_nusd = n_derived ? d->bill_nusd : 0,
    };
    d->c->visitor.window(d->c->visitor.ctx, &w);
}

// Windows that are stored before `start` but have no derived rows.
static void visit_stored_before(struct derivation *d, int64_t start)
{
    while (d->has_stored && d->next_stored.window_start < start && !d->failure) {
        int64_t at = d->next_stored.window_start;
        visit_window(d, at, at + window_length(d, at), 0);
    }
}

// ---- the derived side: an engine's sink ----------------------------------------------------

static void close_window(struct derivation *d)
{
    if (!d->window_open) {
        return;
    }
    d->window_open = false;
    visit_stored_before(d, d->window_start);
    visit_window(d, d->window_start, d->window_end, d->n_derived);
}

static void on_window(void *ctx, int64_t start, int64_t end)
{
    struct derivation *d = ctx;
    close_window(d);
    d->window_open = start >= d->c->from && start < d->windows_to;
    d->window_start = start;
    d->window_end = end;
    d->bill_nusd = 0;
    d->n_derived = 0;
}

static void on_bill(void *ctx, const struct gpu_key *gpu, int64_t bill_nusd)
{
    (void)gpu;
    ((struct derivation *)ctx)->bill_nusd += bill_nusd;
}

static void on_row(void *ctx, const struct window_row *row)
{
    struct derivation *d = ctx;
    if (!d->window_open) {
        return;
    }
    ARRAY_RESERVE(d->derived, d->n_derived, d->cap_derived);
    d->derived[d->n_derived++] = *row;
}

static void on_cost(void *ctx, const struct usage_cost *cost)
{
    struct derivation *d = ctx;
    AUTO_FREE struct usage_cost *stored = map_remove(&d->costs, cost->seq);
    if (stored) {
        d->c->visitor.cost(d->c->visitor.ctx, cost, stored);
    }
}

static void on_partial(void *ctx, const struct usage_cost *sums)
{
    struct derivation *d = ctx;
    if (map_get(&d->costs, sums->seq) && d->c->visitor.partial) {
        d->c->visitor.partial(d->c->visitor.ctx, sums);
    }
}

// ---- the stretch to compute ----------------------------------------------------------------

static int each_usage(struct derivation *d, int64_t from, int64_t to,
                      void (*f)(struct derivation *d, const struct usage_record *u))
{
    struct record_query q = {.kind = RECORD_USAGE,
                             .order = RECORDS_BY_TIME,
                             .from = from,
                             .to = to,
                             .shard = d->c->shard};
    struct store_cursor *cursor = NULL;
    int r = store_records(d->c->store, &q, &cursor, &d->err);
    struct stored_record row;
    while (r >= 0 && (r = store_records_next(cursor, &row, &d->err)) > 0) {
        f(d, &row.record.usage);
    }
    store_cursor_close(cursor);
    return r;
}

static void widen_left(struct derivation *d, const struct usage_record *u)
{
    if (u->ts > d->c->from) {
        d->hull_from = MIN(d->hull_from, usage_start(u));
    }
}

static void widen_right(struct derivation *d, const struct usage_record *u)
{
    if (u->ts > d->c->to) {
        d->hull_to = MAX(d->hull_to, u->ts);
    }
}

// Widened so that every request that touches [from, to) lies in it whole, up to the frontier.
static int find_hull(struct derivation *d)
{
    const struct derive_config *c = d->c;
    d->hull_from = c->from;
    d->hull_to = c->to;
    int r = each_usage(d, c->from - d->longest, c->from, widen_left);
    if (r < 0) {
        return r;
    }
    r = each_usage(d, c->to - d->longest, c->to, widen_right);
    if (r < 0) {
        return r;
    }
    d->hull_from = time_floor(MAX(d->hull_from, 0), window_length(d, MAX(d->hull_from, 0)));
    d->hull_to = MIN(c->frontier, time_ceil(d->hull_to, window_length(d, d->hull_to)));
    d->windows_to = c->to_request_ends ? d->hull_to : c->to;
    return 0;
}

// ---- feeding the engine --------------------------------------------------------------------

static int open_cursors(struct derivation *d)
{
    struct store *s = d->c->store;
    struct record_query samples = {.kind = RECORD_SAMPLE,
                                   .order = RECORDS_BY_TIME,
                                   .from = d->hull_from - d->reach,
                                   .to = d->hull_to + d->reach + 1,
                                   .shard = d->c->shard};
    struct record_query usages = samples;
    usages.kind = RECORD_USAGE;
    usages.from -= d->longest;
    struct window_query windows = {
        .level = LEVEL_WINDOW, .from = d->c->from, .to = d->windows_to, .shard = d->c->shard};
    int r = store_records(s, &samples, &d->samples, &d->err);
    if (r == 0) {
        r = store_records(s, &usages, &d->usages, &d->err);
    }
    if (r == 0) {
        r = store_windows(s, &windows, &d->windows, &d->err);
    }
    return r;
}

static int next_sample(struct derivation *d)
{
    int r = store_records_next(d->samples, &d->sample, &d->err);
    d->has_sample = r > 0;
    return r < 0 ? r : 0;
}

static int next_usage(struct derivation *d)
{
    int r = store_records_next(d->usages, &d->usage, &d->err);
    d->has_usage = r > 0;
    return r < 0 ? r : 0;
}

static void remember_cost(struct derivation *d)
{
    const struct usage_record *u = &d->usage.record.usage;
    // One without a place is in the window that holds its last nanosecond alone.
    int64_t start = usage_placed(u) ? usage_start(u) : u->ts - 1;
    if (start >= d->c->to || u->ts <= d->c->from) {
        return;
    }
    struct usage_cost *stored = x_zalloc(sizeof(*stored));
    if (d->usage.cost.final) {
        *stored = d->usage.cost;
    }
    stored->event_id = STR_NONE;
    map_put(&d->costs, d->usage.record.seq, stored);
}

static int feed_one(struct derivation *d, bool usage)
{
    if (!usage) {
        (void)engine_add(d->engine, &d->sample.record);
        return next_sample(d);
    }
    remember_cost(d);
    (void)engine_add(d->engine, &d->usage.record);
    return next_usage(d);
}

static void advance(struct derivation *d, int64_t until)
{
    struct engine_sink sink = {
        .window_begin = on_window, .bill = on_bill, .row = on_row, .cost = on_cost, .ctx = d};
    engine_advance(d->engine, MIN(until, d->hull_to), &sink);
    if (d->c->visitor.progress) {
        d->c->visitor.progress(d->c->visitor.ctx, engine_frontier(d->engine));
    }
}

// Records come by time (requests by their start), so a window can be computed as soon as they are a
// reach past its end.
static int feed_all(struct derivation *d)
{
    int64_t due = d->hull_from + d->reach + window_length(d, d->hull_from);
    int r = 0;
    while (r == 0 && d->failure == 0 && (d->has_sample || d->has_usage)) {
        int64_t sample = d->has_sample ? d->sample.record.sample.ts : INT64_MAX;
        int64_t usage = d->has_usage ? usage_start(&d->usage.record.usage) : INT64_MAX;
        int64_t now = MIN(sample, usage);
        if (now > due) {
            advance(d, now - d->reach - 1);
            due = now + window_length(d, now);
        }
        r = feed_one(d, usage < sample);
    }
    return r;
}

static int run(struct derivation *d)
{
    int r = find_hull(d);
    if (r < 0) {
        return r;
    }
    if (d->raw_from != INT64_MIN && d->hull_from - d->reach < d->raw_from) {
        return error_set(&d->err, -ENODATA, "records that this depends on were expired");
    }
    engine_start_at(d->engine, d->hull_from);
    r = open_cursors(d);
    if (r == 0) {
        r = next_sample(d);
    }
    if (r == 0) {
        r = next_usage(d);
    }
    if (r < 0) {
        return r;
    }
    next_stored_window(d);
    r = feed_all(d);
    if (r < 0) {
        return r;
    }
    advance(d, d->hull_to);
    close_window(d);
    visit_stored_before(d, d->windows_to);
    engine_partials(d->engine, on_partial, d);
    return d->failure;
}

int derive(const struct derive_config *c, struct derivation **ret, struct error *err)
{
    struct derivation *d = x_zalloc(sizeof(*d));
    struct store_info info;
    d->c = c;
    d->engine = engine_new(c->settings, c->prices);
    for (size_t i = 0; i < c->settings->n; i++) {
        d->reach = MAX(d->reach, c->settings->epochs[i].gpu_timeout_ns);
    }
    int r = store_info(c->store, &info, &d->err);
    if (r == 0) {
        d->longest = MAX(info.longest_usage_ns, USAGE_MIN_NS);
        d->raw_from = info.raw_from;
        r = run(d);
    }
    store_cursor_close(d->samples);
    store_cursor_close(d->usages);
    store_cursor_close(d->windows);
    d->samples = d->usages = d->windows = NULL;
    if (r < 0) {
        *err = d->err;
        err->code = r;
        derivation_free(d);
        return r;
    }
    *ret = d;
    return 0;
}

void derivation_free(struct derivation *d)
{
    if (!d) {
        return;
    }
    struct map_slot slot;
    size_t at = 0;
    while (map_next(&d->costs, &at, &slot)) {
        free(slot.value);
    }
    map_done(&d->costs);
    engine_free(d->engine);
    arena_done(&d->stored_texts);
    free(d->stored);
    free(d->derived);
    free(d);
}
