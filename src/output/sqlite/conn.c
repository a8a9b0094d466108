#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "output/sqlite/sqlite.h"

// Measured with bench/store_write.c. Each commit writes every page it touched once to the WAL, and
// a checkpoint writes each page once to the file: pages of 16 KiB keep the trees shallow and the
// number of writes small; a WAL of 64 MiB lets hot pages be written to the file once for many
// commits. The cache holds the right edges of all trees and the newest hours.
//
// The file is never mapped: whoever cuts it short would kill us by a signal instead of an error.
static const char settings[] = "PRAGMA trusted_schema=OFF;"
                               "PRAGMA cell_size_check=ON;"
                               "PRAGMA mmap_size=0;"
                               "PRAGMA cache_size=-65536;"
                               "PRAGMA temp_store=MEMORY;";

// A commit that returned is on the disk: in WAL mode that takes synchronous=FULL.
static const char writer_settings[] = "PRAGMA page_size=16384;"
                                      "PRAGMA journal_mode=WAL;"
                                      "PRAGMA synchronous=FULL;"
                                      "PRAGMA secure_delete=OFF;"
                                      "PRAGMA wal_autocheckpoint=4000;"
                                      "PRAGMA journal_size_limit=134217728;";

enum { BUSY_TIMEOUT_MS = 20000 };

static int out_of_space(const struct sq_conn *c, int rc)
{
    return (rc & 0xff) == SQLITE_FULL ||
           ((rc & 0xff) == SQLITE_IOERR && sqlite3_system_errno(c->db) == ENOSPC);
}

static int fail_io(const struct sq_conn *c, int rc, struct error *err)
{
    int system = sqlite3_system_errno(c->db);
    return error_set(err, -EIO, "%s: input/output error (%s%s%s)", c->name, sqlite3_errstr(rc),
                     system ? ", " : "", system ? error_name(system) : "");
}

int sq_fail(const struct sq_conn *c, int rc, struct error *err)
{
    if (out_of_space(c, rc)) {
        return error_set(err, -ENOSPC, "%s: the disk is full", c->name);
    }
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(err, -EBUSY, "%s: is locked by another process; try again", c->name);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return error_set(err, -EBADMSG,
                         "%s: the file is damaged; `sqlite3 FILE .recover` saves what can be read "
                         "into a new one",
                         c->name);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return error_set(err, -EACCES, "%s: is read-only", c->name);
    case SQLITE_NOMEM:
        return error_set(err, -ENOMEM, "%s: out of memory", c->name);
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
        return fail_io(c, rc, err);
    default:
        return error_set(err, -EIO, "%s: %s", c->name, sqlite3_errmsg(c->db));
    }
}

int sq_exec(struct sq_conn *c, const char *sql, struct error *err)
{
    int rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : sq_fail(c, sqlite3_extended_errcode(c->db), err);
}

// An immutable file is opened by a URI, where some characters must be escaped.
static char *immutable_uri(const char *path)
{
    struct buf b;
    buf_init(&b, 3 * strlen(path) + 64);
    buf_cstr(&b, "file:");
    for (const char *p = path; *p; p++) {
        bool plain = *p != '%' && *p != '?' && *p != '#';
        plain ? buf_char(&b, *p) : buf_printf(&b, "%%%02x", (unsigned)(unsigned char)*p);
    }
    buf_cstr(&b, "?immutable=1");
    return b.p;
}

static int open_file(struct sq_conn *c, const char *path, enum sq_mode mode)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (mode == SQ_IMMUTABLE) {
        char *uri AUTO_FREE = immutable_uri(path);
        return sqlite3_open_v2(uri, &c->db, flags | SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
    }
    flags |= mode == SQ_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    return sqlite3_open_v2(path, &c->db, flags, NULL);
}

int sq_connect(const char *path, const char *name, enum sq_mode mode, struct sq_conn **ret,
               struct error *err)
{
    struct sq_conn *c = x_zalloc(sizeof(*c));
    c->name = name;
    int rc = open_file(c, path, mode);
    int r = rc == SQLITE_OK ? 0 : sq_fail(c, rc, err);
    if (r == 0) {
        (void)sqlite3_busy_timeout(c->db, BUSY_TIMEOUT_MS);
        (void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        r = sq_exec(c, settings, err);
    }
    if (r < 0) {
        sq_disconnect(c);
        return r;
    }
    *ret = c;
    return 0;
}

int sq_prepare_writing(struct sq_conn *c, struct error *err)
{
    return sq_exec(c, writer_settings, err);
}

void sq_disconnect(struct sq_conn *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->n_kept; i++) {
        sqlite3_finalize(c->kept[i].stmt);
    }
    sq_shapes_done(&c->shapes);
    (void)sqlite3_close(c->db);
    free(c);
}

int sq_statement(struct sq_conn *c, const char *sql, sqlite3_stmt **ret, struct error *err)
{
    for (size_t i = 0; i < c->n_kept; i++) {
        if (c->kept[i].sql == sql) {
            *ret = c->kept[i].stmt;
            return 0;
        }
    }
    assert(c->n_kept < SQ_STATEMENTS_MAX);
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
    if (rc != SQLITE_OK) {
        return sq_fail(c, rc, err);
    }
    c->kept[c->n_kept].sql = sql;
    c->kept[c->n_kept++].stmt = stmt;
    *ret = stmt;
    return 0;
}

void sq_reset(sqlite3_stmt *stmt)
{
    (void)sqlite3_reset(stmt);
    (void)sqlite3_clear_bindings(stmt);
}

int sq_row(struct sq_conn *c, sqlite3_stmt *stmt, struct error *err)
{
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        return 1;
    }
    int r = rc == SQLITE_DONE ? 0 : sq_fail(c, rc, err);
    sq_reset(stmt);
    return r;
}

int sq_run(struct sq_conn *c, sqlite3_stmt *stmt, struct error *err)
{
    int r = sq_row(c, stmt, err);
    assert(r <= 0);
    return r;
}

void sq_bind_str(sqlite3_stmt *stmt, int at, struct str s)
{
    if (str_present(s)) {
        (void)sqlite3_bind_text64(stmt, at, s.p, s.n, SQLITE_STATIC, SQLITE_UTF8);
    } else {
        (void)sqlite3_bind_null(stmt, at);
    }
}

struct str sq_str(sqlite3_stmt *stmt, int column)
{
    const unsigned char *text = sqlite3_column_text(stmt, column);
    return text ? (struct str){(const char *)text, (size_t)sqlite3_column_bytes(stmt, column)}
                : STR_NONE;
}

int64_t sq_i64(sqlite3_stmt *stmt, int column)
{
    return sqlite3_column_int64(stmt, column);
}
