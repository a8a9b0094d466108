// What the engines found since the last commit, on its way to the store. It belongs to whoever
// holds it: the meter, then the parcel it leaves with, then the writer. All zero is empty.
#pragma once

#include "base/arena.h"
#include "cost/engine.h"
#include "output/store.h"

struct outbox_window {
    int64_t start, end;
    uint32_t shard;
    size_t first_row, n_rows; // in rows
    bool settled;             // see struct window_rows
};

// So many rows are sent before more are found.
enum { OUTBOX_ROWS_MAX = 65536 };

// Texts in rows are the engines' own, which keep them for their lifetime.
struct outbox {
    struct outbox_window *windows;
    size_t n_windows, cap_windows;
    struct window_row *rows;
    size_t n_rows, cap_rows;
    struct usage_cost *costs;
    uint32_t *cost_shards; // of each cost
    struct arena ids;      // event_ids of the costs
    size_t n_costs, cap_costs;
    size_t preview_rows; // of `rows`, those of open windows; about
    struct shard_state *shards;
    size_t n_shards, cap_shards;
    struct unsettled_range *unsettled;
    size_t n_unsettled, cap_unsettled;
    uint32_t shard; // whose rows are being added
};

// Empty, for more to be added: keeps at most OUTBOX_KEPT bytes, whatever was in it.
enum { OUTBOX_KEPT = 1 << 20 };
void outbox_clear(struct outbox *o);
size_t outbox_reserved(const struct outbox *o); // bytes that it holds memory of
void outbox_done(struct outbox *o);
bool outbox_empty(const struct outbox *o);

// An engine sink that adds to the outbox, for the shard set in o->shard.
struct engine_sink outbox_sink(struct outbox *o);

void outbox_add_window(struct outbox *o, int64_t start, int64_t end);
void outbox_mark_settled(struct outbox *o); // the window added last replaces final rows
void outbox_add_row(struct outbox *o, const struct window_row *row);
void outbox_add_cost(struct outbox *o, const struct usage_cost *cost);
// State and unsettled ranges of a shard.
void outbox_add_shard(struct outbox *o, const struct shard_state *state,
                      const struct time_range *unsettled, size_t n);

// Moves everything in `from` behind what is in o.
void outbox_append(struct outbox *o, struct outbox *from);

// Forgets all that is about a shard: it is somebody else's.
void outbox_drop_shard(struct outbox *o, uint32_t shard);

// Of rows of one window, keeps the last: where the order of writes is not sure, there must be one.
// For the last holder: nothing can be appended then.
void outbox_drop_superseded(struct outbox *o);

// Points w at the outbox's contents; `windows` is room for o->n_windows.
void outbox_fill(const struct outbox *o, struct window_rows *windows, struct store_write *w);
