#include "pipeline/outbox.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sort.h"

// What a cleared one keeps: what the findings beside a batch of records usually take. One that
// carried all open windows, or those of many shards at once, is larger; it goes round with one of
// many parcels, and each of these would in time come to be as large as the largest ever was.
enum {
    KEPT_ROWS = 2048,
    KEPT_COSTS = 2048,
    KEPT_IDS = 256 << 10,
    KEPT_TIMES = 512,
    KEPT_SHARDS = 64
};

#define DROP_LARGE(a, cap, kept)                                                                   \
    do {                                                                                           \
        if ((cap) > (kept)) {                                                                      \
            free(TAKE_PTR(a));                                                                     \
            (cap) = 0;                                                                             \
        }                                                                                          \
    } while (0)

void outbox_clear(struct outbox *o)
{
    o->n_windows = o->n_rows = o->n_costs = o->n_shards = o->n_unsettled = o->preview_rows = 0;
    DROP_LARGE(o->rows, o->cap_rows, KEPT_ROWS);
    if (o->cap_costs > KEPT_COSTS) {
        free(TAKE_PTR(o->cost_shards));
    }
    DROP_LARGE(o->costs, o->cap_costs, KEPT_COSTS);
    DROP_LARGE(o->windows, o->cap_windows, KEPT_TIMES);
    DROP_LARGE(o->unsettled, o->cap_unsettled, KEPT_TIMES);
    DROP_LARGE(o->shards, o->cap_shards, KEPT_SHARDS);
    if (arena_reserved(&o->ids) > KEPT_IDS) { // a reset keeps the largest block
        arena_done(&o->ids);
    } else {
        arena_reset(&o->ids);
    }
}

size_t outbox_reserved(const struct outbox *o)
{
    return o->cap_windows * sizeof(o->windows[0]) + o->cap_rows * sizeof(o->rows[0]) +
           o->cap_costs * (sizeof(o->costs[0]) + sizeof(o->cost_shards[0])) +
           o->cap_shards * sizeof(o->shards[0]) + o->cap_unsettled * sizeof(o->unsettled[0]) +
           arena_reserved(&o->ids);
}

void outbox_done(struct outbox *o)
{
    free(o->windows);
    free(o->rows);
    free(o->costs);
    free(o->cost_shards);
    arena_done(&o->ids);
    free(o->shards);
    free(o->unsettled);
    *o = (struct outbox){0};
}

bool outbox_empty(const struct outbox *o)
{
    return o->n_windows == 0 && o->n_costs == 0 && o->n_shards == 0;
}

void outbox_add_window(struct outbox *o, int64_t start, int64_t end)
{
    ARRAY_RESERVE(o->windows, o->n_windows, o->cap_windows);
    o->windows[o->n_windows++] = (struct outbox_window){
        .start = start, .end = end, .shard = o->shard, .first_row = o->n_rows};
}

void outbox_mark_settled(struct outbox *o)
{
    o->windows[o->n_windows - 1].settled = true;
}

void outbox_add_row(struct outbox *o, const struct window_row *row)
{
    ARRAY_RESERVE(o->rows, o->n_rows, o->cap_rows);
    o->rows[o->n_rows++] = *row;
    o->windows[o->n_windows - 1].n_rows++;
}

void outbox_add_cost(struct outbox *o, const struct usage_cost *cost)
{
    if (o->n_costs == o->cap_costs) {
        ARRAY_RESERVE(o->costs, o->n_costs, o->cap_costs);
        o->cost_shards = x_realloc_array(o->cost_shards, o->cap_costs, sizeof(o->cost_shards[0]));
    }
    o->cost_shards[o->n_costs] = o->shard;
    o->costs[o->n_costs] = *cost;
    o->costs[o->n_costs++].event_id = arena_copy(&o->ids, cost->event_id);
}

static void on_window(void *ctx, int64_t start, int64_t end)
{
    outbox_add_window(ctx, start, end);
}

static void on_row(void *ctx, const struct window_row *row)
{
    outbox_add_row(ctx, row);
}

static void on_cost(void *ctx, const struct usage_cost *cost)
{
    outbox_add_cost(ctx, cost);
}

struct engine_sink outbox_sink(struct outbox *o)
{
    return (struct engine_sink){
        .window_begin = on_window, .row = on_row, .cost = on_cost, .ctx = o};
}

void outbox_add_shard(struct outbox *o, const struct shard_state *state,
                      const struct time_range *unsettled, size_t n)
{
    ARRAY_RESERVE(o->shards, o->n_shards, o->cap_shards);
    o->shards[o->n_shards++] = *state;
    for (size_t i = 0; i < n; i++) {
        ARRAY_RESERVE(o->unsettled, o->n_unsettled, o->cap_unsettled);
        o->unsettled[o->n_unsettled++] =
            (struct unsettled_range){state->shard, unsettled[i].from, unsettled[i].to};
    }
}

