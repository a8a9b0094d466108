// Rolling up: which hours and days a commit made complete or changed, and their sums
// (output/rollup.h).
#include "base/time.h"
#include "output/sqlite/sqlite.h"

// Whether a span is complete and still has its rows, so that summing them up is right.
static void add_due(struct rollup_plan *plan, const struct sq_shard *shard, int64_t t,
                    enum window_level target)
{
    int64_t start = time_floor(t, rollup_span(target));
    bool complete = start + rollup_span(target) <= shard->state.frontier;
    bool expired = target == LEVEL_HOUR && start < shard->windows_from;
    if (complete && !expired) {
        rollup_plan_add(plan, shard->state.shard, start);
    }
}

static const char *const next_sql[] = {
    [LEVEL_HOUR] = "SELECT min(window_start) FROM cost_window WHERE window_start >= ?1",
    [LEVEL_DAY] = "SELECT min(window_start) FROM cost_hour WHERE window_start >= ?1",
};

// The first row below `target` at or after t; INT64_MAX: there is none.
static int next_start(struct sq_store *s, enum window_level target, int64_t t, int64_t *ret,
                      struct error *err)
{
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, next_sql[target], &stmt, err);
    if (r < 0) {
        return r;
    }
    (void)sqlite3_bind_int64(stmt, 1, t);
    r = sq_row(s->main, stmt, err);
    if (r < 0) {
        return r;
    }
    *ret = sqlite3_column_type(stmt, 0) == SQLITE_NULL ? INT64_MAX : sq_i64(stmt, 0);
    sq_reset(stmt);
    return 0;
}

// Spans of `target` that the frontier passed on its way from `old`, as far as they have rows.
static int add_passed(struct sq_store *s, struct rollup_plan *plan, const struct sq_shard *shard,
                      int64_t old, enum window_level target, struct error *err)
{
    int64_t span = rollup_span(target), t = old < 0 ? 0 : time_floor(old, span);
    while (shard->state.frontier >= span && t <= shard->state.frontier - span) {
        int r = next_start(s, target, t, &t, err);
        if (r < 0) {
            return r;
        }
        if (t >= shard->state.frontier) {
            return 0;
        }
        add_due(plan, shard, t, target);
        t = time_floor(t, span) + span;
    }
    return 0;
}

static int sum(struct sq_store *s, enum window_level target, const struct rollup_due *due,
               struct error *err)
{
    const struct window_query q = {
        .level = target - 1,
        .from = due->start,
        .to = due->start + rollup_span(target),
        .shard = due->shard,
    };
    sqlite3_stmt *stmt;
    int r = sq_rows_statement(s->main, &q, &stmt, err);
    rollup_begin(s->writer->rollup, due->start);
    while (r == 0 && (r = sq_row(s->main, stmt, err)) > 0) {
        struct window_row row;
        r = sq_read_row(s->main, stmt, &row, err);
        if (r == 0) {
            rollup_add(s->writer->rollup, &row);
        } else {
            sq_reset(stmt);
        }
    }
    return r;
}

static int roll_all(struct sq_store *s, enum window_level target, struct rollup_plan *plan,
                    struct error *err)
{
    int r = 0;
    rollup_plan_sort(plan);
    for (size_t i = 0; r == 0 && i < plan->n; i++) {
        r = sum(s, target, &plan->v[i], err);
        if (r == 0) {
            size_t n;
            const struct window_row *rows = rollup_rows(s->writer->rollup, &n);
            r = sq_put_span(s, target, plan->v[i].start, plan->v[i].shard, rows, n, err);
        }
    }
    return r;
}

static int roll_level(struct sq_store *s, enum window_level target, const struct store_write *w,
                      const int64_t *old, struct rollup_plan *plan, struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->n_shards; i++) {
        r = add_passed(s, plan, sq_shard(s->writer, w->shards[i].shard), old[i], target, err);
    }
    return r < 0 ? r : roll_all(s, target, plan, err);
}

int sq_roll_up(struct sq_store *s, const struct store_write *w, const int64_t *old,
               struct error *err)
{
    struct rollup_plan hours = {0}, days = {0};
    for (size_t i = 0; i < w->n_windows; i++) {
        const struct window_rows *rows = &w->windows[i];
        add_due(&hours, sq_shard(s->writer, rows->shard), rows->window_start, LEVEL_HOUR);
    }
    int r = roll_level(s, LEVEL_HOUR, w, old, &hours, err);
    for (size_t i = 0; i < hours.n; i++) {
        add_due(&days, sq_shard(s->writer, hours.v[i].shard), hours.v[i].start, LEVEL_DAY);
    }
    r = r < 0 ? r : roll_level(s, LEVEL_DAY, w, old, &days, err);
    rollup_plan_done(&hours);
    rollup_plan_done(&days);
    return r;
}
