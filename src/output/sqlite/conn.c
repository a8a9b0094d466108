#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "output/sqlite/sqlite.h"

// Measured with bench/store_write.c. Each commit writes every page it touched once to the WAL, and
// a checkpoint writes each page once to the file: pages of 16 KiB keep the trees shallow and the
// number of writes small; a WAL of 64 MiB lets hot pages be written to the file once for many
// commits. A writer's cache of 64 MiB holds the right edges of all trees and the newest hours; a
// reader, which goes through its range once, does with 16 MiB. Both are said in pages, since SQLite
// turns bytes into pages of 4 KiB as long as it has not read the file's own size.
//
// The file is never mapped: whoever cuts it short would kill us by a signal instead of an error.
static const char settings[] = "PRAGMA trusted_schema=OFF;"
                               "PRAGMA cell_size_check=ON;"
                               "PRAGMA mmap_size=0;"
                               "PRAGMA cache_size=1024;"
                               "PRAGMA temp_store=MEMORY;";

// A commit that returned is on the disk: in WAL mode that takes synchronous=FULL.
static const char writer_settings[] = "PRAGMA page_size=16384;"
                                      "PRAGMA journal_mode=WAL;"
                                      "PRAGMA synchronous=FULL;"
                                      "PRAGMA cache_size=4096;"
                                      "PRAGMA secure_delete=OFF;"
                                      "PRAGMA journal_size_limit=134217728;";

enum {
    BUSY_TIMEOUT_MS = 20000,
    LOG_WAIT_MS = 100,
    LOG_PAGES_FEW = 256,
    LOG_PAGES = 4000,
    LOG_PAGES_MAX = 16000
};
#define LOG_EVERY_NS (10 * NS_PER_S)

// There is no room for what must be written. SQLite calls a full disk by its name, and other
// reasons an input/output error.
static int fail_full(const struct sq_conn *c, int system, struct error *err)
{
    static const struct {
        int system;
        const char *what;
    } reasons[] = {
        {EDQUOT, "the disk quota is used up"},
        {EFBIG, "the file may not grow any more: there is a limit on the size of files"},
    };
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        if (system == reasons[i].system) {
            return error_set(err, -system, "%s: %s", c->name, reasons[i].what);
        }
    }
    return error_set(err, -ENOSPC, "%s: the disk is full", c->name);
}

static bool no_room(int system)
{
    return system == ENOSPC || system == EDQUOT || system == EFBIG;
}

// SQLite keeps the reason of a failed open with the connection, that of a failed read or write with
// the file: the database's or its log's.
static int reason_of(const struct sq_conn *c)
{
    static const int files[] = {SQLITE_FCNTL_FILE_POINTER, SQLITE_FCNTL_JOURNAL_POINTER};
    int reason = sqlite3_system_errno(c->db);
    for (size_t i = 0; i < ARRAY_LEN(files) && !no_room(reason); i++) {
        sqlite3_file *file = NULL;
        int last = 0;
        (void)sqlite3_file_control(c->db, "main", files[i], &file);
        if (file && file->pMethods &&
            file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &last) == SQLITE_OK) {
            reason = no_room(last) || reason == 0 ? last : reason;
        }
    }
    return reason;
}

static int fail_io(const struct sq_conn *c, int rc, struct error *err)
{
    int system = reason_of(c);
    if (no_room(system)) {
        return fail_full(c, system, err);
    }
    if (system == EACCES || system == EPERM || system == EROFS) {
        return error_set(err, -system, "%s: cannot be opened, or its log beside it: %s", c->name,
                         error_name(system));
    }
    return error_set(err, -EIO, "%s: input/output error (%s%s%s)", c->name, sqlite3_errstr(rc),
                     system ? ", " : "", system ? error_name(system) : "");
}

