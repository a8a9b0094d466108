// The store in a MongoDB database (4.4 or later), shared by any number of processes, each of which
// owns some shards (output/store.h, "owners"). What is shared among its files; collections, fields
// and guarantees are in docs/stores/mongodb.md.
//
//   mongo_lib.c  libmongoc, loaded when it is needed
//   bson.c       documents written into one buffer
//   conn.c       connection, commands, cursors; errors.c MongoDB's errors in our words
//   open.c       opening, closing, the table of functions; schema.c meta and indexes
//   owners.c     who owns a shard
//   commit.c     the sequence of writes that a commit is; its parts:
//                records.c, letters.c, gpus.c, corrections.c, windows.c, rollups.c, costs.c,
//                progress.c
//   documents.h  records, rows and costs as documents (documents.c), and back (parse.c, keys.c)
//   driver.h     the driver's functions
//   config.c     settings and prices
//   read.c       cursors; expire.c retention
#pragma once

#include "base/intern.h"
#include "base/uuid.h"
#include "output/mongo/conn.h"
#include "output/mongo/seq.h"
#include "output/rollup.h"
#include "output/store_impl.h"

enum { MG_SCHEMA = 1 };

// What a shard's document says that readers are told; see progress.c.
struct mg_bounds {
    bool has_records;
    int64_t first[2], last[2]; // event times by enum record_kind; INT64_MAX, INT64_MIN: none
    int64_t longest_usage_ns;
    int64_t raw_from, windows_from; // INT64_MIN: nothing was expired
};

struct mg_shard_doc {
    int64_t epoch; // 0: nobody has ever taken it
    char owner[UUID_TEXT + 1];
    int64_t version;
    struct shard_state state;
    struct mg_bounds bounds;
    int64_t gpus_seq;               // 0: not said
    struct unsettled_range *ranges; // in the arena
    size_t n_ranges;
};

enum mg_holding { MG_NEVER, MG_HELD, MG_LOST };

struct mg_windows; // the rows of open windows as they were last written: windows.c
struct mg_gpus;    // GPUs whose newest sample is not written yet: gpus.c

struct mg_shard {
    uint32_t shard;
    enum mg_holding holding;
    int64_t epoch;
    int64_t given[2]; // counters of the last seqs, by enum record_kind
    struct shard_state state;
    struct mg_bounds bounds;                  // as they are stored, as far as known
    bool touched;                             // by the commit that is going on
    bool grown;                               // bounds.longest_usage_ns, and that is not stored yet
    struct mg_bounds news;                    // of its records
    int64_t gpus_kept, gpus_seq, gpus_stored; // samples up to it are here; in gpus; said to be
    struct mg_windows *windows;
};

struct mg_writer {
    char id[UUID_TEXT + 1]; // of this handle, among owners
    struct uuid7 uuids;
    bool announced;                            // there is a document of ours in owners
    struct mg_shard *shards[STORE_SHARDS_MAX]; // NULL: not met yet
    uint32_t shards_end;                       // behind the last one that was met
    int64_t raw_from;                          // the newest of all shards, as far as known
    struct mono checked;                       // when it was last known that held shards are ours
    int64_t arrived;                           // of the last dead letter
    struct arena reasons;                      // of the last commit's refusals
    struct rollup *rollup;
    struct mg_gpus *gpus;
    struct mg_batch inserts, updates, deletes, letters;
};

struct mg_store {
    struct store base;
    struct mg_conn conn;
    uint32_t n_shards;
    struct buf cost_id; // event_id of the last cost that was asked for
    bool holding;
    struct store_info held;   // of the snapshot that is held
    struct mg_writer *writer; // NULL unless opened with STORE_WRITE
};

static inline struct mg_store *mg_of(struct store *s)
{
    return (struct mg_store *)s;
}

// ---- schema.c ------------------------------------------------------------------------------

extern const char *const mg_record_collection[2], *const mg_level_collection[3];

int mg_check_schema(struct mg_store *s, struct error *err) GTAP_CHECK; // creates when writing
int mg_load_shards(struct mg_store *s, struct error *err) GTAP_CHECK;  // n_shards
int mg_bump_version(struct mg_store *s, struct error *err) GTAP_CHECK; // meta's part of it

// ---- owners.c ------------------------------------------------------------------------------

struct mg_shard *mg_shard(struct mg_writer *w, uint32_t shard); // adds it when new
// Takes a shard that this handle was never told to take, if nobody has it.
int mg_claim(struct mg_store *s, uint32_t shard, struct error *err) GTAP_CHECK;
// Finds out which of the touched held shards were taken by others, and drops them.
int mg_find_lost(struct mg_store *s, struct error *err) GTAP_CHECK;
void mg_give_back(struct mg_store *s);
// The next seq of a shard; a new epoch when its numbers are used up.
int mg_next_seq(struct mg_store *s, uint32_t shard, enum record_kind kind, int64_t *ret,
                struct error *err) GTAP_CHECK;

// ---- commit.c and its parts ----------------------------------------------------------------

static inline bool mg_owns(struct mg_store *s, uint32_t shard)
{
    return mg_shard(s->writer, shard)->holding == MG_HELD;
}

int mg_put_records(struct mg_store *s, struct store_write *w, struct error *err) GTAP_CHECK;
void mg_unjudge(struct store_write *w); // after a failure
int mg_put_letter(struct mg_store *s, const struct dead_letter *d, struct error *err) GTAP_CHECK;
int mg_flush_letters(struct mg_store *s, struct error *err) GTAP_CHECK;
struct mg_gpus *mg_gpus_new(void);
void mg_gpus_free(struct mg_gpus *g); // accepts NULL
int mg_put_gpus(struct mg_store *s, const struct store_write *w, struct error *err) GTAP_CHECK;
int mg_flush_gpus(struct mg_store *s, struct error *err) GTAP_CHECK;
int mg_flush_gpus_due(struct mg_store *s, struct error *err) GTAP_CHECK;
// Of a shard that was taken: GPUs of samples behind this seq, which its former owner may have left.
int mg_find_gpus(struct mg_store *s, uint32_t shard, int64_t after, struct error *err) GTAP_CHECK;
int mg_put_windows(struct mg_store *s, const struct store_write *w, struct error *err) GTAP_CHECK;
int mg_put_span(struct mg_store *s, enum window_level level, const struct window_rows *span,
                struct error *err) GTAP_CHECK; // hours and days; not flushed
int mg_flush_rows(struct mg_store *s, struct error *err) GTAP_CHECK;
void mg_windows_forget(struct mg_shard *shard);
int mg_put_costs(struct mg_store *s, const struct store_write *w, struct error *err) GTAP_CHECK;
int mg_roll_up(struct mg_store *s, const struct store_write *w, struct error *err) GTAP_CHECK;
// The hours, and their days, that unsettled ranges touch: a crash may have come before that.
int mg_roll_again(struct mg_store *s, const struct unsettled_range *ranges, size_t n,
                  struct error *err) GTAP_CHECK;
int mg_put_positions(struct mg_store *s, const struct store_write *w, struct error *err) GTAP_CHECK;
int mg_put_states(struct mg_store *s, struct store_write *w, struct error *err) GTAP_CHECK;
int mg_put_longest(struct mg_store *s, const struct store_write *w, struct error *err) GTAP_CHECK;
struct mg_bounds mg_no_bounds(void);
