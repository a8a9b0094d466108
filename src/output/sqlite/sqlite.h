// The store in one SQLite file (https://sqlite.org, 3.37 or later), in WAL mode. What is shared
// among its files; the layout of the database is in schema.c.
//
//   open.c     opening, closing, the table of functions
//   conn.c     a connection: its settings, prepared statements, and SQLite's errors in our words
//   lock.c     one writer a file
//   schema.c   tables, views, migrations
//   dims.c     rarely changing text, stored once (writing); shapes.c the same for reading
//   feed.c     a C array as a table, so that one statement stores a batch
//   commit.c   the transaction; records.c, costs.c, windows.c, progress.c, gpus.c write its parts
//   config.c   settings and prices
//   cursor.c   snapshots; read_records.c, read_rows.c what they read; match.c whose
//   packs.c    hours and days once more, packed, for those who read many; pack.c one pack's bytes
//   expire.c   retention
#pragma once

#include "output/sqlite/conn.h"
#include "output/sqlite/cursor.h"

// ---- the store and its writer --------------------------------------------------------------

// Dimensions: see dims.c.
enum sq_dim { SQ_DEVICE, SQ_PLACE, SQ_CONSUMER, SQ_N_DIMS };

struct sq_dims {
    struct intern *keys; // of one tuple: its cells' bytes
    int64_t *ids;        // by interned key; 0: not looked up yet
    size_t cap;
    struct buf key; // scratch
};

// The one row of `meta`.
struct sq_meta {
    int64_t n_shards;
    int64_t last_seq[2], stored[2]; // by enum record_kind
    int64_t first[2], last[2];      // event times; INT64_MAX, INT64_MIN: none
    int64_t dead_letters;
    int64_t longest_usage_ns;
    int64_t raw_from;
};

struct sq_shard {
    struct shard_state state;
    bool has_records;
    int64_t windows_from; // windows before this were expired; INT64_MIN: none
};

// A record on its way in.
struct sq_new {
    struct store_record *stored;
    int64_t seq;
    int64_t device, place, consumer;
};
struct sq_new_row {
    const struct window_row *row;
    int64_t shard, n;
    int64_t place, consumer;
};
// The rows of one hour or day of a shard. Numbers as they are in the file.
struct sq_span {
    enum window_level level;
    int64_t start, shard;
};
struct sq_new_list {
    struct sq_new *v;
    size_t n, cap;
};

// What only a handle opened to write has.
struct sq_writer {
    int lock_fd;
    bool loaded; // meta and shards are what the file says
    struct sq_meta meta;
    struct sq_shard *shards; // ascending
    size_t n_shards, cap_shards;
    struct sq_dims dims[SQ_N_DIMS];
    struct sq_new_list fresh[2]; // by enum record_kind
    struct rollup *rollup;
    struct sq_feed samples, usages, costs, rows;
    struct buf pack; // scratch
};

struct sq_store {
    struct store base;
    char *path; // absolute, symbolic links resolved
    char *name;
    enum sq_mode read_mode;
    int migrated_from; // see struct store_info
    struct sq_conn *main;
    struct sq_conn *idle;     // connections of closed cursors
    struct buf cost_id;       // event_id of the last cost that was asked for
    struct sq_writer *writer; // NULL unless opened with STORE_WRITE
};

static inline struct sq_store *sq_of(struct store *s)
{
    return (struct sq_store *)s;
}

// open.c: -EBUSY when the file is read as one that cannot change, and changes.
int sq_check_rest(const struct sq_store *s, struct error *err);

// ---- commit.c ------------------------------------------------------------------------------

int sq_begin(struct sq_store *s, struct error *err);
// Commits, or, when r < 0, rolls back and returns r.
int sq_end(struct sq_store *s, int r, struct error *err);
int sq_commit(struct store *s, struct store_write *w, struct error *err);

struct sq_writer *sq_writer_new(int lock_fd);
void sq_writer_free(struct sq_writer *w);                     // accepts NULL
int sq_writer_prepare(struct sq_store *s, struct error *err); // its feeds

// dims.c: ids of tuples, inserted when new.
int sq_device_id(struct sq_store *s, const struct gpu_sample *g, int64_t *ret, struct error *err);
int sq_usage_place_id(struct sq_store *s, const struct usage_record *u, int64_t *ret,
                      struct error *err);
int sq_row_place_id(struct sq_store *s, const struct window_row *row, int64_t *ret,
                    struct error *err);
int sq_consumer_id(struct sq_store *s, struct str model, struct str tenant, int64_t *ret,
                   struct error *err);
void sq_dims_init(struct sq_dims *d);
void sq_dims_done(struct sq_dims *d);
void sq_dims_forget(struct sq_dims *d);

// Parts of a commit, in their order.
int sq_put_records(struct sq_store *s, struct store_write *w, struct error *err); // records.c
int sq_put_gpus(struct sq_store *s, const struct sq_new_list *samples, struct error *err);
int sq_put_letter(struct sq_store *s, const struct dead_letter *d, struct error *err);
int sq_put_positions(struct sq_store *s, const struct store_write *w, struct error *err);
int sq_put_corrections(struct sq_store *s, const struct store_write *w, struct error *err);
int sq_put_windows(struct sq_store *s, const struct store_write *w, struct error *err);
int sq_put_span(struct sq_store *s, enum window_level level, int64_t start, uint32_t shard,
                const struct window_row *rows, size_t n, struct error *err);
int sq_put_pack(struct sq_store *s, const struct sq_span *span, const struct sq_new_row *rows,
                size_t n, struct error *err); // in place of what is there
int sq_put_costs(struct sq_store *s, const struct store_write *w, struct error *err);
int sq_put_progress(struct sq_store *s, const struct store_write *w, struct error *err);
int sq_roll_up(struct sq_store *s, const struct store_write *w, const int64_t *old_frontiers,
               struct error *err);
int sq_save_meta(struct sq_store *s, struct error *err);
int sq_load_writer(struct sq_store *s, struct error *err);
struct sq_shard *sq_shard(struct sq_writer *w, uint32_t shard); // adds it when new
int sq_save_shard(struct sq_store *s, const struct sq_shard *shard, struct error *err);

// The feeds, to be copied into a writer.
extern const struct sq_feed sq_sample_feed, sq_usage_feed; // of struct sq_new
extern const struct sq_feed sq_cost_feed;                  // of const struct usage_cost *
extern const struct sq_feed sq_window_feed;                // of struct sq_new_row
