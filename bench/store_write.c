// What SQLite itself takes to insert the rows of a store: the same rows into the same tables with
// the same indexes, by prepared INSERT statements and nothing else.
//
//     store_write STORE COPY ROWS
//
// STORE is a store's file, COPY is made anew. ROWS rows go into a transaction, of every table its
// share, so that the tables grow side by side as they do in a store. Only the inserting is timed,
// not reading from STORE.
#include <inttypes.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "measure.h"

struct table {
    char *name;
    sqlite3_stmt *read, *insert;
    int64_t rows, taken;
    int columns;
    sqlite3_value **values; // of the rows read for this transaction, row by row
    size_t n_values, cap_values;
};

struct copy {
    sqlite3 *from, *to;
    struct table *tables;
    size_t n_tables, cap_tables;
    int64_t rows;
    struct spent spent;
};

static void must(sqlite3 *db, int rc)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW) {
        give_up("store_write: %s", sqlite3_errmsg(db));
    }
}

static void execute(sqlite3 *db, const char *sql)
{
    must(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    must(db, sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL));
    return stmt;
}

static void remove_old(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        char *file AUTO_FREE = x_asprintf("%s%s", path, suffixes[i]);
        unlink(file);
    }
}

// With the settings of src/output/sqlite/conn.c.
static void open_both(struct copy *c, const char *from, const char *to)
{
    remove_old(to);
    must(c->from, sqlite3_open_v2(from, &c->from, SQLITE_OPEN_READONLY, NULL));
    must(c->to,
         sqlite3_open_v2(to, &c->to,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL));
    execute(c->to, "PRAGMA page_size=16384; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                   "PRAGMA cache_size=4096; PRAGMA wal_autocheckpoint=4000;"
                   "PRAGMA journal_size_limit=134217728;");
}

static void copy_schema(struct copy *c)
{
    sqlite3_stmt *all = prepare(c->from, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL "
                                         "ORDER BY type = 'view', type = 'index', rowid");
    while (sqlite3_step(all) == SQLITE_ROW) {
        execute(c->to, (const char *)sqlite3_column_text(all, 0));
    }
    sqlite3_finalize(all);
}

static int64_t count_rows(struct copy *c, const char *table)
{
    char *sql AUTO_FREE = x_asprintf("SELECT count(*) FROM \"%s\"", table);
    sqlite3_stmt *stmt = prepare(c->from, sql);
    must(c->from, sqlite3_step(stmt));
    int64_t n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return n;
}

static sqlite3_stmt *prepare_insert(sqlite3 *db, const char *table, int columns)
{
    char *sql AUTO_FREE = x_asprintf("INSERT INTO \"%s\" VALUES (?", table);
    for (int i = 1; i < columns; i++) {
        char *longer = x_asprintf("%s,?", sql);
        free(sql);
        sql = longer;
    }
    char *whole AUTO_FREE = x_asprintf("%s)", sql);
    return prepare(db, whole);
}

static void add_table(struct copy *c, const char *name)
{
    char *sql AUTO_FREE = x_asprintf("SELECT * FROM \"%s\"", name);
    struct table t = {.name = x_strdup(name), .rows = count_rows(c, name)};
    t.read = prepare(c->from, sql);
    t.columns = sqlite3_column_count(t.read);
    t.insert = prepare_insert(c->to, name, t.columns);
    ARRAY_RESERVE(c->tables, c->n_tables, c->cap_tables);
    c->tables[c->n_tables++] = t;
    c->rows += t.rows;
}

static void find_tables(struct copy *c)
{
    sqlite3_stmt *all = prepare(c->from, "SELECT name FROM sqlite_schema WHERE type = 'table' "
                                         "AND name NOT LIKE 'sqlite_%' ORDER BY rowid");
    while (sqlite3_step(all) == SQLITE_ROW) {
        add_table(c, (const char *)sqlite3_column_text(all, 0));
    }
    sqlite3_finalize(all);
}

// Reads on up to row number `until`.
static void read_rows(struct copy *c, struct table *t, int64_t until)
{
    for (; t->taken < until; t->taken++) {
        must(c->from, sqlite3_step(t->read));
        for (int i = 0; i < t->columns; i++) {
            ARRAY_RESERVE(t->values, t->n_values, t->cap_values);
            t->values[t->n_values++] = sqlite3_value_dup(sqlite3_column_value(t->read, i));
        }
    }
}

static void insert_rows(struct copy *c, const struct table *t)
{
    for (size_t i = 0; i < t->n_values; i += (size_t)t->columns) {
        for (int j = 0; j < t->columns; j++) {
            must(c->to, sqlite3_bind_value(t->insert, j + 1, t->values[i + (size_t)j]));
        }
        must(c->to, sqlite3_step(t->insert));
        must(c->to, sqlite3_reset(t->insert));
    }
}

static void forget_rows(struct table *t)
{
    for (size_t i = 0; i < t->n_values; i++) {
        sqlite3_value_free(t->values[i]);
    }
    t->n_values = 0;
}

static void copy_rows(struct copy *c, int64_t rows)
{
    execute(c->to, "DELETE FROM meta"); // the schema comes with a row
    int64_t steps = (c->rows + rows - 1) / rows;
    for (int64_t step = 1; step <= steps; step++) {
        for (size_t i = 0; i < c->n_tables; i++) {
            read_rows(c, &c->tables[i], c->tables[i].rows * step / steps);
        }
        spent_begin(&c->spent);
        execute(c->to, "BEGIN IMMEDIATE");
        for (size_t i = 0; i < c->n_tables; i++) {
            insert_rows(c, &c->tables[i]);
        }
        execute(c->to, "COMMIT");
        spent_end(&c->spent);
        for (size_t i = 0; i < c->n_tables; i++) {
            forget_rows(&c->tables[i]);
        }
    }
}

static void close_both(struct copy *c)
{
    for (size_t i = 0; i < c->n_tables; i++) {
        sqlite3_finalize(c->tables[i].read);
        sqlite3_finalize(c->tables[i].insert);
        free(c->tables[i].values);
        free(c->tables[i].name);
    }
    free(c->tables);
    sqlite3_close(c->from);
    spent_begin(&c->spent);
    must(c->to, sqlite3_close(c->to)); // the last checkpoint
    spent_end(&c->spent);
}

int main(int argc, char **argv)
{
    struct copy c = {0};
    int64_t rows = argument(argc, argv, 3);
    open_both(&c, argv[1], argv[2]);
    copy_schema(&c);
    find_tables(&c);
    copy_rows(&c, rows);
    close_both(&c);
    printf("{\"rows\": %" PRId64 ", \"cpu_s\": %.6f, \"wall_s\": %.6f}\n", c.rows, c.spent.cpu_s,
           c.spent.wall_s);
    return 0;
}
