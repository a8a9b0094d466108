// Files that are not a store, or not one of this version, are refused and left as they are; one
// writer a file.
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sqlite_file.h"

// Opens in every way, which must fail, and leave the file and its log as they are.
static void check_refused(struct fixture *f, const char *name, int code, const char *words)
{
    char *path = path_in(f, name);
    char *log AUTO_FREE = x_asprintf("%s-wal", path);
    char *lock AUTO_FREE = x_asprintf("%s-lock", path);
    struct buf before = read_file(path), log_before = read_file(log);
    for (enum store_access access = STORE_READ; access <= STORE_WRITE; access++) {
        struct store *s = NULL;
        assert_i64(store_open(uri_in(f, name), access, &s, &f->err), code);
        assert_non_null(strstr(f->err.msg, words));
        assert_non_null(strstr(f->err.msg, name));
        struct buf after = read_file(path), log_after = read_file(log);
        assert_true(str_eq(buf_view(&before), buf_view(&after)));
        assert_true(str_eq(buf_view(&log_before), buf_view(&log_after)));
        assert_i64(file_size(lock), -1);
        buf_done(&after);
        buf_done(&log_after);
    }
    buf_done(&before);
    buf_done(&log_before);
}

static void test_not_a_database(void **state)
{
    struct fixture *f = *state;
    char page[8192];
    // A single byte counts as nothing: SQLite itself writes one to a new file on some systems.
    static const size_t sizes[] = {2, 15, 16, 511, 512, 4096, sizeof(page)};
    memset(page, 'x', sizeof(page));
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        write_file(path_in(f, "day.ndjson"), page, sizes[i]);
        check_refused(f, "day.ndjson", -EMEDIUMTYPE, "is not a store of gtap");
    }
}

static void test_database_of_another(void **state)
{
    struct fixture *f = *state;
    run_sql(path_in(f, "theirs.db"), "CREATE TABLE t(x); INSERT INTO t VALUES (1)");
    check_refused(f, "theirs.db", -EMEDIUMTYPE, "is a database of another program");
    run_sql(path_in(f, "named.db"), "PRAGMA application_id = 7");
    check_refused(f, "named.db", -EMEDIUMTYPE, "is a database of another program");
    run_sql(path_in(f, "versioned.db"), "PRAGMA user_version = 3");
    check_refused(f, "versioned.db", -EMEDIUMTYPE, "is a database of another program");
}

// Its owner died: what is in the log is the owner's to bring in.
static void test_log_of_another(void **state)
{
    struct fixture *f = *state;
    sqlite3 *db = NULL;
    assert_i64(sqlite3_open(path_in(f, "live.db"), &db), SQLITE_OK);
    assert_i64(sqlite3_exec(db, "PRAGMA journal_mode=WAL; CREATE TABLE t(x)", NULL, NULL, NULL),
               SQLITE_OK);
    copy_file(path_in(f, "live.db"), path_in(f, "left.db"));
    copy_file(path_in(f, "live.db-wal"), path_in(f, "left.db-wal"));
    sqlite3_close(db);
    assert_true(file_size(path_in(f, "left.db-wal")) > 0);
    check_refused(f, "left.db", -EMEDIUMTYPE, "is a database of another program");
}

static void test_newer_schema(void **state)
{
    struct fixture *f = *state;
    fill(f, 3);
    store_close(f->s);
    f->s = NULL;
    run_sql(path_in(f, "t.db"), "PRAGMA user_version = 99");
    check_refused(f, "t.db", -EPROTONOSUPPORT, "was written by a newer gtap (schema 99");
}

static void test_folders_and_missing_folders(void **state)
{
    struct fixture *f = *state;
    struct store *s = NULL;
    assert_i64(store_open(uri_in(f, "none/t.db"), STORE_WRITE, &s, &f->err), -ENOENT);
    assert_non_null(strstr(f->err.msg, "none"));
    assert_i64(store_open(uri_in(f, ""), STORE_WRITE, &s, &f->err), -EISDIR);
    assert_i64(store_open(uri_in(f, "."), STORE_READ, &s, &f->err), -EISDIR);
    write_file(path_in(f, "empty.db"), "", 0);
    assert_i64(store_open(uri_in(f, "empty.db"), STORE_READ, &s, &f->err), -ENOENT);
    assert_ok(store_open(uri_in(f, "empty.db"), STORE_WRITE, &s, &f->err), &f->err);
    store_close(s);
}

static void test_odd_names(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"a b.db", "caf\xc3\xa9%3F.db", "#1.db", "file:x.db"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct store *s = NULL;
        assert_ok(store_open(uri_in(f, names[i]), STORE_WRITE, &s, &f->err), &f->err);
        store_close(s);
        assert_ok(store_open(uri_in(f, names[i]), STORE_READ, &s, &f->err), &f->err);
        store_close(s);
    }
}

