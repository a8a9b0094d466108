// Rows of hours and days once more, packed: whatever becomes of a pack is told and mended, it
// changes with its rows or not at all, and its bytes are what they always were.
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "history.h"
#include "output/sqlite/sqlite.h"
#include "sqlite_file.h"

enum { WRITES = 40, KILLS = 20, FAULTS = 4 };

// What store_check_copies() tells.
struct told {
    int n, by_fault[FAULTS];
    struct store_copy last;
    bool has_copy, has_row;
};

static void note(void *ctx, const struct store_copy *copy)
{
    struct told *t = ctx;
    t->n++;
    t->by_fault[copy->fault]++;
    t->has_copy = copy->copy != NULL;
    t->has_row = copy->row != NULL;
    t->last = *copy;
    assert_true(copy->fault == COPY_DIFFERENT || (!copy->copy && !copy->row));
}

static struct told check_range(struct fixture *f, int64_t from, int64_t to)
{
    struct told t = {0};
    assert_ok(store_check_copies(f->s, from, to, note, &t, &f->err), &f->err);
    return t;
}

static struct told check(struct fixture *f)
{
    return check_range(f, INT64_MIN, INT64_MAX);
}

static void mend(struct fixture *f)
{
    assert_ok(store_mend_copies(f->s, INT64_MIN, INT64_MAX, &f->err), &f->err);
}

static int read_level(struct fixture *f, enum window_level level)
{
    const struct window_query q = {level, INT64_MIN, INT64_MAX, -1};
    struct store_cursor *c = NULL;
    struct window_row row;
    int r = store_windows(f->s, &q, &c, &f->err);
    while (r >= 0 && (r = store_windows_next(c, &row, &f->err)) > 0) {
    }
    int again = r < 0 ? store_windows_next(c, &row, &f->err) : r;
    store_cursor_close(c);
    assert_true(again <= 0); // what failed has no more rows
    return r;
}

