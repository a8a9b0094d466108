// Cursors. Each has a connection of its own, within one read transaction, so that what it sees
// stays as it was whatever is committed meanwhile, also by its own store. Connections are kept for
// the next cursor.
#include <stdlib.h>

#include "base/alloc.h"
#include "output/sqlite/sqlite.h"

static int take_conn(struct sq_store *s, struct sq_conn **ret, struct error *err)
{
    if (s->idle == NULL) {
        return sq_connect(s->path, s->name, s->read_mode, ret, err);
    }
    *ret = s->idle;
    s->idle = s->idle->next;
    return 0;
}

static void give_conn(struct sq_store *s, struct sq_conn *c)
{
    if (c == NULL) {
        return;
    }
    if (sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
        sq_disconnect(c);
        return;
    }
    c->next = s->idle;
    s->idle = c;
}

// A transaction's snapshot is taken by its first read.
static int begin_snapshot(struct sq_conn *c, struct error *err)
{
    int r = sq_exec(c, "BEGIN", err);
    return r < 0 ? r : sq_exec(c, "SELECT 1 FROM meta", err);
}

int sq_cursor_open(struct sq_store *s, struct sq_cursor **ret, struct error *err)
{
    struct sq_conn *conn = NULL;
    int r = take_conn(s, &conn, err);
    if (r < 0) {
        return r;
    }
    sq_shapes_trim(&conn->shapes);
    r = begin_snapshot(conn, err);
    if (r < 0) {
        sq_disconnect(conn);
        return r;
    }
    struct sq_cursor *c = x_zalloc(sizeof(*c));
    *c = (struct sq_cursor){.base = {.ops = s->base.ops}, .store = s, .conn = conn};
    *ret = c;
    return 0;
}

void sq_cursor_close(struct store_cursor *base)
{
    struct sq_cursor *c = (struct sq_cursor *)base;
    for (size_t i = 0; i < c->n_lanes; i++) {
        sqlite3_finalize(c->lanes[i].stmt);
    }
    if (c->rows) {
        sq_reset(c->rows);
    }
    give_conn(c->store, c->conn);
    free(c->lanes);
    free(c);
}