// The newer states replace those of the same shards, and their ranges with them.
static void drop_state(struct outbox *o, uint32_t shard)
{
    size_t kept = 0;
    for (size_t i = 0; i < o->n_shards; i++) {
        if (o->shards[i].shard != shard) {
            o->shards[kept++] = o->shards[i];
        }
    }
    o->n_shards = kept;
    kept = 0;
    for (size_t i = 0; i < o->n_unsettled; i++) {
        if (o->unsettled[i].shard != shard) {
            o->unsettled[kept++] = o->unsettled[i];
        }
    }
    o->n_unsettled = kept;
}

static void append_windows(struct outbox *o, const struct outbox *from)
{
    size_t row = 0;
    for (size_t i = 0; i < from->n_windows; i++) {
        const struct outbox_window *w = &from->windows[i];
        o->shard = w->shard;
        outbox_add_window(o, w->start, w->end);
        o->windows[o->n_windows - 1].settled = w->settled;
        for (size_t j = 0; j < w->n_rows; j++) {
            outbox_add_row(o, &from->rows[row++]);
        }
    }
}

void outbox_append(struct outbox *o, struct outbox *from)
{
    if (outbox_empty(o)) {
        struct outbox empty = *o;
        *o = *from;
        *from = empty;
        return;
    }
    append_windows(o, from);
    for (size_t i = 0; i < from->n_costs; i++) {
        o->shard = from->cost_shards[i];
        outbox_add_cost(o, &from->costs[i]);
    }
    o->preview_rows += from->preview_rows;
    for (size_t i = 0; i < from->n_shards; i++) {
        drop_state(o, from->shards[i].shard);
        ARRAY_RESERVE(o->shards, o->n_shards, o->cap_shards);
        o->shards[o->n_shards++] = from->shards[i];
    }
    for (size_t i = 0; i < from->n_unsettled; i++) {
        ARRAY_RESERVE(o->unsettled, o->n_unsettled, o->cap_unsettled);
        o->unsettled[o->n_unsettled++] = from->unsettled[i];
    }
    outbox_clear(from);
}

struct place {
    int64_t start;
    uint32_t shard;
    size_t at;
};

static bool place_before(const struct place *a, const struct place *b)
{
    if (a->shard != b->shard) {
        return a->shard < b->shard;
    }
    return a->start != b->start ? a->start < b->start : a->at < b->at;
}
DEFINE_SORT(sort_places, struct place, place_before);

void outbox_drop_superseded(struct outbox *o)
{
    size_t n = o->n_windows, kept = 0;
    AUTO_FREE struct place *places = x_array(2 * n + 1, sizeof(*places)); // half to sort with
    AUTO_FREE bool *gone = x_zalloc(n + 1);
    for (size_t i = 0; i < n; i++) {
        places[i] = (struct place){o->windows[i].start, o->windows[i].shard, i};
    }
    sort_places(places, n, places + n);
    for (size_t i = 0; i + 1 < n; i++) {
        gone[places[i].at] =
            places[i].start == places[i + 1].start && places[i].shard == places[i + 1].shard;
    }
    for (size_t i = 0; i < n; i++) { // their rows stay where they are, unused
        if (!gone[i]) {
            o->windows[kept++] = o->windows[i];
        }
    }
    o->n_windows = kept;
}

static void drop_windows(struct outbox *o, uint32_t shard)
{
    size_t kept = 0, rows = 0;
    for (size_t i = 0; i < o->n_windows; i++) {
        struct outbox_window w = o->windows[i];
        if (w.shard == shard) {
            continue;
        }
        memmove(&o->rows[rows], &o->rows[w.first_row], w.n_rows * sizeof(o->rows[0]));
        w.first_row = rows;
        rows += w.n_rows;
        o->windows[kept++] = w;
    }
    o->n_windows = kept;
    o->n_rows = rows;
}

void outbox_drop_shard(struct outbox *o, uint32_t shard)
{
    size_t kept = 0;
    for (size_t i = 0; i < o->n_costs; i++) {
        if (o->cost_shards[i] != shard) {
            o->costs[kept] = o->costs[i];
            o->cost_shards[kept++] = o->cost_shards[i];
        }
    }
    o->n_costs = kept;
    drop_windows(o, shard);
    drop_state(o, shard);
}

void outbox_fill(const struct outbox *o, struct window_rows *windows, struct store_write *w)
{
    for (size_t i = 0; i < o->n_windows; i++) {
        const struct outbox_window *from = &o->windows[i];
        windows[i] = (struct window_rows){
            .window_start = from->start,
            .window_end = from->end,
            .shard = from->shard,
            .rows = o->rows + from->first_row,
            .n = from->n_rows,
            .settled = from->settled,
        };
    }
    w->windows = windows;
    w->n_windows = o->n_windows;
    w->costs = o->costs;
    w->n_costs = o->n_costs;
    w->shards = o->shards;
    w->n_shards = o->n_shards;
    w->unsettled = o->unsettled;
    w->n_unsettled = o->n_unsettled;
}