int sq_fail(const struct sq_conn *c, int rc, struct error *err)
{
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return fail_full(c, ENOSPC, err);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(err, -EBUSY,
                         "%s: is locked by another process; nothing was changed: try again",
                         c->name);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return error_set(err, -EBADMSG,
                         "%s: the file is damaged: put a copy of it in its place, or save what can "
                         "be read with `sqlite3 FILE .recover | sqlite3 NEW`",
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

static bool has_log(const char *path)
{
    char *log AUTO_FREE = x_asprintf("%s-wal", path);
    struct stat st;
    return stat(log, &st) == 0 && st.st_size > 0;
}

static int fail_foreign(const struct sq_conn *c, struct error *err)
{
    return error_set(err, -EMEDIUMTYPE,
                     "%s: is not a store of gtap, or its beginning is damaged; it was left as it "
                     "is: choose another file",
                     c->name);
}

// What is no database at all is told by its beginning, before SQLite touches anything, and one that
// was cut within a page by its end, which SQLite would take for zeros. The file is read through
// SQLite's own descriptor: closing another one would drop this process's locks on it.
static int check_file(const struct sq_conn *c, const char *path, struct error *err)
{
    static const char magic[16] = "SQLite format 3";
    unsigned char begin[sizeof(magic) + 2] = "";
    bool at_rest = !has_log(path); // else a checkpoint may be about to write the last page
    sqlite3_file *file = NULL;
    sqlite3_int64 size = 0;
    int rc = sqlite3_file_control(c->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    rc = rc == SQLITE_OK ? file->pMethods->xFileSize(file, &size) : rc;
    if (rc == SQLITE_OK && size > 0) {
        rc = file->pMethods->xRead(file, begin, sizeof(begin), 0);
    }
    if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ) {
        return sq_fail(c, rc, err);
    }
    if (size > 0 && memcmp(begin, magic, sizeof(magic)) != 0) {
        return fail_foreign(c, err);
    }
    int64_t page = begin[sizeof(magic)] << 8 | begin[sizeof(magic) + 1]; // 1 stands for 65536
    bool cut = page > 1 && size % page != 0;
    return cut && at_rest ? sq_fail(c, SQLITE_CORRUPT, err) : 0;
}

int sq_connect(const char *path, const char *name, enum sq_mode mode, struct sq_conn **ret,
               struct error *err)
{
    struct sq_conn *c = x_zalloc(sizeof(*c));
    c->name = name;
    int rc = open_file(c, path, mode);
    int r = rc == SQLITE_OK ? check_file(c, path, err) : sq_fail(c, rc, err);
    if (r == 0) {
        (void)sqlite3_busy_timeout(c->db, BUSY_TIMEOUT_MS);
        (void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        // A log that was there is not touched before it is known to be ours.
        (void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log(path), NULL);
        r = sq_exec(c, settings, err);
    }
    if (r < 0) {
        sq_disconnect(c);
        return r;
    }
    *ret = c;
    return 0;
}

// Whether it is time to copy the log to the file: it is long, or a trickle has been written to it
// for a while. That touches the same few pages each second, so that to copy them costs little, and
// a log that is begun anew early stays short and is written over, which costs half of what a file
// costs that grows.
static bool log_is_due(const struct sq_conn *c, int pages)
{
    return pages >= c->log_pages ||
           (pages >= LOG_PAGES_FEW &&
            clock_mono(&clock_system).ns - c->log_copied.ns >= c->log_every_ns);
}

// Called after every commit with the length of the log (WAL). Once it is due, what is in it is
// copied to the file, as far as no reader needs the old pages, and once all of it is, the next
// commit begins the log anew, unless some reader is in it. Where readers come and go without a
// pause that never happens by itself: from LOG_PAGES_MAX on the writer waits a moment for those who
// read now, while new ones already read the file alone. A reader that stays longer than that costs
// a longer log; it is tried again every LOG_PAGES_MAX. A checkpoint that fails loses nothing: what
// was committed is in the log.
static int after_commit(void *ctx, sqlite3 *db, const char *schema, int pages)
{
    struct sq_conn *c = ctx;
    if (pages <= c->log_last) { // it was begun anew
        c->log_reset_at = c->log_pages_max;
    }
    c->log_last = pages;
    if (!log_is_due(c, pages)) {
        return SQLITE_OK;
    }
    c->log_copied = clock_mono(&clock_system);
    if (pages < c->log_reset_at) {
        (void)sqlite3_wal_checkpoint_v2(db, schema, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        if (pages < c->log_pages) { // or a trickle holds the pages of its last days
            (void)sqlite3_db_release_memory(db);
        }
    } else {
        c->log_reset_at = pages + c->log_pages_max;
        (void)sqlite3_busy_timeout(db, c->log_wait_ms);
        (void)sqlite3_wal_checkpoint_v2(db, schema, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
        (void)sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
    }
    return SQLITE_OK;
}

// SQLite keeps another journal, and says so, where it cannot share memory beside the file.
static int check_log_mode(struct sq_conn *c, struct error *err)
{
    sqlite3_stmt *stmt;
    int r = sq_statement(c, "PRAGMA journal_mode", &stmt, err);
    r = r < 0 ? r : sq_row(c, stmt, err);
    if (r < 0) {
        return r;
    }
    bool wal = r > 0 && str_eq(sq_str(stmt, 0), STR("wal"));
    sq_reset(stmt);
    return wal ? 0
               : error_set(err, -EOPNOTSUPP,
                           "%s: its file system cannot hold a store that is read while it is "
                           "written: choose a file on a local disk",
                           c->name);
}

int sq_prepare_writing(struct sq_conn *c, struct error *err)
{
    int r = sq_exec(c, writer_settings, err);
    r = r < 0 ? r : check_log_mode(c, err);
    c->log_wait_ms = LOG_WAIT_MS;
    c->log_pages = LOG_PAGES;
    c->log_pages_max = c->log_reset_at = LOG_PAGES_MAX;
    c->log_every_ns = LOG_EVERY_NS;
    c->log_copied = clock_mono(&clock_system);
    (void)sqlite3_wal_hook(c->db, after_commit, c);
    (void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    return r;
}

void sq_disconnect(struct sq_conn *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->n_kept; i++) {
        sqlite3_finalize(c->kept[i].stmt);
    }
    for (size_t i = 0; i < c->n_spare; i++) {
        sqlite3_finalize(c->spare[i]);
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

static sqlite3_stmt *take_spare(struct sq_conn *c, size_t at)
{
    sqlite3_stmt *stmt = c->spare[at];
    c->n_spare--;
    memmove(&c->spare[at], &c->spare[at + 1], (c->n_spare - at) * sizeof(c->spare[0]));
    return stmt;
}

int sq_prepare(struct sq_conn *c, const char *sql, sqlite3_stmt **ret, struct error *err)
{
    for (size_t i = c->n_spare; i > 0; i--) {
        if (strcmp(sqlite3_sql(c->spare[i - 1]), sql) == 0) {
            *ret = take_spare(c, i - 1);
            return 0;
        }
    }
    int rc = sqlite3_prepare_v2(c->db, sql, -1, ret, NULL);
    return rc == SQLITE_OK ? 0 : sq_fail(c, rc, err);
}

void sq_spare(struct sq_conn *c, sqlite3_stmt *stmt)
{
    if (stmt == NULL) {
        return;
    }
    sq_reset(stmt);
    if (c->n_spare == SQ_SPARE_MAX) {
        sqlite3_finalize(take_spare(c, 0));
    }
    c->spare[c->n_spare++] = stmt;
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
