// Whose rows: model and tenant stand in `consumer` once, so a row is judged by its number.
#include "output/sqlite/sqlite.h"

static int put_list(struct buf *b, const char *column, const struct str_list *l, int at)
{
    bool absent = false;
    buf_printf(b, " AND (%s IN (", column);
    for (size_t i = 0; i < l->n; i++) {
        absent |= !str_present(l->v[i]);
        buf_printf(b, "%s?%d", i ? "," : "", at++);
    }
    buf_printf(b, ")%s%s%s)", absent ? " OR " : "", absent ? column : "", absent ? " IS NULL" : "");
    return at;
}

void sq_put_match(struct buf *b, const char *column, const struct store_match *m, int first)
{
    buf_printf(b, " AND %s IN (SELECT id FROM consumer WHERE true", column);
    if (m->models.n > 0) {
        first = put_list(b, "model", &m->models, first);
    }
    if (m->tenants.n > 0) {
        (void)put_list(b, "tenant", &m->tenants, first);
    }
    buf_char(b, ')');
}

void sq_bind_match(sqlite3_stmt *stmt, const struct store_match *m, int first)
{
    for (size_t i = 0; m && i < m->models.n; i++) {
        sq_bind_str(stmt, first++, m->models.v[i]);
    }
    for (size_t i = 0; m && i < m->tenants.n; i++) {
        sq_bind_str(stmt, first++, m->tenants.v[i]);
    }
}

int sq_only_consumer(struct sq_conn *c, const struct store_match *m, int64_t *ret,
                     struct error *err)
{
    struct buf sql;
    sqlite3_stmt *stmt = NULL;
    buf_init(&sql, SQ_SQL_MAX);
    buf_cstr(&sql, "SELECT count(*), max(id) FROM consumer WHERE true");
    sq_put_match(&sql, "id", m, 1);
    *ret = 0;
    int r = sq_prepare(c, buf_view(&sql).p, &stmt, err);
    if (r == 0) {
        sq_bind_match(stmt, m, 1);
        r = sq_row(c, stmt, err);
        *ret = r > 0 && sq_i64(stmt, 0) == 1 ? sq_i64(stmt, 1) : 0;
        sq_spare(c, stmt);
    }
    buf_done(&sql);
    return MIN(r, 0);
}
