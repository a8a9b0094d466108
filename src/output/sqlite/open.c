#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "output/sqlite/sqlite.h"

// The directory resolved, the file's name as it stands; the file itself too when it is there.
static int resolve(const char *path, const char *name, char **ret, struct error *err)
{
    char *whole AUTO_FREE = realpath(path, NULL);
    if (whole) {
        *ret = TAKE_PTR(whole);
        return 0;
    }
    const char *slash = strrchr(path, '/');
    const char *file = slash ? slash + 1 : path;
    char *head AUTO_FREE = slash ? x_strndup(path, (size_t)(slash - path) + 1) : x_strdup(".");
    char *folder AUTO_FREE = realpath(head, NULL);
    if (folder == NULL || *file == '\0') {
        return error_set(err, folder ? -EISDIR : -errno, "%s: %s: %s", name, head,
                         error_name(folder ? EISDIR : errno));
    }
    *ret = x_asprintf("%s/%s", folder, file);
    return 0;
}

static int check_there(const char *path, const char *name, enum store_access access,
                       struct error *err)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        if (errno == ENOENT && access != STORE_READ) {
            return 0;
        }
        return errno == ENOENT ? error_set(err, -ENOENT, "%s: there is no such file", name)
                               : error_set(err, -errno, "%s: %s", name, error_name(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        return error_set(err, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL, "%s: is not a file", name);
    }
    if (access == STORE_READ && st.st_size == 0) {
        return error_set(err, -ENOENT, "%s: is empty: nothing was stored there yet", name);
    }
    if (faccessat(AT_FDCWD, path, access == STORE_READ ? R_OK : R_OK | W_OK, AT_EACCESS) < 0) {
        return error_set(err, -errno, "%s: cannot be %s: %s", name,
                         access == STORE_READ ? "read" : "written", error_name(errno));
    }
    return 0;
}

// A store at rest on a read-only medium has no WAL to look at and can make none.
static bool at_rest(const char *path)
{
    char *wal AUTO_FREE = x_asprintf("%s-wal", path);
    char *folder AUTO_FREE = x_strndup(path, (size_t)(strrchr(path, '/') - path) + 1);
    return access(wal, F_OK) < 0 && faccessat(AT_FDCWD, folder, W_OK, AT_EACCESS) < 0;
}

// The folder may be closed to us alone, and a writer have begun since.
int sq_check_rest(const struct sq_store *s, struct error *err)
{
    return s->read_mode != SQ_IMMUTABLE || at_rest(s->path)
               ? 0
               : error_set(err, -EBUSY, "%s: has begun to be written: run the same command again",
                           s->name);
}

static int refuse_version(const struct sq_store *s, int version, struct error *err)
{
    int newest = sq_migrations[sq_n_migrations - 1].version;
    if (version > newest) {
        return error_set(err, -EPROTONOSUPPORT,
                         "%s: was written by a newer gtap (schema %d, this one knows %d), and was "
                         "left as it is: use that gtap, or choose another file",
                         s->name, version, newest);
    }
    return error_set(err, -EPROTONOSUPPORT,
                     "%s: was written by an older gtap (schema %d, this one needs %d): `gtap run` "
                     "or `gtap price add` with it brings it up to date",
                     s->name, version, newest);
}

static int refuse_foreign(const struct sq_store *s, struct error *err)
{
    return error_set(
        err, -EMEDIUMTYPE,
        "%s: is a database of another program, and was left as it is: choose another file",
        s->name);
}

static int migrate(struct sq_store *s, struct error *err)
{
    int fd = -1;
    if (s->base.access == STORE_ADMIN) { // not under a running writer
        int r = sq_lock(s->path, s->name, &fd, err);
        if (r < 0) {
            return r;
        }
    }
    int r = sq_migrate(s->main, sq_migrations, sq_n_migrations, err);
    sq_unlock(s->path, fd);
    return r;
}

