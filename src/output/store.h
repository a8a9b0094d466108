// A store keeps everything that is true: raw records, the rows computed from them, and how far
// every input got. Three implementations (memory, SQLite, later MongoDB) pass one conformance
// suite, tests/unit/output/test_store.c.
//
// Raw records are evidence: written once, never changed. Computed rows are replaced whole, by
// key. One store_commit() is one transaction: after a crash either all of it is there or nothing.
//
// A handle belongs to one thread at a time. Any number of processes may read while one writes;
// each reader sees committed transactions only.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "cost/price.h"
#include "cost/rows.h"
#include "cost/settings.h"
#include "model/record.h"

struct store;

enum store_access {
    STORE_READ,  // reports, export, verify. -ENOENT when there is no such store
    STORE_ADMIN, // prices and settings: short writes beside a running writer; creates
    STORE_WRITE, // records and computed rows: one process at a time, others get -EBUSY; creates
};

// text: "sqlite:PATH", "memory:" or "memory:NAME" (shared by name within the process; for tests).
// Messages say what is the matter and what to do: not there, not ours (application id), newer
// schema, corrupt, read-only, in use by process N. An older schema is migrated when opened to
// write, refused with that advice when opened to read.
int store_open(const char *text, enum store_access access, struct store **ret,
               struct error *err) GTAP_CHECK;
void store_close(struct store *s); // accepts NULL; an open transaction is rolled back

const char *store_name(const struct store *s); // the text it was opened by, without secrets

// ---- writing -------------------------------------------------------------------------------

enum store_verdict {
    STORE_NEW,       // stored; record.seq is set
    STORE_DUPLICATE, // same event_id and digest as a stored one: nothing to do
    STORE_CONFLICT,  // same event_id, other digest: the stored one stays, this one is in the dead
                     // letters, put there by the store itself
};

// One record to be stored. cost: its provisional cost (usage; NULL: unknown).
struct store_record {
    struct record *record;
    const struct usage_cost *provisional;
    const char *payload; // as received, for the dead letter of a conflict; NULL: re-encoded
    size_t payload_n;
    enum store_verdict verdict; // out
};

// How far an input got: the next run goes on behind it.
struct input_position {
    struct str input;    // its name: stable over restarts
    int64_t records;     // records and dead letters taken from it so far
    int64_t offset;      // bytes of it consumed; -1 where that means nothing
    uint64_t fingerprint; // of its beginning, to tell another input under the same name; 0: none
};

// All rows of one window of one shard: replaces what was there under (window_start, shard). When
// windows of an hour or a day already rolled up change, the store rolls up again in the same
// transaction.
struct window_rows {
    int64_t window_start;
    int64_t window_end;
    uint32_t shard;
    const struct window_row *rows; // canonical order; may be empty
    size_t n;
};

// What an engine must know to go on: see pipeline/rebuild.h.
struct shard_state {
    uint32_t shard;
    int64_t frontier;       // everything before is final; INT64_MIN: nothing yet
    int64_t newest;         // newest evidence; INT64_MIN: none
    int64_t oldest_pending; // start of the oldest request not final; INT64_MAX: none
    int64_t samples_seen;   // highest seq of gpu_metrics that the engine has taken in
    int64_t usage_seen;     // the same of token_usage
};

// Computed time that must be settled: [from, to) of a shard.
struct unsettled_range {
    uint32_t shard;
    int64_t from, to;
};

struct store_write {
    struct store_record *records;
    size_t n_records;
    const struct dead_letter *dead_letters;
    size_t n_dead_letters;
    const struct input_position *positions;
    size_t n_positions;
    const struct window_rows *windows;
    size_t n_windows;
    const struct usage_cost *costs; // by seq; late, once true for a seq, stays true
    size_t n_costs;
    const struct shard_state *shards;
    size_t n_shards;
    const struct unsettled_range *unsettled; // replaces all ranges of the shards named in `shards`
    size_t n_unsettled;
};

