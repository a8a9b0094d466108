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
//   cursor.c   snapshots; read_records.c, read_rows.c what they read
//   expire.c   retention
#pragma once

#include <sqlite3.h>

#include "base/buf.h"
#include "base/intern.h"
#include "base/map.h"
#include "output/rollup.h"
#include "output/store_impl.h"

// ---- conn.c --------------------------------------------------------------------------------

enum { SQ_STATEMENTS_MAX = 64 };

// What a device, a place and a consumer are, once read: by id. Borrowed strings live until the
// connection's next row.
struct sq_device {
    struct gpu_key gpu;
    struct str name, uuid, mig_profile, source, site;
};
struct sq_place {
    struct str host, site;
    int32_t *gpus;
    uint32_t n_gpus;
    int32_t instance;
};
struct sq_consumer {
    struct str model, tenant;
};
struct sq_shapes {
    struct map devices, places, consumers; // by id
    struct arena arena;
};

struct sq_conn {
    sqlite3 *db;
    const char *name; // for messages; borrowed
    struct {
        const char *sql;
        sqlite3_stmt *stmt;
    } kept[SQ_STATEMENTS_MAX];
    size_t n_kept;
    struct sq_shapes shapes;
    struct sq_conn *next; // in the store's pool
};

enum sq_mode {
    SQ_READ,      // the file as it grows
    SQ_IMMUTABLE, // a file that cannot change: on a read-only medium
    SQ_CHANGE,    // reads and writes; the file may be new
};

int sq_connect(const char *path, const char *name, enum sq_mode mode, struct sq_conn **ret,
               struct error *err);
void sq_disconnect(struct sq_conn *c); // accepts NULL

int sq_prepare_writing(struct sq_conn *c, struct error *err); // its settings for a durable writer

// Sets *err from the connection's last failure, rc; returns its errno.
int sq_fail(const struct sq_conn *c, int rc, struct error *err);
int sq_exec(struct sq_conn *c, const char *sql, struct error *err);

// The connection's own statement for this text (by address: a constant), prepared once and kept.
int sq_statement(struct sq_conn *c, const char *sql, sqlite3_stmt **ret, struct error *err);
// Steps: 1 with a row, else 0 and the statement is reset. A failure resets it too.
int sq_row(struct sq_conn *c, sqlite3_stmt *stmt, struct error *err);
// Runs a statement that returns no rows, and resets it.
int sq_run(struct sq_conn *c, sqlite3_stmt *stmt, struct error *err);
void sq_reset(sqlite3_stmt *stmt); // and forgets what was bound

void sq_bind_str(sqlite3_stmt *stmt, int at, struct str s); // borrowed until reset; absent: NULL
struct str sq_str(sqlite3_stmt *stmt, int column);          // borrowed until the next step
int64_t sq_i64(sqlite3_stmt *stmt, int column);

// ---- shapes.c ------------------------------------------------------------------------------

// What an id stands for; borrowed until sq_shapes_trim or sq_shapes_done.
int sq_device(struct sq_conn *c, int64_t id, const struct sq_device **ret, struct error *err);
int sq_place(struct sq_conn *c, int64_t id, const struct sq_place **ret, struct error *err);
int sq_consumer(struct sq_conn *c, int64_t id, const struct sq_consumer **ret, struct error *err);
void sq_shapes_trim(struct sq_shapes *s); // forgets all when it has become too much
void sq_shapes_done(struct sq_shapes *s); // forgets all

// ---- schema.c ------------------------------------------------------------------------------

#define SQ_APPLICATION_ID 0x67746170 // "gtap"

struct sq_migration {
    int version; // of the schema after it
    const char *sql;
};
extern const struct sq_migration sq_migrations[]; // ascending; the first makes a store of nothing
extern const size_t sq_n_migrations;

enum sq_found {
    SQ_EMPTY,   // an empty database
    SQ_FOREIGN, // not ours
    SQ_OURS,
};
int sq_inspect(struct sq_conn *c, enum sq_found *ret, int *ret_version, struct error *err);
// Brings the schema to the newest of the n migrations, in one transaction.
int sq_migrate(struct sq_conn *c, const struct sq_migration *migrations, size_t n,
               struct error *err);

// ---- lock.c --------------------------------------------------------------------------------

// Takes the writer's lock of a database file: released by sq_unlock, or by the death of the
// process. -EBUSY names the process that holds it.
int sq_lock(const char *path, const char *name, int *ret_fd, struct error *err);
void sq_unlock(const char *path, int fd); // accepts -1

// ---- feed.c --------------------------------------------------------------------------------

