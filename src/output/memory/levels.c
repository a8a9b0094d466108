#include <stdlib.h>

#include "base/alloc.h"
#include "base/time.h"
#include "output/memory/memory.h"

// The first span at or after (start, shard).
static size_t find_span(const struct mem_level *level, int64_t start, uint32_t shard)
{
    size_t low = 0, high = level->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct mem_span *s = &level->spans[mid];
        bool before = s->start != start ? s->start < start : s->shard < shard;
        low = before ? mid + 1 : low;
        high = before ? high : mid;
    }
    return low;
}

static struct str keep(struct mem_db *db, struct str s)
{
    return str_present(s) ? intern_str(db->text, intern_id(db->text, s)) : STR_NONE;
}

static struct window_row *copy_rows(struct mem_db *db, const struct window_row *rows, size_t n)
{
    struct window_row *copy = x_array(n, sizeof(*copy));
    for (size_t i = 0; i < n; i++) {
        copy[i] = rows[i];
        copy[i].gpu.host = keep(db, rows[i].gpu.host);
        copy[i].site = keep(db, rows[i].site);
        copy[i].model = keep(db, rows[i].model);
        copy[i].tenant = keep(db, rows[i].tenant);
    }
    return copy;
}

static void remove_span(struct mem_level *level, size_t at)
{
    free(level->spans[at].rows);
    level->n--;
    memmove(&level->spans[at], &level->spans[at + 1], (level->n - at) * sizeof(level->spans[0]));
}

static void insert_span(struct mem_level *level, size_t at, struct mem_span span)
{
    ARRAY_RESERVE(level->spans, level->n, level->cap);
    memmove(&level->spans[at + 1], &level->spans[at], (level->n - at) * sizeof(level->spans[0]));
    level->spans[at] = span;
    level->n++;
}

void mem_put_span(struct mem_db *db, enum window_level which, int64_t start, uint32_t shard,
                  const struct window_row *rows, size_t n)
{
    struct mem_level *level = &db->levels[which];
    size_t at = find_span(level, start, shard);
    if (at < level->n && level->spans[at].start == start && level->spans[at].shard == shard) {
        remove_span(level, at);
    }
    if (n > 0) {
        insert_span(level, at, (struct mem_span){start, shard, copy_rows(db, rows, n), n});
    }
}

void mem_levels_done(struct mem_db *db)
{
    for (size_t l = 0; l < ARRAY_LEN(db->levels); l++) {
        for (size_t i = 0; i < db->levels[l].n; i++) {
            free(db->levels[l].spans[i].rows);
        }
        free(db->levels[l].spans);
    }
}

static void roll(struct mem_db *db, enum window_level target, const struct rollup_due *due)
{
    const struct mem_level *source = &db->levels[target - 1];
    int64_t end = due->start + rollup_span(target);
    rollup_begin(db->rollup, due->start);
    for (size_t i = find_span(source, due->start, 0); i < source->n; i++) {
        const struct mem_span *span = &source->spans[i];
        if (span->start >= end) {
            break;
        }
        for (size_t k = 0; span->shard == due->shard && k < span->n; k++) {
            rollup_add(db->rollup, &span->rows[k]);
        }
    }
    size_t n;
    const struct window_row *rows = rollup_rows(db->rollup, &n);
    mem_put_span(db, target, due->start, due->shard, rows, n);
}

static void add_due(struct rollup_plan *plan, const struct mem_shard *shard, int64_t t,
                    enum window_level target)
{
    int64_t start = time_floor(t, rollup_span(target));
    bool complete = start + rollup_span(target) <= shard->state.frontier;
    bool expired = target == LEVEL_HOUR && start < shard->windows_from;
    if (complete && !expired) {
        rollup_plan_add(plan, shard->state.shard, start);
    }
}

// Spans of `target` that the frontier passed on its way from `old`, as far as they have rows.
static void add_passed(struct rollup_plan *plan, struct mem_db *db, const struct mem_shard *shard,
                       int64_t old, enum window_level target)
{
    const struct mem_level *source = &db->levels[target - 1];
    int64_t from = old < 0 ? 0 : time_floor(old, rollup_span(target));
    for (size_t i = find_span(source, from, 0); i < source->n; i++) {
        if (source->spans[i].start >= shard->state.frontier) {
            break;
        }
        if (source->spans[i].shard == shard->state.shard) {
            add_due(plan, shard, source->spans[i].start, target);
        }
    }
}

static void roll_all(struct mem_db *db, enum window_level target, struct rollup_plan *plan)
{
    rollup_plan_sort(plan);
    for (size_t i = 0; i < plan->n; i++) {
        roll(db, target, &plan->v[i]);
    }
}

void mem_roll_up(struct mem_db *db, const struct store_write *w, const int64_t *old)
{
    struct rollup_plan hours = {0}, days = {0};
    for (size_t i = 0; i < w->n_windows; i++) {
        add_due(&hours, mem_shard(db, w->windows[i].shard), w->windows[i].window_start, LEVEL_HOUR);
    }
    for (size_t i = 0; i < w->n_shards; i++) {
        add_passed(&hours, db, mem_shard(db, w->shards[i].shard), old[i], LEVEL_HOUR);
    }
    roll_all(db, LEVEL_HOUR, &hours);

    for (size_t i = 0; i < hours.n; i++) {
        add_due(&days, mem_shard(db, hours.v[i].shard), hours.v[i].start, LEVEL_DAY);
    }
    for (size_t i = 0; i < w->n_shards; i++) {
        add_passed(&days, db, mem_shard(db, w->shards[i].shard), old[i], LEVEL_DAY);
    }
    roll_all(db, LEVEL_DAY, &days);
    rollup_plan_done(&hours);
    rollup_plan_done(&days);
}

struct mem_shard *mem_shard(struct mem_db *db, uint32_t shard)
{
    size_t i = 0;
    while (i < db->shards.n && db->shards.v[i].state.shard < shard) {
        i++;
    }
    if (i < db->shards.n && db->shards.v[i].state.shard == shard) {
        return &db->shards.v[i];
    }
    ARRAY_RESERVE(db->shards.v, db->shards.n, db->shards.cap);
    memmove(&db->shards.v[i + 1], &db->shards.v[i], (db->shards.n - i) * sizeof(db->shards.v[0]));
    db->shards.n++;
    db->shards.v[i] = (struct mem_shard){
        .state = store_no_state(shard),
        .windows_from = INT64_MIN,
    };
    return &db->shards.v[i];
}
