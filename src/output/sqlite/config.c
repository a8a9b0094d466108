// What the store was told: settings and prices, and the number of shards. Small tables, read whole.
#include <errno.h>

#include "base/alloc.h"
#include "output/sqlite/sqlite.h"

// For those who add a price: a person waits for the answer.
static int undone(int r, struct error *err)
{
    bool explained = r == -EINVAL || r == -EBUSY || r == -EBADMSG;
    if (r < 0 && !explained && err) {
        error_set(err, r, "%s. Nothing was changed: run the same command again when that is mended",
                  err->msg);
    }
    return r;
}

static int count_commit(struct sq_store *s, struct error *err)
{
    return sq_exec(s->main, "UPDATE meta SET commits = commits + 1", err);
}

#define SETTING_COLUMNS                                                                            \
    "effective_from, window_ns, max_gap_ns, gpu_timeout_ns, horizon_ns, default_price_nusd,"       \
    " weight_in, weight_out, method"

static struct settings read_epoch(sqlite3_stmt *stmt)
{
    bool priced = sqlite3_column_type(stmt, 5) != SQLITE_NULL;
    return (struct settings){
        .effective_from = sq_i64(stmt, 0),
        .window_ns = sq_i64(stmt, 1),
        .max_gap_ns = sq_i64(stmt, 2),
        .gpu_timeout_ns = sq_i64(stmt, 3),
        .horizon_ns = sq_i64(stmt, 4),
        .default_price_nusd = priced ? sq_i64(stmt, 5) : PRICE_NONE,
        .weight_in = sqlite3_column_int(stmt, 6),
        .weight_out = sqlite3_column_int(stmt, 7),
        .method = (enum cost_method)sqlite3_column_int(stmt, 8),
    };
}

static int put_epoch(struct sq_store *s, const struct settings *e, int64_t added_at,
                     struct error *err)
{
    static const char sql[] = "INSERT OR REPLACE INTO setting(" SETTING_COLUMNS ", added_at)"
                              " VALUES (?1, ?2, ?3, ?4, ?5, nullif(?6, -1), ?7, ?8, ?9, ?10)";
    const int64_t values[] = {
        e->effective_from,     e->window_ns, e->max_gap_ns, e->gpu_timeout_ns,  e->horizon_ns,
        e->default_price_nusd, e->weight_in, e->weight_out, (int64_t)e->method, added_at,
    };
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, sql, &stmt, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        (void)sqlite3_bind_int64(stmt, (int)i + 1, values[i]);
    }
    return sq_run(s->main, stmt, err);
}

static int append_epoch(struct sq_store *s, const struct settings *e, int64_t added_at,
                        struct error *err)
{
    struct arena a = {0};
    struct settings_history h = {0};
    int r = sq_settings(&s->base, &a, &h, err);
    if (r == 0) {
        const struct settings *newest = h.n ? &h.epochs[h.n - 1] : NULL;
        r = store_check_epoch(s->name, newest, e, err);
    }
    arena_done(&a);
    r = r < 0 ? r : put_epoch(s, e, added_at, err);
    return r < 0 ? r : count_commit(s, err);
}

int sq_add_settings(struct store *base, const struct settings *e, int64_t added_at,
                    struct error *err)
{
    struct sq_store *s = sq_of(base);
    int r = sq_begin(s, err);
    return r < 0 ? r : sq_end(s, append_epoch(s, e, added_at, err), err);
}

int sq_settings(struct store *base, struct arena *a, struct settings_history *ret,
                struct error *err)
{
    static const char sql[] = "SELECT " SETTING_COLUMNS " FROM setting ORDER BY effective_from";
    struct sq_store *s = sq_of(base);
    struct settings *epochs AUTO_FREE = NULL;
    size_t n = 0, cap = 0;
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, sql, &stmt, err);
    while (r >= 0 && (r = sq_row(s->main, stmt, err)) > 0) {
        ARRAY_RESERVE(epochs, n, cap);
        epochs[n] = read_epoch(stmt);
        bool known = (unsigned)epochs[n].method <= METHOD_EQUAL;
        if (settings_check(&epochs[n++], NULL) < 0 || !known) {
            sq_reset(stmt);
            return sq_fail(s->main, SQLITE_CORRUPT, err);
        }
    }
    if (r < 0) {
        return r;
    }
    *ret = (struct settings_history){arena_alloc(a, n * sizeof(*epochs)), n};
    if (n > 0) {
        memcpy(ret->epochs, epochs, n * sizeof(*epochs));
    }
    return 0;
}