// A C array as a read-only table of one connection.
struct sq_feed {
    const char *name;
    const char *columns; // "a, b, c"
    void (*column)(sqlite3_context *to, const void *row, int column);
    const char *rows; // rows[0..n), each `size` bytes apart
    size_t size, n;
};
int sq_feed_register(struct sq_conn *c, struct sq_feed *feed, struct error *err);
// Sets `rows` for the length of one sq_run(sql).
int sq_feed_run(struct sq_conn *c, struct sq_feed *feed, const void *rows, size_t n,
                const char *sql, struct error *err);
void sq_give_str(sqlite3_context *to, struct str s); // absent: NULL

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
};

struct sq_store {
    struct store base;
    char *path; // absolute, symbolic links resolved
    char *name;
    enum store_access access;
    enum sq_mode read_mode;
    struct sq_conn *main;
    struct sq_conn *idle; // connections of closed cursors
    struct buf cost_id;   // event_id of the last cost that was asked for
    struct sq_writer *writer; // NULL unless opened with STORE_WRITE
};

static inline struct sq_store *sq_of(struct store *s)
{
    return (struct sq_store *)s;
}

// open.c: -EPERM unless the handle was opened with at least this access.
int sq_needs(const struct sq_store *s, enum store_access access, struct error *err);

// ---- commit.c ------------------------------------------------------------------------------

int sq_begin(struct sq_store *s, struct error *err);
// Commits, or, when r < 0, rolls back and returns r.
int sq_end(struct sq_store *s, int r, struct error *err);
int sq_commit(struct store *s, struct store_write *w, struct error *err);

struct sq_writer *sq_writer_new(int lock_fd);
void sq_writer_free(struct sq_writer *w); // accepts NULL
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
int sq_put_windows(struct sq_store *s, const struct store_write *w, struct error *err);
int sq_put_span(struct sq_store *s, enum window_level level, int64_t start, uint32_t shard,
                const struct window_row *rows, size_t n, struct error *err);
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

// ---- reading: cursor.c, read_records.c, read_rows.c ----------------------------------------

// Rows of one shard in order; see read_records.c.
struct sq_lane {
    sqlite3_stmt *stmt;
    bool has_row;
    int64_t key; // of the row
    struct str event_id;
};

struct sq_cursor {
    struct store_cursor base;
    struct sq_store *store;
    struct sq_conn *conn;
    enum record_kind kind;
    struct sq_lane *lanes; // of records
    size_t n_lanes;
    struct sq_lane *last; // the one the last row came from
    sqlite3_stmt *rows;   // of anything else: one of the connection's own
    bool ended;
};

int sq_cursor_open(struct sq_store *s, struct sq_cursor **ret, struct error *err);
void sq_cursor_close(struct store_cursor *c);

// Binds the connection's statement for this query; sq_read_row reads one of its rows.
int sq_rows_statement(struct sq_conn *c, const struct window_query *q, sqlite3_stmt **ret,
                      struct error *err);
int sq_read_row(struct sq_conn *c, sqlite3_stmt *stmt, struct window_row *ret, struct error *err);
// utilization ... price_nusd_hour, from column `from` on.
void sq_read_measures(sqlite3_stmt *stmt, int from, struct gpu_sample *g);
void sq_set_device(struct gpu_sample *g, const struct sq_device *d);

// The driver's functions.
int sq_set_shards(struct store *s, uint32_t n, struct error *err);
int sq_add_settings(struct store *s, const struct settings *e, int64_t added_at,
                    struct error *err);
int sq_add_price(struct store *s, const struct price_entry *e, int64_t *ret_id, struct error *err);
int sq_expire(struct store *s, enum store_collection c, int64_t before, size_t limit,
              size_t *ret_removed, struct error *err);
int sq_info(struct store *s, struct store_info *ret, struct error *err);
int sq_settings(struct store *s, struct arena *a, struct settings_history *ret, struct error *err);
int sq_prices(struct store *s, struct arena *a, struct price_book *ret, struct error *err);
int sq_position(struct store *s, struct str input, struct input_position *ret, struct error *err);
int sq_shard_state(struct store *s, uint32_t shard, struct shard_state *ret, struct error *err);
int sq_unsettled(struct store *s, struct arena *a, struct unsettled_range **ret, size_t *ret_n,
                 struct error *err);
int sq_gpus(struct store *s, struct arena *a, struct gpu_info **ret, size_t *ret_n,
            struct error *err);
int sq_records(struct store *s, const struct record_query *q, struct store_cursor **ret,
               struct error *err);
int sq_records_next(struct store_cursor *c, struct stored_record *ret, struct error *err);
int sq_cost(struct store *s, int64_t seq, struct usage_cost *ret, struct error *err);
int sq_windows(struct store *s, const struct window_query *q, struct store_cursor **ret,
               struct error *err);
int sq_windows_next(struct store_cursor *c, struct window_row *ret, struct error *err);
int sq_dead_letters(struct store *s, int64_t from, int64_t to, struct store_cursor **ret,
                    struct error *err);
int sq_dead_letters_next(struct store_cursor *c, struct dead_letter *ret, struct error *err);
