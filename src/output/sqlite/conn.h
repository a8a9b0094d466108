// One connection to a SQLite file, and what stands directly on it: the schema, the writer's lock, C
// arrays as tables. Internal to src/output/sqlite; the map of the files is in sqlite.h.
//
// A connection belongs to whoever holds the store's handle, one thread at a time. Functions that
// can fail return a negative errno and say why in *err, in the words of sq_fail().
#pragma once

#include <sqlite3.h>

#include "base/buf.h"
#include "base/intern.h"
#include "base/map.h"
#include "base/time.h"
#include "output/rollup.h"
#include "output/store_impl.h"

// ---- conn.c --------------------------------------------------------------------------------

enum { SQ_STATEMENTS_MAX = 64, SQ_SPARE_MAX = 8 };

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
    sqlite3_stmt *spare[SQ_SPARE_MAX]; // of closed cursors, the newest last
    size_t n_spare;
    struct sq_shapes shapes;
    unsigned cursors; // open on it: what one of them borrows must outlive the others' next rows
    // Of a writer: see after_commit in conn.c.
    int log_pages, log_pages_max, log_wait_ms, log_reset_at, log_last;
    int64_t log_every_ns;
    struct mono log_copied;
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
// A statement of the caller's own, to be given back by sq_spare(), which accepts NULL. The last few
// of these are kept: cursors mostly ask what those before them did, with other parameters.
int sq_prepare(struct sq_conn *c, const char *sql, sqlite3_stmt **ret, struct error *err);
void sq_spare(struct sq_conn *c, sqlite3_stmt *stmt);
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

// packs.c: packs what is rolled up, of a store that has no packs yet.
int sq_pack_all(struct sq_conn *c, struct error *err);

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
