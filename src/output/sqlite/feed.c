// A virtual table over a C array (https://sqlite.org/vtab.html, "Eponymous-only"): an INSERT that
// selects from it stores a whole batch in one statement. Binding and stepping row by row takes half
// as long again, most of it in opening and closing the same cursors.
#include <stdlib.h>

#include "base/alloc.h"
#include "output/sqlite/sqlite.h"

struct feed_table {
    sqlite3_vtab base;
    struct sq_feed *feed;
};

struct feed_cursor {
    sqlite3_vtab_cursor base;
    size_t at;
};

static struct sq_feed *feed_of(sqlite3_vtab_cursor *c)
{
    return ((struct feed_table *)c->pVtab)->feed;
}

static int feed_connect(sqlite3 *db, void *ctx, int argc, const char *const *argv,
                        sqlite3_vtab **ret, char **ret_err)
{
    (void)argc, (void)argv, (void)ret_err;
    struct sq_feed *feed = ctx;
    char *sql = sqlite3_mprintf("CREATE TABLE feed(%s)", feed->columns);
    int rc = sql ? sqlite3_declare_vtab(db, sql) : SQLITE_NOMEM;
    sqlite3_free(sql);
    if (rc != SQLITE_OK) {
        return rc;
    }
    struct feed_table *t = x_zalloc(sizeof(*t));
    t->feed = feed;
    *ret = &t->base;
    return SQLITE_OK;
}

static int feed_disconnect(sqlite3_vtab *t)
{
    free(t);
    return SQLITE_OK;
}

static int feed_best_index(sqlite3_vtab *t, sqlite3_index_info *info)
{
    (void)t;
    info->estimatedCost = 1000; // always read whole, in order
    return SQLITE_OK;
}

static int feed_open(sqlite3_vtab *t, sqlite3_vtab_cursor **ret)
{
    (void)t;
    struct feed_cursor *c = x_zalloc(sizeof(*c));
    *ret = &c->base;
    return SQLITE_OK;
}

static int feed_close(sqlite3_vtab_cursor *c)
{
    free(c);
    return SQLITE_OK;
}

static int feed_filter(sqlite3_vtab_cursor *c, int index, const char *index_name, int argc,
                       sqlite3_value **argv)
{
    (void)index, (void)index_name, (void)argc, (void)argv;
    ((struct feed_cursor *)c)->at = 0;
    return SQLITE_OK;
}

static int feed_next(sqlite3_vtab_cursor *c)
{
    ((struct feed_cursor *)c)->at++;
    return SQLITE_OK;
}

static int feed_eof(sqlite3_vtab_cursor *c)
{
    return ((struct feed_cursor *)c)->at >= feed_of(c)->n;
}

static int feed_column(sqlite3_vtab_cursor *c, sqlite3_context *to, int column)
{
    const struct sq_feed *feed = feed_of(c);
    feed->column(to, feed->rows + ((struct feed_cursor *)c)->at * feed->size, column);
    return SQLITE_OK;
}

static int feed_rowid(sqlite3_vtab_cursor *c, sqlite3_int64 *ret)
{
    *ret = (sqlite3_int64)((struct feed_cursor *)c)->at;
    return SQLITE_OK;
}

static const sqlite3_module feed_module = {
    .xConnect = feed_connect,
    .xBestIndex = feed_best_index,
    .xDisconnect = feed_disconnect,
    .xOpen = feed_open,
    .xClose = feed_close,
    .xFilter = feed_filter,
    .xNext = feed_next,
    .xEof = feed_eof,
    .xColumn = feed_column,
    .xRowid = feed_rowid,
};

int sq_feed_register(struct sq_conn *c, struct sq_feed *feed, struct error *err)
{
    int rc = sqlite3_create_module_v2(c->db, feed->name, &feed_module, feed, NULL);
    return rc == SQLITE_OK ? 0 : sq_fail(c, rc, err);
}

int sq_feed_run(struct sq_conn *c, struct sq_feed *feed, const void *rows, size_t n,
                const char *sql, struct error *err)
{
    sqlite3_stmt *stmt;
    int r = sq_statement(c, sql, &stmt, err);
    if (r < 0 || n == 0) {
        return r;
    }
    feed->rows = rows;
    feed->n = n;
    r = sq_run(c, stmt, err);
    feed->n = 0;
    return r;
}

void sq_give_str(sqlite3_context *to, struct str s)
{
    if (str_present(s)) {
        sqlite3_result_text64(to, s.p, s.n, SQLITE_STATIC, SQLITE_UTF8);
    } else {
        sqlite3_result_null(to);
    }
}
