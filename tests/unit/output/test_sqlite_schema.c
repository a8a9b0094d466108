// Migrations: a store of an older schema is brought to the newest in one transaction, said aloud,
// or stays as it is.
#include <errno.h>

#include "output/sqlite/sqlite.h"
#include "sqlite_file.h"

// What a later gtap might add.
static const struct sq_migration next[] = {
    {5, "ALTER TABLE usage ADD COLUMN priority INTEGER;"},
    {5, "CREATE TABLE added_in_5(x); INSERT INTO added_in_5 SELECT count(*) FROM sample;"},
    {6, "CREATE TABLE added_in_6(x); INSERT INTO added_in_6 SELECT x + 1 FROM added_in_5;"},
};

// The product's migrations, then `n` of ours.
static int migrate_with(struct fixture *f, const struct sq_migration *more, size_t n)
{
    struct sq_conn *c = NULL;
    struct sq_migration all[64];
    assert_true(sq_n_migrations + n <= ARRAY_LEN(all));
    memcpy(all, sq_migrations, sq_n_migrations * sizeof(all[0]));
    for (size_t i = 0; i < n; i++) {
        all[sq_n_migrations + i] = more[i];
    }
    assert_ok(sq_connect(path_in(f, "t.db"), "t.db", SQ_CHANGE, &c, &f->err), &f->err);
    int r = sq_migrate(c, all, sq_n_migrations + n, &f->err);
    sq_disconnect(c);
    return r;
}

static int64_t ask(struct fixture *f, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    assert_i64(sqlite3_open(path_in(f, "t.db"), &db), SQLITE_OK);
    int64_t n = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW) {
        n = sqlite3_column_int64(stmt, 0);
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return n;
}

static void fill_and_close(struct fixture *f)
{
    fill(f, 10);
    store_close(f->s);
    f->s = NULL;
}

static void test_from_the_first_version_on(void **state)
{
    struct fixture *f = *state;
    fill(f, 10);
    char *before = dump_store(f, f->s);
    int64_t samples = info_of(f, f->s).samples;
    store_close(f->s);
    f->s = NULL;
    assert_ok(migrate_with(f, next, ARRAY_LEN(next)), &f->err);
    assert_i64(ask(f, "PRAGMA user_version"), 6);
    assert_i64(ask(f, "SELECT x FROM added_in_5"), samples);
    assert_i64(ask(f, "SELECT x FROM added_in_6"), samples + 1); // in their order

    assert_ok(migrate_with(f, next, ARRAY_LEN(next)), &f->err); // nothing is left to do
    assert_i64(ask(f, "SELECT count(*) FROM added_in_6"), 1);
    run_sql(path_in(f, "t.db"), "PRAGMA user_version = 4"); // and what was there still is
    assert_ok(store_open(f->uri, STORE_WRITE, &f->s, &f->err), &f->err);
    assert_text(dump_store(f, f->s), before);
}

static void test_all_or_nothing(void **state)
{
    struct fixture *f = *state;
    const struct sq_migration broken[] = {next[0], next[1], {6, "INSERT INTO nowhere VALUES (1)"}};
    fill_and_close(f);
    assert_i64(migrate_with(f, broken, ARRAY_LEN(broken)), -EIO);
    assert_i64(ask(f, "PRAGMA user_version"), 4);
    assert_i64(ask(f, "SELECT x FROM added_in_5"), -1);
    assert_ok(store_open(f->uri, STORE_WRITE, &f->s, &f->err), &f->err);
    assert_true(info_of(f, f->s).samples > 0);
}

// Some other process may have gone further while this one waited for its turn.
static void test_never_back(void **state)
{
    struct fixture *f = *state;
    fill_and_close(f);
    assert_ok(migrate_with(f, next, ARRAY_LEN(next)), &f->err);
    assert_i64(migrate_with(f, NULL, 0), -EPROTONOSUPPORT);
    assert_i64(ask(f, "PRAGMA user_version"), 6);
}

// What is added later to a store that is full must be there as if it had been from the beginning.
static void test_indexes_of_version_3(void **state)
{
    struct fixture *f = *state;
    fill(f, 10);
    char *before = dump_store(f, f->s);
    store_close(f->s);
    f->s = NULL;
    run_sql(path_in(f, "t.db"), "DROP INDEX consumer_tenant; DROP INDEX cost_hour_consumer;"
                                "DROP INDEX cost_day_consumer; DROP TABLE cost_pack;"
                                "PRAGMA user_version = 2");
    assert_ok(store_open(f->uri, STORE_WRITE, &f->s, &f->err), &f->err);
    assert_i64(info_of(f, f->s).migrated_from, 2);
    assert_text(dump_store(f, f->s), before);
    int64_t rows = ask(f, "SELECT count(*) FROM cost_hour");
    assert_i64(ask(f, "SELECT count(*) FROM cost_hour INDEXED BY cost_hour_consumer"
                      " WHERE consumer > 0"),
               rows);
}

static void no_difference(void *ctx, const struct store_copy *copy)
{
    (void)ctx, (void)copy;
    fail_msg("a copy differs");
}

