// The log (WAL) of a store that is written and read at once: readers see whole commits and never
// wait, and the log does not grow without bound however readers come and go.
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "output/sqlite/sqlite.h"
#include "sqlite_file.h"

enum { LOG_PAGES = 8, LOG_PAGES_MAX = 32, PAGE = 16384, COMMITS = 400 };

static void shorten_log(struct store *s, int wait_ms)
{
    struct sq_conn *c = ((struct sq_store *)s)->main;
    c->log_wait_ms = wait_ms;
    c->log_pages = LOG_PAGES;
    c->log_pages_max = c->log_reset_at = LOG_PAGES_MAX;
}

// A commit whose rows agree: as many windows as requests, and a shard state that says how many.
static void put_numbered(struct fixture *f, int n)
{
    char *id AUTO_FREE = x_asprintf("%05d", n);
    add_usage(f, id, "h", 0, at(60 * n), at(60 * n + 1));
    add_sample(f, id, "h", 0, at(60 * n));
    add_idle(f, 0, at(60 * n), "h", 0, 1);
    add_shard(f, 0, at(60 * n + 60));
    put(f);
}

static int64_t count_rows(struct store_cursor *c, struct error *err)
{
    struct window_row row;
    int64_t n = 0;
    int more;
    while ((more = store_windows_next(c, &row, err)) > 0) {
        n++;
    }
    return more < 0 ? more : n;
}

// ---- readers without a pause -----------------------------------------------------------------

struct readers {
    const char *uri;
    atomic_bool stop;
    atomic_int rounds;
    const char *fault; // of the first reader that saw something wrong
};

static const char *look(struct store *s, int64_t *last)
{
    const struct window_query q = {LEVEL_WINDOW, INT64_MIN, INT64_MAX, -1};
    struct store_info info;
    struct shard_state state;
    struct store_cursor *c = NULL;
    struct error err;
    if (store_info(s, &info, &err) < 0 || store_shard(s, 0, &state, &err) < 0 ||
        store_windows(s, &q, &c, &err) < 0) {
        return "could not read";
    }
    int64_t rows = count_rows(c, &err);
    store_cursor_close(c);
    bool whole = info.usages == rows && info.samples == rows &&
                 (rows == 0 || state.frontier == at(60 * rows));
    bool newer = rows >= *last;
    *last = rows;
    return !whole ? "half a commit" : !newer ? "an older state than before" : NULL;
}

// Two handles by turns: one always holds a snapshot.
static void *read_on(void *ctx)
{
    struct readers *r = ctx;
    struct store *s[2] = {NULL};
    struct error err;
    int64_t last = 0;
    for (size_t i = 0; i < 2; i++) {
        if (store_open(r->uri, STORE_READ, &s[i], &err) < 0) {
            r->fault = "could not open";
        }
    }
    for (size_t turn = 0; !r->fault && !atomic_load(&r->stop); turn++) {
        r->fault = store_hold(s[turn % 2], &err) < 0 ? "could not hold" : NULL;
        store_release(s[(turn + 1) % 2]);
        r->fault = r->fault ? r->fault : look(s[turn % 2], &last);
        atomic_fetch_add(&r->rounds, 1);
    }
    store_close(s[0]);
    store_close(s[1]);
    return NULL;
}