// Applies all of *w in one transaction; on return it is durable. Within one write, records are
// applied in order, so a duplicate inside the batch is found too. On failure nothing of it is
// stored, verdicts are undefined, and err says what to do; a full disk is -ENOSPC.
int store_commit(struct store *s, struct store_write *w, struct error *err) GTAP_CHECK;

// The number of shards, fixed once records are stored: -EBUSY when n differs from what is stored
// and there are records. A new store has 1.
int store_set_shards(struct store *s, uint32_t n, struct error *err) GTAP_CHECK;

// Appends an epoch (see cost/settings.h); one with the same effective_from as the newest replaces
// it. `added_at`: wall time, ns.
int store_add_settings(struct store *s, const struct settings *e, int64_t added_at,
                       struct error *err) GTAP_CHECK;
// Appends an entry to the price book and returns its id.
int store_add_price(struct store *s, const struct price_entry *e, int64_t *ret_id,
                    struct error *err) GTAP_CHECK;

enum store_collection {
    STORE_GPU_METRICS,
    STORE_TOKEN_USAGE,
    STORE_COST_WINDOWS, // windows only: hours and days stay
    STORE_DEAD_LETTERS,
};
// Removes what is older than `before` (event time; dead letters: `at`), at most `limit` rows a
// call; *ret_removed says how many. Raw records that something unsettled or not final may still
// need are kept. What was removed is remembered: see store_info.raw_from.
int store_expire(struct store *s, enum store_collection c, int64_t before, size_t limit,
                 size_t *ret_removed, struct error *err) GTAP_CHECK;

// ---- reading -------------------------------------------------------------------------------

struct store_info {
    int schema_version;
    uint32_t n_shards;
    int64_t samples, usages, dead_letters; // rows stored
    int64_t raw_from;         // raw records before this were expired; INT64_MIN: none were
    int64_t longest_usage_ns; // no stored request is longer: bounds the search for those running at t
    int64_t first, last;      // oldest and newest event time stored; INT64_MAX, INT64_MIN: none
    int64_t final_until;      // least frontier of all shards with records; INT64_MIN: none
    uint64_t data_version;    // changes with every commit by anyone
};
int store_info(struct store *s, struct store_info *ret, struct error *err) GTAP_CHECK;

// Owned by the arena. At least one epoch once something was written; n may be 0 before.
int store_settings(struct store *s, struct arena *a, struct settings_history *ret,
                   struct error *err) GTAP_CHECK;
int store_prices(struct store *s, struct arena *a, struct price_book *ret,
                 struct error *err) GTAP_CHECK;
int store_position(struct store *s, struct str input, struct input_position *ret,
                   struct error *err) GTAP_CHECK; // -ENOENT: never seen
int store_shard(struct store *s, uint32_t shard, struct shard_state *ret,
                struct error *err) GTAP_CHECK; // nothing stored yet: frontier INT64_MIN etc., seen 0
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
};
enum record_filter { RECORDS_ALL, RECORDS_UNPLACED, RECORDS_UNPRICED, RECORDS_LATE, RECORDS_OPEN };

struct record_query {
    enum record_kind kind;
    enum record_order order;
    enum record_filter filter; // usage only, but for RECORDS_ALL
    int64_t from, to;          // [from, to)
    int64_t shard;             // -1: all
};
// A stored record with its cost: for usage, final or provisional; cost.seq 0 when it has none.
struct stored_record {
    struct record record;
    struct usage_cost cost;
};
int store_records(struct store *s, const struct record_query *q, struct store_cursor **ret,
                  struct error *err) GTAP_CHECK;
int store_records_next(struct store_cursor *c, struct stored_record *ret,
                       struct error *err) GTAP_CHECK;

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
int store_windows_next(struct store_cursor *c, struct window_row *ret,
                       struct error *err) GTAP_CHECK;

// In order of arrival; range on `at`.
int store_dead_letters(struct store *s, int64_t from, int64_t to, struct store_cursor **ret,
                       struct error *err) GTAP_CHECK;
int store_dead_letters_next(struct store_cursor *c, struct dead_letter *ret,
                            struct error *err) GTAP_CHECK;
