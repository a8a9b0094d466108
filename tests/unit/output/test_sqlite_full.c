// A full disk, at every point where a write may hit it: nothing of the write is stored, all that
// was acknowledged is, and the same write goes through once there is room. Two switches make it
// full: a bound on the database's pages, as SQLite counts them, and the kernel's limit on the size
// of files, which also hits the log and its copying into the file.
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "history.h"
#include "output/sqlite/sqlite.h"
#include "sqlite_file.h"

enum { WRITES = 80, PAGE = 16384 };

static void limit_pages(struct fixture *f, int64_t pages)
{
    char sql[64];
    snprintf(sql, sizeof(sql), "PRAGMA max_page_count = %lld", (long long)pages);
    assert_ok(sq_exec(((struct sq_store *)f->s)->main, sql, &f->err), &f->err);
}

static void limit_file_size(int64_t bytes)
{
    struct rlimit limit;
    assert_i64(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < 0 ? limit.rlim_max : (rlim_t)bytes;
    assert_i64(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

// What the store holds after `writes` undisturbed ones, as text.
static char *undisturbed(struct fixture *f, int writes)
{
    void *state = (void *)(uintptr_t) "sqlite";
    assert_i64(fixture_setup(&state), 0);
    struct fixture *other = state;
    fill(other, writes);
    char *dump = dump_store(other, other->s);
    struct str kept = arena_copy(&f->arena, (struct str){dump, strlen(dump) + 1});
    fixture_teardown(&state);
    return (char *)(uintptr_t)kept.p;
}

static void no_difference(void *ctx, const struct store_copy *copy)
{
    (void)ctx, (void)copy;
    fail_msg("a copy differs");
}

static void check_copies(struct fixture *f)
{
    assert_ok(store_check_copies(f->s, INT64_MIN, INT64_MAX, no_difference, NULL, &f->err),
              &f->err);
}

// One write, again until it goes through. `make_room` is called when the disk is full, `fill_up`
// before a write; what failed must have left no trace.
struct disk {
    void (*fill_up)(struct fixture *f, int64_t amount);
    void (*make_room)(struct fixture *f);
    int code;
    int64_t step;
};

static int put_under(struct fixture *f, const struct disk *d, int64_t *amount)
{
    int failures = 0;
    char *before = dump_store(f, f->s);
    for (;;) {
        struct fixture again = *f; // try_put forgets what it wrote
        d->fill_up(f, *amount);
        int r = try_put(&again);
        d->make_room(f);
        if (r == 0) {
            drop_write(f);
            return failures;
        }
        assert_i64(r, d->code);
        assert_non_null(strstr(again.err.msg, f->uri));
        assert_text(dump_store(f, f->s), before);
        check_copies(f);
        failures++;
        *amount += d->step;
    }
}

static void run_on(struct fixture *f, const struct disk *d, int64_t amount)
{
    struct history h = {.random = 77};
    int failures = 0;
    assert_ok(store_set_shards(f->s, SHARDS, &f->err), &f->err);
    for (int i = 0; i < WRITES; i++) {
        write_random(&h, f);
        int failed = put_under(f, d, &amount);
        failures += failed;
        if (failed > 0 && i % 3 == 0) {
            fixture_reopen(f); // the program ended there, and is started again
        }
    }
    assert_true(failures > 10);
    check_copies(f);
    assert_text(dump_store(f, f->s), undisturbed(f, WRITES));
    fixture_reopen(f);
    assert_text(dump_store(f, f->s), undisturbed(f, WRITES));
}

static void no_more_pages(struct fixture *f, int64_t pages)
{
    limit_pages(f, pages);
}

static void more_pages(struct fixture *f)
{
    limit_pages(f, INT32_MAX);
}

static void test_pages_run_out(void **state)
{
    const struct disk d = {no_more_pages, more_pages, -ENOSPC, 1};
    run_on(*state, &d, 1);
}

static void no_larger_files(struct fixture *f, int64_t bytes)
{
    (void)f;
    limit_file_size(bytes);
}

static void larger_files(struct fixture *f)
{
    (void)f;
    limit_file_size(-1);
}

// Steps that are no multiple of a page, so that a write is cut in its middle.
static void test_files_may_not_grow(void **state)
{
    const struct disk d = {no_larger_files, larger_files, -EFBIG, 7 * PAGE + 4711};
    run_on(*state, &d, 4711);
}

// The log takes the commit, but cannot be copied into the file: nothing is lost by that.
static void test_log_cannot_be_copied(void **state)
{
    struct fixture *f = *state;
    struct sq_conn *c = ((struct sq_store *)f->s)->main;
    fill(f, 30);
    char *before = dump_store(f, f->s);
    int64_t size = file_size(path_in(f, "t.db"));
    limit_file_size(size + file_size(path_in(f, "t.db-wal")) / 4 + 2 * PAGE);
    c->log_pages = 1;
    add_usage(f, "one more", "h", 0, at(0), at(1));
    int r = try_put(f);
    limit_file_size(-1);
    assert_true(r == 0 || r == -EFBIG);
    fixture_reopen(f);
    if (r < 0) {
        assert_text(dump_store(f, f->s), before);
    }
    assert_i64(strstr(dump_store(f, f->s), "one more") != NULL, r == 0);
}

static void test_opening_on_a_full_disk(void **state)
{
    struct fixture *f = *state;
    struct store *s = NULL;
    for (int64_t bytes = 0;; bytes += PAGE / 2 + 17) {
        limit_file_size(bytes);
        int r = store_open(uri_in(f, "new.db"), STORE_WRITE, &s, &f->err);
        limit_file_size(-1);
        if (r == 0) {
            assert_true(bytes > 0);
            break;
        }
        assert_i64(r, -EFBIG);
        assert_i64(file_size(path_in(f, "new.db-lock")), -1);
    }
    assert_i64(info_of(f, s).schema_version, 4);
    store_close(s);
}

// Hours and days of a store of schema 3 are packed all or not at all.
static void test_packing_on_a_full_disk(void **state)
{
    struct fixture *f = *state;
    int failures = 0;
    fill(f, WRITES);
    char *before = dump_store(f, f->s);
    store_close(f->s);
    f->s = NULL;
    run_sql(path_in(f, "t.db"), "DROP TABLE cost_pack; PRAGMA user_version = 3; VACUUM");
    for (int64_t bytes = PAGE;; bytes += PAGE / 2 + 17) {
        limit_file_size(bytes);
        int r = store_open(f->uri, STORE_WRITE, &f->s, &f->err);
        limit_file_size(-1);
        if (r == 0) {
            break;
        }
        assert_i64(r, -EFBIG);
        failures++;
    }
    assert_true(failures > 1);
    assert_i64(info_of(f, f->s).migrated_from, 3);
    assert_text(dump_store(f, f->s), before);
    check_copies(f);
}

static void test_mending_on_a_full_disk(void **state)
{
    struct fixture *f = *state;
    int failures = 0, r = -1;
    fill(f, WRITES);
    char *before = dump_store(f, f->s);
    run_sql(path_in(f, "t.db"), "DELETE FROM cost_pack");
    for (int64_t bytes = PAGE; r < 0; bytes += PAGE / 2 + 17) {
        limit_file_size(bytes);
        r = store_mend_copies(f->s, INT64_MIN, INT64_MAX, &f->err);
        limit_file_size(-1);
        assert_true(r == 0 || r == -EFBIG);
        failures += r < 0;
    }
    assert_true(failures > 0);
    check_copies(f);
    assert_text(dump_store(f, f->s), before);
}

static void test_prices_on_a_full_disk(void **state)
{
    struct fixture *f = *state;
    const struct price_entry price = {.name = STR("H100"), .price_nusd_hour = 1};
    struct store *admin = NULL;
    int64_t id = 0;
    assert_ok(store_open(f->uri, STORE_ADMIN, &admin, &f->err), &f->err);
    limit_file_size(100);
    int r = store_add_price(admin, &price, &id, &f->err);
    limit_file_size(-1);
    assert_i64(r, -EFBIG);
    assert_non_null(strstr(f->err.msg, "Nothing was changed: run the same command again"));
    assert_ok(store_add_price(admin, &price, &id, &f->err), &f->err);
    assert_i64(id, 1);
    store_close(admin);
}

#define ON_SQLITE(t) ON(t, "sqlite")

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SQLITE(test_pages_run_out),          ON_SQLITE(test_files_may_not_grow),
        ON_SQLITE(test_log_cannot_be_copied),   ON_SQLITE(test_opening_on_a_full_disk),
        ON_SQLITE(test_packing_on_a_full_disk), ON_SQLITE(test_mending_on_a_full_disk),
        ON_SQLITE(test_prices_on_a_full_disk),
    };
    signal(SIGXFSZ, SIG_IGN); // as src/cmd/main.c does
    return cmocka_run_group_tests_name("sqlite_full", tests, NULL, NULL);
}