// Nothing is written before it is known to be ours or empty.
static int check_schema(struct sq_store *s, struct error *err)
{
    enum sq_found found;
    int version, newest = sq_migrations[sq_n_migrations - 1].version;
    int r = sq_inspect(s->main, &found, &version, err);
    if (r < 0) {
        return r;
    }
    if (found == SQ_FOREIGN) {
        return refuse_foreign(s, err);
    }
    if (s->base.access == STORE_READ && found == SQ_EMPTY) {
        return error_set(err, -ENOENT, "%s: is empty: nothing was stored there yet", s->name);
    }
    if (version > newest || (version < newest && s->base.access == STORE_READ)) {
        return refuse_version(s, version, err);
    }
    if (s->base.access == STORE_READ) {
        return 0;
    }
    r = sq_prepare_writing(s->main, err);
    if (r < 0 || version == newest) {
        return r;
    }
    s->migrated_from = found == SQ_OURS ? version : -1;
    return migrate(s, err);
}

static int set_up(struct sq_store *s, const char *path, struct error *err)
{
    int r = resolve(path, s->name, &s->path, err);
    r = r < 0 ? r : check_there(s->path, s->name, s->base.access, err);
    if (r < 0) {
        return r;
    }
    int fd = -1;
    if (s->base.access == STORE_WRITE) {
        r = sq_lock(s->path, s->name, &fd, err);
        if (r < 0) {
            return r;
        }
        s->writer = sq_writer_new(fd);
    }
    s->read_mode = at_rest(s->path) ? SQ_IMMUTABLE : SQ_READ;
    r = sq_connect(s->path, s->name, s->base.access == STORE_READ ? s->read_mode : SQ_CHANGE,
                   &s->main, err);
    r = r < 0 ? r : check_schema(s, err);
    return r < 0 || s->writer == NULL ? r : sq_writer_prepare(s, err);
}

static void sq_close(struct store *base)
{
    struct sq_store *s = sq_of(base);
    while (s->idle) {
        struct sq_conn *next = s->idle->next;
        sq_disconnect(s->idle);
        s->idle = next;
    }
    sq_disconnect(s->main);
    if (s->writer) {
        sq_unlock(s->path, s->writer->lock_fd);
    }
    sq_writer_free(s->writer);
    buf_done(&s->cost_id);
    free(s->path);
    free(s->name);
    free(s);
}

static int sq_open(struct str path, enum store_access access, struct store **ret, struct error *err)
{
    if (path.n == 0) {
        return error_set(err, -EINVAL, "sqlite: names no file; write sqlite:PATH");
    }
    struct sq_store *s = x_zalloc(sizeof(*s));
    s->base.ops = &store_sqlite_ops;
    s->migrated_from = -1;
    s->base.access = access;
    buf_init(&s->cost_id, RECORD_BYTES_MAX);
    s->name = x_asprintf("sqlite:" STR_FMT, STR_ARG(path));
    int r = set_up(s, s->name + strlen("sqlite:"), err);
    if (r < 0) {
        sq_close(&s->base);
        return r;
    }
    *ret = &s->base;
    return 0;
}

const struct store_ops store_sqlite_ops = {
    .scheme = "sqlite",
    .transactions = true,
    .open = sq_open,
    .close = sq_close,
    .commit = sq_commit,
    .set_shards = sq_set_shards,
    .add_settings = sq_add_settings,
    .add_price = sq_add_price,
    .expire = sq_expire,
    .hold = sq_hold,
    .release = sq_release,
    .info = sq_info,
    .settings = sq_settings,
    .prices = sq_prices,
    .position = sq_position,
    .shard = sq_shard_state,
    .unsettled = sq_unsettled,
    .gpus = sq_gpus,
    .records = sq_records,
    .records_next = sq_records_next,
    .record = sq_record,
    .cost = sq_cost,
    .windows = sq_windows,
    .windows_next = sq_windows_next,
    .dead_letters = sq_dead_letters,
    .dead_letters_next = sq_dead_letters_next,
    .check_copies = sq_check_copies,
    .mend_copies = sq_mend_copies,
    .corrections = sq_corrections,
    .corrections_next = sq_corrections_next,
    .cursor_close = sq_cursor_close,
};
