// Cursors. Each has a connection of its own, within one read transaction, so that what it sees
// stays as it was whatever is committed meanwhile, also by its own store. Connections are kept for
// the next cursor. While the store is held all cursors share its main connection and snapshot.
#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "output/sqlite/sqlite.h"

static int take_conn(struct sq_store *s, struct sq_conn **ret, struct error *err)
{
    if (s->base.held) {
        *ret = s->main;
        return 0;
    }
    if (s->idle == NULL) {
        return sq_connect(s->path, s->name, s->read_mode, ret, err);
    }
    *ret = s->idle;
    s->idle = s->idle->next;
    return 0;
}

static void give_conn(struct sq_store *s, struct sq_conn *c)
{
    if (c == s->main) {
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

static int open_snapshot(struct sq_store *s, struct sq_conn **ret, struct error *err)
{
    struct sq_conn *conn = NULL;
    int r = take_conn(s, &conn, err);
    if (r < 0 || conn == s->main) {
        *ret = conn;
        return r;
    }
    r = begin_snapshot(conn, err);
    if (r < 0) {
        sq_disconnect(conn);
        return r;
    }
    *ret = conn;
    return 0;
}

int sq_cursor_open(struct sq_store *s, struct sq_cursor **ret, struct error *err)
{
    struct sq_conn *conn = NULL;
    int r = sq_check_rest(s, err);
    r = r < 0 ? r : open_snapshot(s, &conn, err);
    if (r < 0) {
        return r;
    }
    conn->cursors++;
    struct sq_cursor *c = x_zalloc(sizeof(*c));
    *c = (struct sq_cursor){.base = {.ops = s->base.ops}, .store = s, .conn = conn};
    *ret = c;
    return 0;
}

int sq_cursor_prepare(struct sq_cursor *c, const char *sql, sqlite3_stmt **ret, struct error *err)
{
    return sq_prepare(c->conn, sql, ret, err);
}

void sq_cursor_trim(struct sq_cursor *c)
{
    if (c->conn->cursors == 1) {
        sq_shapes_trim(&c->conn->shapes);
    }
}

void sq_cursor_close(struct store_cursor *base)
{
    struct sq_cursor *c = (struct sq_cursor *)base;
    for (size_t i = 0; i < c->n_lanes; i++) {
        sq_spare(c->conn, c->lanes[i].stmt);
    }
    sq_spare(c->conn, c->rows);
    c->conn->cursors--;
    give_conn(c->store, c->conn);
    free(c->lanes);
    free(c);
}

int sq_hold(struct store *base, struct error *err)
{
    struct sq_store *s = sq_of(base);
    int r = begin_snapshot(s->main, err);
    if (r < 0) {
        (void)sqlite3_exec(s->main->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return r;
}

void sq_release(struct store *base)
{
    struct sq_conn *c = sq_of(base)->main;
    assert(c->cursors == 0);
    (void)sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL); // it only read
}
