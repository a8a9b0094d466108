// Settling and restarting: the two ways in which windows are computed a second time.
#include "engine_driver.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/time.h"

struct settling {
    struct driver *d;
    struct time_range range;
};

static bool touches(const struct record *r, struct time_range range)
{
    return r->kind == RECORD_USAGE && usage_start(&r->usage) < range.to && r->usage.ts > range.from;
}

static void settled_row(void *ctx, const struct window_row *row)
{
    struct settling *s = ctx;
    if (row->window_start >= s->range.from && row->window_start < s->range.to) {
        driver_keep_row(s->d, row);
    }
}

static void settled_cost(void *ctx, const struct usage_cost *cost)
{
    struct settling *s = ctx;
    if (touches(driver_record(s->d, cost->seq), s->range)) {
        driver_keep_cost(s->d, cost);
    }
}

static void settled_partial(void *ctx, const struct usage_cost *cost)
{
    struct settling *s = ctx;
    if (touches(driver_record(s->d, cost->seq), s->range) &&
        !engine_set_partial(s->d->engine, cost)) {
        die("seq %" PRId64 " was charged in a settled range but is not pending", cost->seq);
    }
}

static int64_t window_end_after(const struct driver *d, int64_t t)
{
    int64_t w = settings_at(&d->settings, t - 1)->window_ns;
    return time_floor(t - 1, w) + w;
}

// The range and all requests that touch it, in whole windows, up to the frontier.
static struct time_range hull_of(const struct driver *d, struct time_range range)
{
    struct time_range hull = range;
    for (size_t i = 0; i < d->n_records; i++) {
        const struct record *r = &d->records[i];
        if (touches(r, range)) {
            hull.from = MIN(hull.from, usage_start(&r->usage));
            hull.to = MAX(hull.to, r->usage.ts);
        }
    }
    hull.to = MIN(window_end_after(d, hull.to), engine_frontier(d->engine));
    return hull;
}

// Computes the range again on another engine, from all records, and replaces what is in it. It
// extends to where its requests end: that is where those with an unpriced part are counted.
static void settle_range(struct driver *d, struct time_range dirty)
{
    struct time_range range = {dirty.from, hull_of(d, dirty).to};
    struct time_range hull = hull_of(d, range);
    struct engine *e = engine_new(&d->settings, &d->prices);
    engine_start_at(e, hull.from);
    for (size_t i = 0; i < d->n_records; i++) {
        engine_add(e, &d->records[i]);
    }
    struct settling s = {.d = d, .range = range};
    struct engine_sink sink = {.row = settled_row, .cost = settled_cost, .ctx = &s};
    driver_drop_rows(d, range.from, range.to);
    engine_advance(e, hull.to, &sink);
    engine_partials(e, settled_partial, &s);
    engine_dirty_remove(d->engine, dirty.from, dirty.to);
    engine_free(e);
}

// A copy of the dirty ranges, which the caller frees.
static struct time_range *dirty_ranges(const struct engine *e, size_t *ret_n)
{
    const struct time_range *ranges;
    *ret_n = engine_dirty(e, &ranges);
    struct time_range *copy = x_array(*ret_n + 1, sizeof(*copy));
    for (size_t i = 0; i < *ret_n; i++) {
        copy[i] = ranges[i];
    }
    return copy;
}

void driver_settle(struct driver *d, struct str args)
{
    (void)args;
    size_t n;
    AUTO_FREE struct time_range *ranges = dirty_ranges(driver_engine(d), &n);
    for (size_t i = 0; i < n; i++) {
        settle_range(d, ranges[i]);
    }
    const struct time_range *left;
    if (engine_dirty(d->engine, &left) != 0) {
        die("still dirty after settling: [%" PRId64 ", %" PRId64 ")", left->from, left->to);
    }
}

static int64_t longest_timeout(const struct driver *d)
{
    int64_t longest = 0;
    for (size_t i = 0; i < d->settings.n; i++) {
        longest = MAX(longest, d->epochs[i].gpu_timeout_ns);
    }
    return longest;
}

// Rebuilds the engine as a new owner of the shard would: from the records that its open windows
// can depend on, computing again, unheard, what pending requests were charged before.
void driver_restart(struct driver *d, struct str args)
{
    (void)args;
    struct engine *old = driver_engine(d);
    int64_t frontier = engine_frontier(old), oldest = engine_oldest_pending(old);
    size_t n_dirty;
    AUTO_FREE struct time_range *dirty = dirty_ranges(old, &n_dirty);
    engine_free(TAKE_PTR(d->engine));
    int64_t from = INT64_MIN;
    if (frontier != INT64_MIN) {
        from = MIN(frontier, oldest);
        from = time_floor(from, settings_at(&d->settings, from)->window_ns);
        engine_start_at(driver_engine(d), from);
    }
    for (size_t i = 0; i < d->n_records; i++) {
        if (from == INT64_MIN || record_ts(&d->records[i]) >= from - longest_timeout(d)) {
            engine_add(driver_engine(d), &d->records[i]);
        }
    }
    if (frontier != INT64_MIN) {
        engine_advance(d->engine, frontier, &(struct engine_sink){.ctx = d});
        engine_dirty_remove(d->engine, INT64_MIN, INT64_MAX);
    }
    for (size_t i = 0; i < n_dirty; i++) {
        engine_dirty_add(driver_engine(d), dirty[i].from, dirty[i].to);
    }
}
