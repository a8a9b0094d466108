// The reading half of a store; see output/store.h, which includes it.
//
// Everything here sees committed transactions only. What a function puts into an arena lives as
// long as that does.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "cost/price.h"
#include "cost/rows.h"
#include "cost/settings.h"
#include "model/record.h"
#include "output/store_match.h"
#include "output/store_state.h"

struct store;

// From here to store_release() a handle opened to read sees one snapshot, cursors included, so that
// what several calls say adds up while others write. Hold it no longer than that takes: a store
// cannot reuse its log meanwhile. A handle that may write sees its own commits instead; there both
// do nothing. Holds do not nest.
int store_hold(struct store *s, struct error *err) GTAP_CHECK;
void store_release(struct store *s); // cursors are closed by now

struct store_info {
    int schema_version;
    int migrated_from; // the schema that opening this handle found and replaced; -1: it did not
    uint32_t n_shards;
    int64_t samples, usages, dead_letters; // rows stored
    int64_t raw_from;     // raw records before this were expired; INT64_MIN: none were
    int64_t windows_from; // cost windows before this were expired, in some shard; INT64_MIN: none
    int64_t
        longest_usage_ns;  // no stored request is longer: bounds the search for those running at t
    int64_t first, last;   // oldest and newest event time stored; INT64_MAX, INT64_MIN: none
    int64_t final_until;   // least frontier of all shards with records; INT64_MIN: none
    uint64_t data_version; // changes with every commit by anyone
};
int store_info(struct store *s, struct store_info *ret, struct error *err) GTAP_CHECK;

// Owned by the arena. At least one epoch once something was written; n may be 0 before.
int store_settings(struct store *s, struct arena *a, struct settings_history *ret,
                   struct error *err) GTAP_CHECK;
int store_prices(struct store *s, struct arena *a, struct price_book *ret, struct error *err)
    GTAP_CHECK;
int store_position(struct store *s, struct str input, struct input_position *ret,
                   struct error *err) GTAP_CHECK; // -ENOENT: never seen
int store_shard(struct store *s, uint32_t shard, struct shard_state *ret,
                struct error *err)
    GTAP_CHECK; // nothing stored yet: frontier INT64_MIN etc., seen 0
int store_unsettled(struct store *s, struct arena *a, struct unsettled_range **ret, size_t *ret_n,
                    struct error *err) GTAP_CHECK;

// The newest sample of each GPU, in canonical order.
struct gpu_info {
    struct gpu_sample newest;
    int64_t first_seen; // ns
};
int store_gpus(struct store *s, struct arena *a, struct gpu_info **ret, size_t *ret_n,
               struct error *err) GTAP_CHECK;

// Cursors: *_next returns 1 with a row, 0 at the end, or a negative errno. What a row borrows is
// valid until the next call. A cursor sees one snapshot; close it soon, and before its store.
struct store_cursor;
void store_cursor_close(struct store_cursor *c); // accepts NULL

enum record_order {
    RECORDS_BY_TIME, // samples by (ts, event_id), usage by (start, event_id); range on ts / start
    RECORDS_BY_SEQ,  // as they came; range on seq
    RECORDS_NEWEST,  // RECORDS_BY_TIME backwards; resumable: see record_query.before
};
enum record_filter { RECORDS_ALL, RECORDS_UNPLACED, RECORDS_UNPRICED, RECORDS_LATE, RECORDS_OPEN };

struct record_query {
    enum record_kind kind;
    enum record_order order;
    enum record_filter filter; // usage only, but for RECORDS_ALL
    int64_t from, to;          // [from, to)
    int64_t shard;             // -1: all
    struct str before;         // RECORDS_NEWEST: of time `to` those with a lesser event_id, too;
                               // absent: none of it. (to, before) of the last one read goes on
    const struct store_match *match; // usage only; NULL: of anyone
};
// A stored record with its cost: for usage, final or provisional; cost.seq 0 when it has none.
struct stored_record {
    struct record record;
    struct usage_cost cost;
};
int store_records(struct store *s, const struct record_query *q, struct store_cursor **ret,
                  struct error *err) GTAP_CHECK;
int store_records_next(struct store_cursor *c, struct stored_record *ret, struct error *err)
    GTAP_CHECK;

// A record with all its texts, in the arena.
struct record store_copy_record(struct arena *a, const struct record *r);
// The record of this event_id, owned by the arena. -ENOENT: there is none.
int store_find_record(struct store *s, enum record_kind kind, struct str event_id, struct arena *a,
                      struct stored_record *ret, struct error *err) GTAP_CHECK;
// The stored computed cost of one request by seq: -ENOENT when it has none but a provisional one.
int store_cost(struct store *s, int64_t seq, struct usage_cost *ret, struct error *err) GTAP_CHECK;

enum window_level { LEVEL_WINDOW, LEVEL_HOUR, LEVEL_DAY };
struct window_query {
    enum window_level level; // hours and days hold final windows only
    int64_t from, to;        // [from, to) on window_start
    int64_t shard;           // -1: all
};
// Rows in ascending window_start; within one, by shard, then in canonical order.
int store_windows(struct store *s, const struct window_query *q, struct store_cursor **ret,
                  struct error *err) GTAP_CHECK;
// Of these only; rows without model and tenant (idle time) are nobody's.
int store_windows_of(struct store *s, const struct window_query *q, const struct store_match *m,
                     struct store_cursor **ret, struct error *err) GTAP_CHECK;
int store_windows_next(struct store_cursor *c, struct window_row *ret, struct error *err)
    GTAP_CHECK;

// A store may keep rows of hours and days once more, so that many are read faster: store_windows()
// of all shards may read these: in a write's transaction both change, and the rows are what counts.
enum copy_fault {
    COPY_MISSING,     // there are rows without a copy
    COPY_SUPERFLUOUS, // a copy without rows
    COPY_DAMAGED,     // it cannot be read
    COPY_DIFFERENT,   // it says something else than the rows
};
struct store_copy {
    enum window_level level;
    int64_t start, shard; // of which hour or day it is
    enum copy_fault fault;
    // COPY_DIFFERENT: the first row that is; either side NULL: it has no more. Valid for the call.
    const struct window_row *copy, *row;
};
// Compares copies with rows, in [from, to) on their beginning, and tells which are not what they
// must be, in ascending order, hours first.
typedef void store_copy_fn(void *ctx, const struct store_copy *copy);
int store_check_copies(struct store *s, int64_t from, int64_t to, store_copy_fn *differs, void *ctx,
                       struct error *err) GTAP_CHECK;

// In order of arrival; range on `at`.
int store_dead_letters(struct store *s, int64_t from, int64_t to, struct store_cursor **ret,
                       struct error *err) GTAP_CHECK;
int store_dead_letters_next(struct store_cursor *c, struct dead_letter *ret, struct error *err)
    GTAP_CHECK;