// One number of the file.
static int64_t ask(struct fixture *f, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    assert_i64(sqlite3_open(path_in(f, "t.db"), &db), SQLITE_OK);
    assert_i64(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_i64(sqlite3_step(stmt), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return n;
}

// All of cost_pack but the ids, as text.
static char *dump_packs(struct fixture *f)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    static const char sql[] = "SELECT group_concat(x) FROM (SELECT level || ' ' || window_start"
                              " || ' ' || shard || ' ' || hex(rows) AS x FROM cost_pack"
                              " ORDER BY level, window_start, shard)";
    assert_i64(sqlite3_open(path_in(f, "t.db"), &db), SQLITE_OK);
    assert_i64(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_i64(sqlite3_step(stmt), SQLITE_ROW);
    struct str text = {(const char *)sqlite3_column_text(stmt, 0),
                       (size_t)sqlite3_column_bytes(stmt, 0) + 1};
    assert_true(text.n > 100);
    text = arena_copy(&f->arena, text);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return (char *)(uintptr_t)text.p;
}

// ---- what may become of one ------------------------------------------------------------------

#define OF_ONE " WHERE id = (SELECT min(id) FROM cost_pack WHERE level = 1)"

static const struct damage {
    const char *sql;
    enum copy_fault fault;
    int n;        // packs told of
    int read;     // what reading all hours ends in
    bool has_row; // told of a difference: the rows' side has one more
} damages[] = {
    {"DELETE FROM cost_pack" OF_ONE, COPY_MISSING, 1, 0, false},
    {"INSERT INTO cost_pack(level, window_start, shard, rows) SELECT level, window_start + 1, "
     "shard,"
     " rows FROM cost_pack" OF_ONE,
     COPY_SUPERFLUOUS, 1, 0, false},
    {"UPDATE cost_pack SET shard = -1" OF_ONE, COPY_SUPERFLUOUS, 2, 0, false},
    {"UPDATE cost_pack SET rows = x'00' || substr(rows, 2)" OF_ONE, COPY_DAMAGED, 1, -EBADMSG,
     false},
    {"UPDATE cost_pack SET rows = substr(rows, 1, length(rows) - 1)" OF_ONE, COPY_DAMAGED, 1,
     -EBADMSG, false},
    {"UPDATE cost_pack SET rows = substr(rows, 1, 8)" OF_ONE, COPY_DAMAGED, 1, -EBADMSG, false},
    {"UPDATE cost_pack SET rows = x''" OF_ONE, COPY_DAMAGED, 1, -EBADMSG, false},
    {"UPDATE cost_pack SET rows = zeroblob(1000000)" OF_ONE, COPY_DAMAGED, 1, -EBADMSG, false},
    {"UPDATE cost_pack SET rows = 17" OF_ONE, COPY_DAMAGED, 1, -EBADMSG, false},
    {"UPDATE cost_pack SET rows = (SELECT p.rows FROM cost_pack p WHERE p.level = 2 ORDER BY"
     " length(p.rows) DESC LIMIT 1)" OF_ONE,
     COPY_DIFFERENT, 1, 0, true},
};

// Told, and mended to the very bytes that were there.
static void test_each_is_mended(void **state)
{
    struct fixture *f = *state;
    fill(f, WRITES);
    char *whole = dump_packs(f), *all = dump_store(f, f->s);
    assert_i64(check(f).n, 0);
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        const struct damage *d = &damages[i];
        run_sql(path_in(f, "t.db"), d->sql);
        struct told t = check(f);
        if (t.n != d->n || t.by_fault[d->fault] != 1 || t.has_row != d->has_row) {
            fail_at(__FILE__, __LINE__, "%s: %d told, %d of it\n", d->sql, t.n,
                    t.by_fault[d->fault]);
        }
        assert_i64(t.last.level, LEVEL_HOUR);
        assert_i64(read_level(f, LEVEL_HOUR), d->read);
        assert_true(d->read == 0 || strstr(f->err.msg, "`gtap recompute` packs them again"));
        mend(f);
        assert_i64(check(f).n, 0);
        assert_text(dump_packs(f), whole);
        assert_text(dump_store(f, f->s), all);
    }
}

// A whole that was sealed by somebody, of what no gtap writes.
static void test_sealed_rubbish(void **state)
{
    struct fixture *f = *state;
    struct buf b;
    struct told t;
    fill(f, WRITES);
    char *whole = dump_packs(f);
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    sq_pack_init(&b);
    sq_pack_begin(&b);
    buf_add(&b, "\x01\x01\x01\x80\x00", 5);
    sq_pack_seal(&b);
    assert_i64(sqlite3_open(path_in(f, "t.db"), &db), SQLITE_OK);
    assert_i64(
        sqlite3_prepare_v2(db, "UPDATE cost_pack SET rows = ?1 WHERE level = 2", -1, &stmt, NULL),
        SQLITE_OK);
    assert_i64(sqlite3_bind_blob64(stmt, 1, b.p, b.n, SQLITE_STATIC), SQLITE_OK);
    assert_i64(sqlite3_step(stmt), SQLITE_DONE);
    int days = sqlite3_changes(db);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    buf_done(&b);
    t = check(f);
    assert_true(days > 0 && t.n == days && t.by_fault[COPY_DAMAGED] == days);
    assert_i64(read_level(f, LEVEL_DAY), -EBADMSG);
    assert_non_null(strstr(f->err.msg, "of the day from "));
    assert_i64(read_level(f, LEVEL_HOUR), 0);
    mend(f);
    assert_text(dump_packs(f), whole);
}

// A row of a table that was changed: the pack has what it was, and follows.
static void test_rows_are_what_counts(void **state)
{
    struct fixture *f = *state;
    fill(f, WRITES);
    run_sql(path_in(f, "t.db"),
            "UPDATE cost_hour SET busy_ns = busy_ns + 1, requests = requests + 1 WHERE"
            " (window_start, shard, n) = (SELECT window_start, shard, n FROM cost_hour LIMIT 1)");
    struct told t = check(f);
    assert_i64(t.n, 1);
    assert_true(t.has_copy && t.has_row);
    mend(f);
    assert_i64(check(f).n, 0);
    run_sql(path_in(f, "t.db"), "DELETE FROM cost_day");
    int64_t days = ask(f, "SELECT count(*) FROM cost_pack WHERE level = 2");
    t = check(f);
    assert_true(days > 0 && t.n == days && t.by_fault[COPY_SUPERFLUOUS] == days);
    mend(f);
    assert_i64(check(f).n, 0);
    assert_i64(ask(f, "SELECT count(*) FROM cost_pack WHERE level = 2"), 0);
}

// All of them, in several transactions; or only those of a range.
static void test_ranges(void **state)
{
    struct fixture *f = *state;
    fill(f, WRITES);
    char *whole = dump_packs(f);
    int64_t n = ask(f, "SELECT count(*) FROM cost_pack");
    int64_t at = ask(f, "SELECT max(window_start) FROM cost_pack WHERE level = 1");
    int64_t before = ask(f, "SELECT count(*) FROM cost_pack WHERE window_start <"
                            " (SELECT max(window_start) FROM cost_pack WHERE level = 1)");
    run_sql(path_in(f, "t.db"), "DELETE FROM cost_pack");
    assert_i64(check(f).by_fault[COPY_MISSING], n);
    assert_i64(check_range(f, INT64_MIN, at).n, before);
    assert_true(before > 0 && before < n);
    assert_ok(store_mend_copies(f->s, at, INT64_MAX, &f->err), &f->err);
    assert_i64(check_range(f, at, INT64_MAX).n, 0);
    assert_i64(check(f).n, before);
    mend(f);
    assert_text(dump_packs(f), whole);
}

static void test_who_may(void **state)
{
    struct fixture *f = *state;
    struct store *reader = NULL;
    fill(f, WRITES);
    char *whole = dump_packs(f);
    assert_ok(store_open(f->uri, STORE_READ, &reader, &f->err), &f->err);
    assert_i64(store_mend_copies(reader, INT64_MIN, INT64_MAX, &f->err), -EPERM);
    store_close(reader);
    mend(f); // nothing is wrong: nothing is written
    assert_text(dump_packs(f), whole);
}

// ---- with its rows or not at all -------------------------------------------------------------

static void die(void *ctx, int what, const char *schema, const char *table, sqlite3_int64 id)
{
    (void)ctx, (void)what, (void)schema, (void)id;
    if (strcmp(table, "cost_pack") == 0) {
        (void)kill(getpid(), SIGKILL);
    }
}

// In a process that is killed as soon as a pack is touched, after its rows were. Whether it was.
static bool killed_while_writing(struct fixture *f, void (*write)(struct fixture *f))
{
    int status = 0;
    store_close(f->s);
    f->s = NULL;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int r = store_open(f->uri, STORE_WRITE, &f->s, &f->err);
        if (r == 0) {
            (void)sqlite3_update_hook(((struct sq_store *)f->s)->main->db, die, NULL);
            write(f);
        }
        _exit(r == 0 ? 0 : 1);
    }
    assert_i64(waitpid(pid, &status, 0), pid);
    assert_ok(store_open(f->uri, STORE_WRITE, &f->s, &f->err), &f->err);
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

static void put_it(struct fixture *f)
{
    put(f);
}

static void test_killed_between_rows_and_pack(void **state)
{
    struct fixture *f = *state;
    struct history h = {.random = 4711};
    int killed = 0;
    assert_ok(store_set_shards(f->s, SHARDS, &f->err), &f->err);
    for (int i = 0; i < KILLS; i++) {
        char *before = dump_store(f, f->s);
        write_random(&h, f);
        if (killed_while_writing(f, put_it)) {
            killed++;
            assert_text(dump_store(f, f->s), before);
            assert_i64(check(f).n, 0);
            put(f);
        } else {
            drop_write(f);
        }
        assert_i64(check(f).n, 0);
    }
    assert_true(killed > 5);
}

static void mend_it(struct fixture *f)
{
    mend(f);
}

static void test_killed_while_mending(void **state)
{
    struct fixture *f = *state;
    fill(f, WRITES);
    char *whole = dump_packs(f);
    run_sql(path_in(f, "t.db"), "UPDATE cost_pack SET rows = x'00'");
    int n = check(f).n;
    assert_true(killed_while_writing(f, mend_it));
    assert_i64(check(f).n, n);
    mend(f);
    assert_text(dump_packs(f), whole);
}

// Retention takes windows and raw records; hours and days stay, and what is packed of them.
static void test_retention(void **state)
{
    static const enum store_collection all[] = {STORE_COST_WINDOWS, STORE_TOKEN_USAGE,
                                                STORE_GPU_METRICS};
    struct fixture *f = *state;
    size_t removed = 0, windows = 0;
    fill(f, WRITES);
    char *whole = dump_packs(f);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        do {
            assert_ok(store_expire(f->s, all[i], INT64_MAX, 100, &removed, &f->err), &f->err);
            windows += all[i] == STORE_COST_WINDOWS ? removed : 0;
            assert_i64(check(f).n, 0);
        } while (removed > 0);
    }
    assert_true(windows > 0);
    assert_text(dump_packs(f), whole);
    struct history h = {.random = 99}; // what comes later rolls up what has its windows
    for (int i = 0; i < WRITES / 3; i++) {
        write_random(&h, f);
        put(f);
        assert_i64(check(f).n, 0);
    }
}

