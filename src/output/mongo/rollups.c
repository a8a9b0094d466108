// Rolling up: which hours and days a commit made complete or changed, and their sums
// (output/rollup.h). They are written before the states are: after a crash between the two the
// frontier has still to pass the same spans, and whoever takes the shard rolls up again what its
// unsettled time touches.
#include "output/mongo/driver.h"

// The frontier as it will be when the commit is done.
static int64_t frontier_of(struct mg_store *s, const struct store_write *w, uint32_t shard)
{
    int64_t frontier = mg_shard(s->writer, shard)->state.frontier;
    for (size_t i = 0; w && i < w->n_shards; i++) {
        frontier = w->shards[i].shard == shard ? w->shards[i].frontier : frontier;
    }
    return frontier;
}

// Whether a span is complete and still has its rows, so that summing them up is right.
static void add_due(struct mg_store *s, const struct store_write *w, struct rollup_plan *plan,
                    uint32_t shard, int64_t t, enum window_level target)
{
    int64_t start = time_floor(t, rollup_span(target));
    bool complete = start + rollup_span(target) <= frontier_of(s, w, shard);
    bool expired = target == LEVEL_HOUR && start < mg_shard(s->writer, shard)->bounds.windows_from;
    if (complete && !expired) {
        rollup_plan_add(plan, shard, start);
    }
}

// The first row below `target` in [t, to); INT64_MAX: there is none.
static int next_start(struct mg_store *s, uint32_t shard, enum window_level target, int64_t t,
                      int64_t to, int64_t *ret, struct error *err)
{
    const struct window_query q = {target - 1, t, to, shard};
    struct store_cursor *c = NULL;
    struct window_row row;
    int r = mg_rows_open(s, &q, 1, &c, err);
    r = r < 0 ? r : mg_window_rows_next(c, &row, err);
    *ret = r > 0 ? row.window_start : INT64_MAX;
    if (c) {
        mg_cursor_close(c);
    }
    return MIN(r, 0);
}

// Spans of `target` that the frontier passed on its way from `old`, as far as they have rows.
static int add_passed(struct mg_store *s, const struct store_write *w, struct rollup_plan *plan,
                      uint32_t shard, enum window_level target, struct error *err)
{
    int64_t old = mg_shard(s->writer, shard)->state.frontier, span = rollup_span(target);
    int64_t frontier = frontier_of(s, w, shard), t = old < 0 ? 0 : time_floor(old, span);
    while (frontier >= span && t <= frontier - span) {
        int r = next_start(s, shard, target, t, frontier, &t, err);
        if (r < 0) {
            return r;
        }
        if (t >= frontier) {
            return 0;
        }
        add_due(s, w, plan, shard, t, target);
        t = time_floor(t, span) + span;
    }
    return 0;
}

static int sum(struct mg_store *s, enum window_level target, const struct rollup_due *due,
               struct error *err)
{
    const struct window_query q = {target - 1, due->start, due->start + rollup_span(target),
                                   due->shard};
    struct store_cursor *c = NULL;
    struct window_row row;
    int r = mg_rows_open(s, &q, 0, &c, err);
    rollup_begin(s->writer->rollup, due->start);
    while (r >= 0 && (r = mg_window_rows_next(c, &row, err)) > 0) {
        rollup_add(s->writer->rollup, &row);
    }
    if (c) {
        mg_cursor_close(c);
    }
    return r;
}

static int roll_all(struct mg_store *s, enum window_level target, struct rollup_plan *plan,
                    struct error *err)
{
    int r = 0;
    rollup_plan_sort(plan);
    for (size_t i = 0; r == 0 && i < plan->n; i++) {
        struct window_rows span = {.window_start = plan->v[i].start, .shard = plan->v[i].shard};
        r = sum(s, target, &plan->v[i], err);
        if (r == 0) {
            span.rows = rollup_rows(s->writer->rollup, &span.n);
            r = mg_put_span(s, target, &span, err);
        }
    }
    return r < 0 ? r : mg_flush_rows(s, err);
}

static int roll_level(struct mg_store *s, const struct store_write *w, enum window_level target,
                      struct rollup_plan *plan, struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && w && i < w->n_shards; i++) {
        if (mg_owns(s, w->shards[i].shard)) {
            r = add_passed(s, w, plan, w->shards[i].shard, target, err);
        }
    }
    return r < 0 ? r : roll_all(s, target, plan, err);
}

static int roll_up(struct mg_store *s, const struct store_write *w, struct rollup_plan *hours,
                   struct error *err)
{
    struct rollup_plan days = {0};
    int r = roll_level(s, w, LEVEL_HOUR, hours, err);
    for (size_t i = 0; i < hours->n; i++) {
        add_due(s, w, &days, hours->v[i].shard, hours->v[i].start, LEVEL_DAY);
    }
    r = r < 0 ? r : roll_level(s, w, LEVEL_DAY, &days, err);
    rollup_plan_done(&days);
    return r;
}

int mg_roll_up(struct mg_store *s, const struct store_write *w, struct error *err)
{
    struct rollup_plan hours = {0};
    for (size_t i = 0; i < w->n_windows; i++) {
        const struct window_rows *rows = &w->windows[i];
        if (mg_owns(s, rows->shard)) {
            add_due(s, w, &hours, rows->shard, rows->window_start, LEVEL_HOUR);
        }
    }
    int r = roll_up(s, w, &hours, err);
    rollup_plan_done(&hours);
    return r;
}

// The next row in [t, to), of a window or of an hour that may have lost its windows.
static int next_touched(struct mg_store *s, uint32_t shard, int64_t t, int64_t to, int64_t *ret,
                        struct error *err)
{
    int64_t window, hour;
    int r = next_start(s, shard, LEVEL_HOUR, t, to, &window, err);
    r = r < 0 ? r : next_start(s, shard, LEVEL_DAY, t, to, &hour, err);
    *ret = r < 0 ? INT64_MAX : MIN(window, hour);
    return r;
}

static int add_range(struct mg_store *s, struct rollup_plan *hours, const struct unsettled_range *u,
                     struct error *err)
{
    int64_t t = time_floor(MAX(u->from, (int64_t)0), NS_PER_HOUR);
    int r = 0;
    while (r == 0 && t < u->to) {
        r = next_touched(s, u->shard, t, u->to, &t, err);
        if (r == 0 && t < u->to) {
            add_due(s, NULL, hours, u->shard, t, LEVEL_HOUR);
            t = time_floor(t, NS_PER_HOUR) + NS_PER_HOUR;
        }
    }
    return r;
}

int mg_roll_again(struct mg_store *s, const struct unsettled_range *ranges, size_t n,
                  struct error *err)
{
    struct rollup_plan hours = {0};
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = add_range(s, &hours, &ranges[i], err);
    }
    r = r < 0 ? r : roll_up(s, NULL, &hours, err);
    rollup_plan_done(&hours);
    return r;
}