static int put_price(struct sq_store *s, const struct price_entry *e, struct error *err)
{
    static const char sql[] = "INSERT INTO price(effective_from, name, site, price_nusd_hour,"
                              " source, added_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, sql, &stmt, err);
    if (r < 0) {
        return r;
    }
    (void)sqlite3_bind_int64(stmt, 1, e->effective_from);
    sq_bind_str(stmt, 2, e->name);
    sq_bind_str(stmt, 3, e->site);
    (void)sqlite3_bind_int64(stmt, 4, e->price_nusd_hour);
    sq_bind_str(stmt, 5, e->source);
    (void)sqlite3_bind_int64(stmt, 6, e->added_at);
    r = sq_run(s->main, stmt, err);
    return r < 0 ? r : count_commit(s, err);
}

int sq_add_price(struct store *base, const struct price_entry *e, int64_t *ret_id,
                 struct error *err)
{
    struct sq_store *s = sq_of(base);
    int r = sq_begin(s, err);
    r = r < 0 ? r : sq_end(s, put_price(s, e, err), err);
    if (r == 0) {
        *ret_id = sqlite3_last_insert_rowid(s->main->db);
    }
    return undone(r, err);
}

static struct price_entry read_price(struct arena *a, sqlite3_stmt *stmt)
{
    return (struct price_entry){
        .id = sq_i64(stmt, 0),
        .effective_from = sq_i64(stmt, 1),
        .price_nusd_hour = sq_i64(stmt, 2),
        .added_at = sq_i64(stmt, 3),
        .name = arena_copy(a, sq_str(stmt, 4)),
        .site = arena_copy(a, sq_str(stmt, 5)),
        .source = arena_copy(a, sq_str(stmt, 6)),
    };
}

int sq_prices(struct store *base, struct arena *a, struct price_book *ret, struct error *err)
{
    static const char sql[] = "SELECT id, effective_from, price_nusd_hour, added_at, name, site,"
                              " source FROM price ORDER BY id";
    struct sq_store *s = sq_of(base);
    struct price_entry *entries AUTO_FREE = NULL;
    size_t n = 0, cap = 0;
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, sql, &stmt, err);
    while (r >= 0 && (r = sq_row(s->main, stmt, err)) > 0) {
        ARRAY_RESERVE(entries, n, cap);
        entries[n] = read_price(a, stmt);
        int64_t price = entries[n++].price_nusd_hour;
        if (price < 0 || price > RECORD_PRICE_MAX) {
            sq_reset(stmt);
            return sq_fail(s->main, SQLITE_CORRUPT, err);
        }
    }
    if (r < 0) {
        return r;
    }
    struct price_entry *copy = arena_alloc(a, n * sizeof(*copy));
    if (n > 0) {
        memcpy(copy, entries, n * sizeof(*copy));
    }
    *ret = (struct price_book){copy, n};
    return 0;
}

static int change_shards(struct sq_store *s, uint32_t n, struct error *err)
{
    struct sq_meta *m = &s->writer->meta;
    if (n != (uint32_t)m->n_shards && m->stored[0] + m->stored[1] > 0) {
        return error_set(err, -EBUSY, "%s: its records are in %u shards; that cannot change",
                         s->name, (unsigned)m->n_shards);
    }
    m->n_shards = n;
    return sq_save_meta(s, err);
}

int sq_set_shards(struct store *base, uint32_t n, struct error *err)
{
    struct sq_store *s = sq_of(base);
    int r = sq_begin(s, err);
    return r < 0 ? r : sq_end(s, change_shards(s, n, err), err);
}