// ---- its bytes -------------------------------------------------------------------------------

static void test_the_format(void **state)
{
    (void)state;
    static const unsigned char want[] = {
        0xaf, 0x86, 0x06, 0x47, 0x0e, 0x08, 0x5c, 0xd6,    // the hash
        0x0e, 0x05, 0x80, 0x01, 0x02,                      // kind, method, energy; ids; revision
        0xd8, 0x04, 0x01, 0,    0,    0,    0,    0,    0, // 300, -1
        0x02, 0,    0,    0,    0,    0,    0,    0,       // 1
        0xf8, 0x3f,
    };
    const struct window_row row = {
        .kind = ROW_UNATTRIBUTED,
        .method = METHOD_EQUAL,
        .cost_nusd = 300,
        .cost_in_nusd = -1,
        .busy_ns = 1,
        .has_energy = true,
        .energy_j = 1.5,
        .revision = 2,
    };
    struct buf b;
    struct sq_pack p;
    struct window_row back;
    sq_pack_init(&b);
    sq_pack_begin(&b);
    assert_false(sq_pack_any(&b));
    assert_true(sq_pack_add(&b, 5, 128, &row));
    sq_pack_seal(&b);
    assert_i64((int64_t)b.n, sizeof(want));
    assert_memory_equal(b.p, want, sizeof(want));
    assert_true(sq_pack_open(b.p, b.n, 77, &p) && sq_pack_next(&p, &back));
    assert_true(p.at == p.end);
    assert_i64(back.window_start, 77);
    assert_i64(back.place, 5);
    assert_i64(back.consumer, 128);
    buf_done(&b);
}

