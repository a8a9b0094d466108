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