// As on a network file system: one of SQLite's own ways to a file that has no shared memory.
static void test_no_shared_memory(void **state)
{
    struct fixture *f = *state;
    struct store *s = NULL;
    assert_i64(sqlite3_vfs_register(sqlite3_vfs_find("unix-dotfile"), 1), SQLITE_OK);
    int r = store_open(uri_in(f, "far.db"), STORE_WRITE, &s, &f->err);
    assert_i64(sqlite3_vfs_register(sqlite3_vfs_find("unix"), 1), SQLITE_OK);
    assert_i64(r, -EOPNOTSUPP);
    assert_non_null(strstr(f->err.msg, "choose a file on a local disk"));
}

// ---- one writer ------------------------------------------------------------------------------

// Holds the store open in a process of its own until it is killed.
static pid_t start_holder(const char *uri)
{
    int ready[2];
    char byte;
    assert_i64(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct store *s = NULL;
        struct error err;
        close(ready[0]);
        prctl(PR_SET_PDEATHSIG, SIGKILL); // a test that fails leaves nobody behind
        bool open = store_open(uri, STORE_WRITE, &s, &err) == 0;
        if (!open || write(ready[1], "x", 1) != 1) {
            _exit(1);
        }
        for (;;) {
            pause();
        }
    }
    close(ready[1]);
    assert_i64(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void test_second_process(void **state)
{
    struct fixture *f = *state;
    struct store *s = NULL;
    char *uri = uri_in(f, "held.db"), *lock = path_in(f, "held.db-lock");
    pid_t pid = start_holder(uri);
    char *words AUTO_FREE = x_asprintf("is being written by process %d: stop it", (int)pid);
    assert_i64(store_open(uri, STORE_WRITE, &s, &f->err), -EBUSY);
    assert_non_null(strstr(f->err.msg, words));
    assert_ok(store_open(uri, STORE_ADMIN, &s, &f->err), &f->err); // prices may be added
    store_close(s);
    assert_ok(store_open(uri, STORE_READ, &s, &f->err), &f->err);
    store_close(s);

    assert_i64(kill(pid, SIGKILL), 0);
    assert_i64(waitpid(pid, NULL, 0), pid);
    assert_true(file_size(lock) > 0); // it could not tidy up, and needs not
    assert_ok(store_open(uri, STORE_WRITE, &s, &f->err), &f->err);
    store_close(s);
    assert_i64(file_size(lock), -1);
}

static void test_lock_without_a_pid(void **state)
{
    struct fixture *f = *state;
    struct store *s = NULL;
    write_file(path_in(f, "t.db-lock"), "", 0); // the fixture holds it
    assert_i64(store_open(f->uri, STORE_WRITE, &s, &f->err), -EBUSY);
    assert_non_null(strstr(f->err.msg, "is being written by another process"));
}

// A lock file that is a link may point at anything.
static void test_lock_is_not_followed(void **state)
{
    struct fixture *f = *state;
    struct store *s = NULL;
    write_file(path_in(f, "precious"), "kept", 4);
    assert_i64(symlink(path_in(f, "precious"), path_in(f, "linked.db-lock")), 0);
    assert_i64(store_open(uri_in(f, "linked.db"), STORE_WRITE, &s, &f->err), -ELOOP);
    struct buf b = read_file(path_in(f, "precious"));
    assert_str(buf_view(&b), "kept");
    buf_done(&b);
}

// Two names of one file are one store.
static void test_links_to_the_file(void **state)
{
    struct fixture *f = *state;
    struct store *s = NULL;
    assert_i64(symlink(path_in(f, "t.db"), path_in(f, "alias.db")), 0);
    assert_i64(store_open(uri_in(f, "alias.db"), STORE_WRITE, &s, &f->err), -EBUSY);
}

#define ON_SQLITE(t) ON(t, "sqlite")

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SQLITE(test_not_a_database),
        ON_SQLITE(test_database_of_another),
        ON_SQLITE(test_log_of_another),
        ON_SQLITE(test_newer_schema),
        ON_SQLITE(test_folders_and_missing_folders),
        ON_SQLITE(test_odd_names),
        ON_SQLITE(test_no_shared_memory),
        ON_SQLITE(test_second_process),
        ON_SQLITE(test_lock_without_a_pid),
        ON_SQLITE(test_lock_is_not_followed),
        ON_SQLITE(test_links_to_the_file),
    };
    return cmocka_run_group_tests_name("sqlite_open", tests, NULL, NULL);
}