static void test_rows_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        struct window_row row;
        int64_t place, consumer;
    } cases[] = {
        {{.kind = (enum row_kind)4}, 1, 1}, {{.method = (enum cost_method)2}, 1, 1},
        {{.revision = -1}, 1, 1},           {{.revision = 1}, 0, 1},
        {{.revision = 1}, 1, INT64_MIN},
    };
    struct buf b;
    sq_pack_init(&b);
    sq_pack_begin(&b);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_false(sq_pack_add(&b, cases[i].place, cases[i].consumer, &cases[i].row));
    }
    assert_false(sq_pack_any(&b));
    buf_done(&b);
}

#define ON_SQLITE(t) ON(t, "sqlite")

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SQLITE(test_each_is_mended),
        ON_SQLITE(test_sealed_rubbish),
        ON_SQLITE(test_rows_are_what_counts),
        ON_SQLITE(test_ranges),
        ON_SQLITE(test_who_may),
        ON_SQLITE(test_killed_between_rows_and_pack),
        ON_SQLITE(test_killed_while_mending),
        ON_SQLITE(test_retention),
        cmocka_unit_test(test_the_format),
        cmocka_unit_test(test_rows_that_cannot_be),
    };
    return cmocka_run_group_tests_name("sqlite_packs", tests, NULL, NULL);
}
