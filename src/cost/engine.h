// The cost engine: records in, exact costs out. cost-model.md is its definition.
//
// It is pure: it reads no clock, does no I/O, and what it finally says is a function of the set of
// records it was given. One instance serves one shard and belongs to one thread. The same code
// serves the live path, settlement, `verify` and `recompute`; only who feeds it and who listens
// differ.
//
// Time advances by engine_advance(): every window that ends by then is computed, its rows handed
// to the sink, and the costs of the requests that end in it. A record that touches a window
// computed before is *late*: the engine keeps it as a neighbour of later windows, and adds the
// time whose windows must be settled to its dirty ranges.
#pragma once

#include "cost/price.h"
#include "cost/rows.h"
#include "cost/settings.h"
#include "model/record.h"

struct engine;

// What a request pays on one of its GPUs in one window. Over all of them it adds up to its cost.
struct engine_part {
    int64_t window_start, window_end;
    const struct gpu_key *gpu;
    int64_t seq, start, end; // the request's
    int64_t cost_in_nusd, cost_out_nusd;
    int64_t unpriced_ns;
    double energy_j; // when has_energy
    bool has_energy;
};

// Billed time of a GPU in one window, at one price.
struct engine_piece {
    int64_t window_start, window_end;
    const struct gpu_key *gpu;
    int64_t from, to;
    int64_t price_nusd;  // per hour; PRICE_NONE: unpriced
    int64_t price_entry; // the price book's that it is from, or PRICE_OF_SAMPLE, PRICE_OF_DEFAULT
};

// Callbacks of engine_advance and engine_preview. Rows come by window, ascending; within one
// window in canonical order (window_row_cmp), then the costs of the requests that end in it: those
// without a place by (ts, event_id), then the others by their first GPU and (start, event_id).
// Borrowed data is valid during the call. Members may be NULL.
struct engine_sink {
    void (*window_begin)(void *ctx, int64_t start, int64_t end); // before a window's rows
    // What a GPU costs in that window, from its billed time and prices alone: its rows add up to
    // it. After window_begin, before the rows.
    void (*bill)(void *ctx, const struct gpu_key *gpu, int64_t bill_nusd);
    void (*row)(void *ctx, const struct window_row *row);
    void (*cost)(void *ctx, const struct usage_cost *cost);
    // To explain costs; before window_begin: GPU by GPU its pieces, then the parts.
    void (*piece)(void *ctx, const struct engine_piece *p);
    void (*part)(void *ctx, const struct engine_part *p);
    void *ctx;
};

// settings and prices are borrowed and must outlive the engine, or be replaced by engine_configure
// before they go.
struct engine *engine_new(const struct settings_history *settings, const struct price_book *prices);
void engine_free(struct engine *e); // accepts NULL

// New settings or prices for windows from now on. Windows already computed stand: to reprice them
// is `recompute`'s business.
void engine_configure(struct engine *e, const struct settings_history *settings,
                      const struct price_book *prices);

// Everything before `t` (rounded down to a window's start) counts as computed elsewhere: records
// there are neighbours only. For rebuilding from a store and for settling a range. Call before the
// first record.
void engine_start_at(struct engine *e, int64_t t);

// The first instant not yet final; INT64_MIN before anything was computed.
int64_t engine_frontier(const struct engine *e);

enum { ENGINE_LATE = 1 };

// Takes a record in (everything needed is copied). The caller has seen to it that no event_id comes
// twice. Returns 0, or ENGINE_LATE when it touches a computed window.
int engine_add(struct engine *e, const struct record *r);

// Computes every window that ends at or before `until` (which only moves forward; INT64_MIN: none).
void engine_advance(struct engine *e, int64_t until, const struct engine_sink *sink);

// The same, but it stops at the end of the window in which so many rows have been handed out. True:
// it did, and there is more to compute.
bool engine_advance_some(struct engine *e, int64_t until, size_t rows,
                         const struct engine_sink *sink);

// The rows of the windows not yet computed, up to the newest evidence, as they stand; final is
// false and revision 0. Changes nothing.
void engine_preview(struct engine *e, const struct engine_sink *sink);
// The same, but of the windows that may have changed since they were told this way; all of them the
// first time, after engine_tell_all() and after engine_configure(). It stops after so much work, in
// requests and samples and no less than those of one GPU, and returns true; the next call goes on
// there, in the middle of a window even, whose rows come once all are known. In between records may
// be added and windows computed: what that changes behind it is told by the call after the one that
// ends with false.
bool engine_preview_changed(struct engine *e, size_t work, const struct engine_sink *sink);
void engine_tell_all(struct engine *e);

// Where the watermark of this shard would allow `engine_advance`: the last window bound at or
// before watermark - horizon.
int64_t engine_settled_until(const struct engine *e, int64_t watermark);

// The newest instant of any evidence taken in (a sample's ts, a request's end); INT64_MIN: none.
int64_t engine_newest(const struct engine *e);

// Ranges of computed time that late records touched: disjoint, ascending, aligned to windows.
// Merges on its own; the caller takes what it will settle.
struct time_range {
    int64_t from, to; // ns, [from, to)
};
size_t engine_dirty(const struct engine *e, const struct time_range **ret); // borrowed
void engine_dirty_add(struct engine *e, int64_t from, int64_t to);          // e.g. from a store
void engine_dirty_remove(struct engine *e, int64_t from, int64_t to);       // settled

// Requests that began before the frontier and end after it carry what they were charged so far.
// A settlement that ran on another instance over [.., frontier) hands its findings over:
// for each such request `cost` is called with the sums so far (final false).
void engine_partials(const struct engine *e, void (*cost)(void *ctx, const struct usage_cost *c),
                     void *ctx);
// Replaces the sums of the pending request with this seq; false when it is not pending here.
bool engine_set_partial(struct engine *e, const struct usage_cost *c);

// The oldest start of a request not yet final, INT64_MAX when there is none.
int64_t engine_oldest_pending(const struct engine *e);

struct engine_stats {
    size_t samples, requests; // held now
    size_t bytes;             // memory held, about
    uint64_t records;         // taken in, ever
    uint64_t late;
};
struct engine_stats engine_stats(const struct engine *e);