// Hours and days are packed, and read from there, as if they had been when they were rolled up.
static void test_packs_of_version_4(void **state)
{
    struct fixture *f = *state;
    char sum[] = "SELECT sum(level * length(rows)) FROM cost_pack";
    fill(f, 60);
    char *before = dump_store(f, f->s);
    store_close(f->s);
    f->s = NULL;
    int64_t packed = ask(f, sum);
    assert_true(packed > 0);
    run_sql(path_in(f, "t.db"), "DROP TABLE cost_pack; PRAGMA user_version = 3");
    assert_i64(store_open(f->uri, STORE_READ, &f->s, &f->err), -EPROTONOSUPPORT);
    assert_non_null(
        strstr(f->err.msg, "was written by an older gtap (schema 3, this one needs 4)"));
    assert_i64(ask(f, "PRAGMA user_version"), 3); // a reader changes nothing
    assert_ok(store_open(f->uri, STORE_WRITE, &f->s, &f->err), &f->err);
    assert_i64(info_of(f, f->s).migrated_from, 3);
    assert_text(dump_store(f, f->s), before);
    assert_i64(ask(f, sum), packed);
    assert_ok(store_check_copies(f->s, INT64_MIN, INT64_MAX, no_difference, NULL, &f->err),
              &f->err);
}

// Rows that no gtap wrote are not packed as if they were others: the store stays as it was.
static void test_nothing_absurd_is_packed(void **state)
{
    static const char *const cases[] = {
        "UPDATE cost_hour SET kind = 4",
        "UPDATE cost_day SET method = 2",
        "UPDATE cost_hour SET place = -1",
        "UPDATE cost_day SET revision = -2147483648",
    };
    struct fixture *f = *state;
    fill(f, 60);
    store_close(f->s);
    f->s = NULL;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct store *s = NULL;
        copy_file(path_in(f, "t.db"), path_in(f, "old.db"));
        run_sql(path_in(f, "old.db"), "DROP TABLE cost_pack; PRAGMA user_version = 3");
        run_sql(path_in(f, "old.db"), cases[i]);
        assert_i64(store_open(uri_in(f, "old.db"), STORE_WRITE, &s, &f->err), -EBADMSG);
        run_sql(path_in(f, "old.db"), "CREATE TABLE cost_pack(not_there_yet)");
    }
    assert_ok(store_open(f->uri, STORE_WRITE, &f->s, &f->err), &f->err);
}

// The oldest store there can be: ours by name, and no schema yet.
static void make_oldest(struct fixture *f)
{
    char sql[64];
    snprintf(sql, sizeof(sql), "PRAGMA application_id = %d", SQ_APPLICATION_ID);
    run_sql(path_in(f, "old.db"), sql);
}

static void test_opening_an_older_one(void **state)
{
    struct fixture *f = *state;
    struct store *s = NULL;
    char *uri = uri_in(f, "old.db");
    make_oldest(f);
    assert_i64(store_open(uri, STORE_READ, &s, &f->err), -EPROTONOSUPPORT);
    assert_non_null(
        strstr(f->err.msg, "was written by an older gtap (schema 0, this one needs 4)"));
    assert_ok(store_open(uri, STORE_WRITE, &s, &f->err), &f->err);
    assert_i64(info_of(f, s).schema_version, 4);
    assert_i64(info_of(f, s).migrated_from, 0); // for whoever opened it to say
    store_close(s);
    assert_ok(store_open(uri, STORE_READ, &s, &f->err), &f->err);
    assert_i64(info_of(f, s).migrated_from, -1);
    store_close(s);
}

static void test_not_under_a_writer(void **state)
{
    struct fixture *f = *state;
    struct store *s = NULL;
    int fd = -1;
    make_oldest(f);
    assert_ok(sq_lock(path_in(f, "old.db"), "old.db", &fd, &f->err), &f->err);
    assert_i64(store_open(uri_in(f, "old.db"), STORE_ADMIN, &s, &f->err), -EBUSY);
    sq_unlock(path_in(f, "old.db"), fd);
    assert_ok(store_open(uri_in(f, "old.db"), STORE_ADMIN, &s, &f->err), &f->err);
    store_close(s);
}

// A store of schema 1 has no ledger of corrections yet.
static void test_from_schema_1(void **state)
{
    struct fixture *f = *state;
    struct sq_conn *c = NULL;
    struct store *s = NULL;
    struct store_cursor *cursor = NULL;
    struct correction one;
    size_t n = 0;
    while (n < sq_n_migrations && sq_migrations[n].version == 1) {
        n++;
    }
    make_oldest(f);
    assert_ok(sq_connect(path_in(f, "old.db"), "old.db", SQ_CHANGE, &c, &f->err), &f->err);
    assert_ok(sq_migrate(c, sq_migrations, n, &f->err), &f->err);
    sq_disconnect(c);
    assert_i64(store_open(uri_in(f, "old.db"), STORE_READ, &s, &f->err), -EPROTONOSUPPORT);
    assert_ok(store_open(uri_in(f, "old.db"), STORE_WRITE, &s, &f->err), &f->err);
    assert_i64(info_of(f, s).migrated_from, 1);
    assert_ok(store_corrections(s, INT64_MIN, INT64_MAX, &cursor, &f->err), &f->err);
    assert_i64(store_corrections_next(cursor, &one, &f->err), 0);
    store_cursor_close(cursor);
    store_close(s);
}

#define ON_SQLITE(t) ON(t, "sqlite")

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SQLITE(test_from_the_first_version_on),
        ON_SQLITE(test_from_schema_1),
        ON_SQLITE(test_indexes_of_version_3),
        ON_SQLITE(test_packs_of_version_4),
        ON_SQLITE(test_nothing_absurd_is_packed),
        ON_SQLITE(test_all_or_nothing),
        ON_SQLITE(test_never_back),
        ON_SQLITE(test_opening_an_older_one),
        ON_SQLITE(test_not_under_a_writer),
    };
    return cmocka_run_group_tests_name("sqlite_schema", tests, NULL, NULL);
}