static void test_log_stays_short(void **state)
{
    struct fixture *f = *state;
    struct readers readers[2] = {{.uri = f->uri}, {.uri = f->uri}};
    pthread_t threads[2];
    int64_t longest = 0, restarts = 0, before = 0;
    shorten_log(f->s, 5000);
    put_numbered(f, 0);
    for (size_t i = 0; i < 2; i++) {
        assert_i64(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    }
    struct sq_conn *c = ((struct sq_store *)f->s)->main;
    for (int i = 1; i < COMMITS; i++) {
        put_numbered(f, i);
        int64_t size = file_size(path_in(f, "t.db-wal"));
        longest = size > longest ? size : longest;
        restarts += c->log_last <= before;
        before = c->log_last;
        arena_reset(&f->arena);
    }
    for (size_t i = 0; i < 2; i++) {
        atomic_store(&readers[i].stop, true);
        pthread_join(threads[i], NULL);
        assert_string_equal(readers[i].fault ? readers[i].fault : "", "");
        assert_true(atomic_load(&readers[i].rounds) > 2);
    }
    assert_true(restarts > 2);
    assert_true(longest < 8LL * LOG_PAGES_MAX * PAGE); // each commit has some ten pages
}

static int cache_used(struct sq_conn *c)
{
    int used = 0, highest;
    assert_i64(sqlite3_db_status(c->db, SQLITE_DBSTATUS_CACHE_USED, &used, &highest, 0), 0);
    return used;
}

// A trickle is copied to the file long before the log is as long as a load may make it, but not
// sooner than some time after the last time.
static void test_log_of_a_trickle(void **state)
{
    struct fixture *f = *state;
    struct sq_conn *c = ((struct sq_store *)f->s)->main;
    int before = INT_MAX, last = 0, restarts[2] = {0, 0}; // while it has to wait, while it need not
    assert_true(c->log_every_ns > 0);
    for (int i = 0; i < 160; i++) {
        bool now = i >= 80;
        c->log_every_ns = now ? 0 : INT64_MAX;
        put_numbered(f, i);
        restarts[now] += c->log_last <= last;
        if (now && c->log_last >= 256 && c->log_last < c->log_pages) {
            assert_true(cache_used(c) < before); // pages that may not be touched again are let go
        }
        before = cache_used(c);
        last = c->log_last;
        arena_reset(&f->arena);
    }
    assert_i64(restarts[0], 0);
    assert_true(restarts[1] >= 2); // the first time it was long already
}

// A snapshot that is held keeps what it needs in the log, and its end lets go of it.
static void test_long_reader(void **state)
{
    struct fixture *f = *state;
    struct store *reader = NULL;
    char *log = path_in(f, "t.db-wal");
    int64_t last = 0;
    shorten_log(f->s, 1);
    put_numbered(f, 0);
    assert_ok(store_open(f->uri, STORE_READ, &reader, &f->err), &f->err);
    assert_ok(store_hold(reader, &f->err), &f->err);
    assert_string_equal(look(reader, &last) ? "wrong" : "", "");
    for (int i = 1; i < 60; i++) {
        put_numbered(f, i);
    }
    assert_true(file_size(log) > 2LL * LOG_PAGES_MAX * PAGE);
    last = 0;
    assert_null(look(reader, &last));
    assert_i64(last, 1); // what it saw at first
    store_release(reader);
    int64_t size = file_size(log);
    for (int i = 60; i < 120; i++) {
        put_numbered(f, i);
    }
    assert_true(file_size(log) < size + LOG_PAGES_MAX * 4LL * PAGE);
    assert_null(look(reader, &last));
    assert_i64(last, 120);
    store_close(reader);
}

// The writer was killed: its log is there, its index beside it may be or not.
static void test_log_of_the_dead(void **state)
{
    struct fixture *f = *state;
    static const char *const kept[][2] = {{"t.db-wal", "t.db-shm"}, {"t.db-wal", NULL}};
    for (int i = 0; i < 10; i++) {
        put_numbered(f, i);
    }
    for (size_t k = 0; k < ARRAY_LEN(kept); k++) {
        struct store *s = NULL;
        int64_t last = 0;
        copy_file(path_in(f, "t.db"), path_in(f, "dead.db"));
        (void)unlink(path_in(f, "dead.db-shm"));
        for (size_t i = 0; i < 2 && kept[k][i]; i++) {
            char *to AUTO_FREE = x_asprintf("%s/dead%s", f->folder, kept[k][i] + 1);
            copy_file(path_in(f, kept[k][i]), to);
        }
        assert_ok(store_open(uri_in(f, "dead.db"), STORE_READ, &s, &f->err), &f->err);
        assert_null(look(s, &last));
        assert_i64(last, 10);
        store_close(s);
        assert_ok(store_open(uri_in(f, "dead.db"), STORE_WRITE, &s, &f->err), &f->err);
        store_close(s);
        assert_i64(file_size(path_in(f, "dead.db-wal")), -1); // and now it is one file again
    }
}

static void test_closed_store_is_one_file(void **state)
{
    struct fixture *f = *state;
    put_numbered(f, 0);
    store_close(f->s);
    f->s = NULL;
    assert_i64(file_size(path_in(f, "t.db-wal")), -1);
    assert_i64(file_size(path_in(f, "t.db-shm")), -1);
    assert_i64(file_size(path_in(f, "t.db-lock")), -1);
    struct store *s = NULL;
    assert_ok(store_open(f->uri, STORE_READ, &s, &f->err), &f->err);
    assert_i64(info_of(f, s).usages, 1);
    store_close(s);
}

// Whoever may not write beside the file reads it as one that cannot change, until it does.
static void test_rest_that_ends(void **state)
{
    struct fixture *f = *state;
    const struct window_query q = {LEVEL_WINDOW, INT64_MIN, INT64_MAX, -1};
    struct store *reader = NULL;
    struct store_cursor *c = NULL;
    int64_t last = 0;
    put_numbered(f, 0);
    assert_ok(store_open(f->uri, STORE_READ, &reader, &f->err), &f->err);
    ((struct sq_store *)reader)->read_mode = SQ_IMMUTABLE; // as in a folder that is closed to us
    assert_i64(store_windows(reader, &q, &c, &f->err), -EBUSY);
    assert_non_null(strstr(f->err.msg, "has begun to be written"));
    ((struct sq_store *)reader)->read_mode = SQ_READ;
    assert_null(look(reader, &last));
    store_close(reader);
}

#define ON_SQLITE(t) ON(t, "sqlite")

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SQLITE(test_log_stays_short),
        ON_SQLITE(test_log_of_a_trickle),
        ON_SQLITE(test_long_reader),
        ON_SQLITE(test_log_of_the_dead),
        ON_SQLITE(test_closed_store_is_one_file),
        ON_SQLITE(test_rest_that_ends),
    };
    return cmocka_run_group_tests_name("sqlite_log", tests, NULL, NULL);
}
