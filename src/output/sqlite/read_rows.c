// Reading what is computed: rows of windows, hours and days, and the ledger of corrections; and
// dead letters and GPUs.
#include <stdlib.h>

#include "base/alloc.h"
#include "output/sqlite/sqlite.h"

#define SUM_COLUMNS                                                                                \
    "w.window_start, w.place, w.consumer, w.kind, w.cost_nusd, w.cost_in_nusd, w.cost_out_nusd,"   \
    " w.prompt_tokens, w.completion_tokens, w.cached_prompt_tokens, w.requests,"                   \
    " w.unpriced_requests, w.busy_ns, w.unpriced_ns,"
#define ROW_COLUMNS SUM_COLUMNS " w.energy_j, w.final, w.revision, w.method, w.shard"

#define ALL_SHARDS_FROM(table) MATCHING_FROM(table " w")
#define MATCHING_FROM(table)                                                                       \
    "SELECT " ROW_COLUMNS " FROM " table " WHERE w.window_start >= ?1 AND w.window_start < ?2"
#define IN_ORDER " ORDER BY w.window_start, w.shard, w.n"
#define ALL_SHARDS_SQL(table) ALL_SHARDS_FROM(table) IN_ORDER

// From one window to the next, so that the rows of other shards are never looked at. The rows come
// in the order in which `at` finds the windows.
#define ONE_SHARD_SQL(table)                                                                       \
    "WITH RECURSIVE at(t) AS ("                                                                    \
    "  SELECT min(window_start) FROM " table " WHERE window_start >= ?1 AND window_start < ?2"     \
    "  UNION ALL"                                                                                  \
    "  SELECT (SELECT min(window_start) FROM " table                                               \
    "          WHERE window_start > at.t AND window_start < ?2) FROM at WHERE at.t IS NOT NULL)"   \
    " SELECT " ROW_COLUMNS " FROM at CROSS JOIN " table " w"                                       \
    " WHERE w.window_start = at.t AND w.shard = ?3"

static const char *const all_sql[] = {
    [LEVEL_WINDOW] = ALL_SHARDS_SQL("cost_window"),
    [LEVEL_HOUR] = ALL_SHARDS_SQL("cost_hour"),
    [LEVEL_DAY] = ALL_SHARDS_SQL("cost_day"),
};
static const char *const one_sql[] = {
    [LEVEL_WINDOW] = ONE_SHARD_SQL("cost_window"),
    [LEVEL_HOUR] = ONE_SHARD_SQL("cost_hour"),
    [LEVEL_DAY] = ONE_SHARD_SQL("cost_day"),
};

static const char *rows_sql(const struct window_query *q)
{
    return q->shard < 0 ? all_sql[q->level] : one_sql[q->level];
}

static void bind_query(sqlite3_stmt *stmt, const struct window_query *q)
{
    (void)sqlite3_bind_int64(stmt, 1, q->from);
    (void)sqlite3_bind_int64(stmt, 2, q->to);
    if (q->shard >= 0) {
        (void)sqlite3_bind_int64(stmt, 3, q->shard);
    }
}

int sq_rows_statement(struct sq_conn *c, const struct window_query *q, sqlite3_stmt **ret,
                      struct error *err)
{
    int r = sq_statement(c, rows_sql(q), ret, err);
    if (r == 0) {
        bind_query(*ret, q);
    }
    return r;
}

void sq_read_numbers(sqlite3_stmt *stmt, struct window_row *row)
{
    row->window_start = sq_i64(stmt, 0);
    row->kind = (enum row_kind)sq_i64(stmt, 3);
    row->cost_nusd = sq_i64(stmt, 4);
    row->cost_in_nusd = sq_i64(stmt, 5);
    row->cost_out_nusd = sq_i64(stmt, 6);
    row->prompt_tokens = sq_i64(stmt, 7);
    row->completion_tokens = sq_i64(stmt, 8);
    row->cached_prompt_tokens = sq_i64(stmt, 9);
    row->requests = sq_i64(stmt, 10);
    row->unpriced_requests = sq_i64(stmt, 11);
    row->busy_ns = sq_i64(stmt, 12);
    row->unpriced_ns = sq_i64(stmt, 13);
    row->has_energy = sqlite3_column_type(stmt, 14) != SQLITE_NULL;
    row->energy_j = row->has_energy ? sqlite3_column_double(stmt, 14) : 0;
    row->final = sq_i64(stmt, 15) != 0;
    row->revision = sqlite3_column_int(stmt, 16);
    row->method = (enum cost_method)sq_i64(stmt, 17);
}

int sq_name_row(struct sq_conn *c, int64_t place_id, int64_t consumer_id, struct window_row *row,
                struct error *err)
{
    const struct sq_place *place;
    const struct sq_consumer *consumer;
    int r = sq_place(c, place_id, &place, err);
    r = r < 0 ? r : sq_consumer(c, consumer_id, &consumer, err);
    if (r < 0) {
        return r;
    }
    int32_t index = place->n_gpus == 1 ? place->gpus[0] : -1;
    row->gpu = (struct gpu_key){place->host, index, place->instance};
    row->site = place->site;
    row->model = consumer->model;
    row->tenant = consumer->tenant;
    row->place = place_id;
    row->consumer = consumer_id;
    return 0;
}

int sq_read_row(struct sq_conn *c, sqlite3_stmt *stmt, struct window_row *ret, struct error *err)
{
    *ret = (struct window_row){0};
    int r = sq_name_row(c, sq_i64(stmt, 1), sq_i64(stmt, 2), ret, err);
    if (r < 0) {
        return r;
    }
    sq_read_numbers(stmt, ret);
    bool known = (unsigned)ret->kind <= ROW_UNPLACED && (unsigned)ret->method <= METHOD_EQUAL;
    return known ? 0 : sq_fail(c, SQLITE_CORRUPT, err);
}

// A cursor over the rows of a statement whose first two parameters are the range.
static int open_range(struct store *base, const char *sql, int64_t from, int64_t to,
                      struct sq_cursor **ret, struct error *err)
{
    struct sq_cursor *c = NULL;
    int r = sq_cursor_open(sq_of(base), &c, err);
    if (r < 0) {
        return r;
    }
    r = sq_cursor_prepare(c, sql, &c->rows, err);
    if (r < 0) {
        sq_cursor_close(&c->base);
        return r;
    }
    (void)sqlite3_bind_int64(c->rows, 1, from);
    (void)sqlite3_bind_int64(c->rows, 2, to);
    *ret = c;
    return 0;
}

static int open_packed(struct store *base, const struct window_query *q, struct sq_cursor **ret,
                       struct error *err)
{
    struct sq_cursor *c = NULL;
    int r = sq_cursor_open(sq_of(base), &c, err);
    if (r < 0) {
        return r;
    }
    r = sq_packs_statement(c, q, err);
    if (r < 0) {
        sq_cursor_close(&c->base);
        return r;
    }
    *ret = c;
    return 0;
}

enum { WHO = 4 }; // the parameters that say whose

// Of all shards or one. only: the consumer, where it is one.
static void put_matching(struct buf *sql, const struct window_query *q, const struct store_match *m,
                         int64_t only)
{
    static const char *const from_sql[] = {
        [LEVEL_WINDOW] = MATCHING_FROM("cost_window w"),
        [LEVEL_HOUR] = MATCHING_FROM("cost_hour w INDEXED BY cost_hour_consumer"),
        [LEVEL_DAY] = MATCHING_FROM("cost_day w INDEXED BY cost_day_consumer"),
    };
    buf_cstr(sql, from_sql[q->level]);
    buf_cstr(sql, q->shard < 0 ? "" : " AND w.shard = ?3");
    if (only > 0) {
        buf_printf(sql, " AND w.consumer = ?%d", WHO);
    } else {
        sq_put_match(sql, "w.consumer", m, WHO);
    }
    buf_cstr(sql, IN_ORDER);
}

static int open_matching(struct store *base, const struct window_query *q,
                         const struct store_match *m, struct sq_cursor **ret, struct error *err)
{
    struct sq_cursor *c = NULL;
    struct buf sql;
    int64_t only = 0;
    int r = sq_cursor_open(sq_of(base), &c, err);
    if (r < 0) {
        return r;
    }
    buf_init(&sql, SQ_SQL_MAX);
    r = sq_only_consumer(c->conn, m, &only, err);
    if (r == 0) {
        put_matching(&sql, q, m, only);
        r = sq_cursor_prepare(c, buf_view(&sql).p, &c->rows, err);
    }
    buf_done(&sql);
    if (r < 0) {
        sq_cursor_close(&c->base);
        return r;
    }
    bind_query(c->rows, q);
    if (only > 0) {
        (void)sqlite3_bind_int64(c->rows, WHO, only);
    } else {
        sq_bind_match(c->rows, m, WHO);
    }
    *ret = c;
    return 0;
}

int sq_open_rows(struct store *base, const struct window_query *q, struct store_cursor **ret,
                 struct error *err)
{
    struct sq_cursor *c = NULL;
    int r = open_range(base, rows_sql(q), q->from, q->to, &c, err);
    if (r == 0) {
        bind_query(c->rows, q);
        *ret = &c->base;
    }
    return r;
}

int sq_windows(struct store *base, const struct window_query *q, const struct store_match *m,
               struct store_cursor **ret, struct error *err)
{
    struct sq_cursor *c = NULL;
    if (m == NULL && (q->shard >= 0 || q->level == LEVEL_WINDOW)) {
        return sq_open_rows(base, q, ret, err);
    }
    int r = m ? open_matching(base, q, m, &c, err) : open_packed(base, q, &c, err);
    if (r < 0) {
        return r;
    }
    *ret = &c->base;
    return 0;
}

// After the end a statement must not be stepped again: it would begin anew.
static int next_row(struct sq_cursor *c, struct error *err)
{
    int r = c->ended ? 0 : sq_row(c->conn, c->rows, err);
    c->ended |= r <= 0;
    return r;
}

int sq_windows_next(struct store_cursor *base, struct window_row *ret, struct error *err)
{
    struct sq_cursor *c = (struct sq_cursor *)base;
    bool within = c->pack.at < c->pack.end;
    int r = within ? 1 : next_row(c, err);
    if (r > 0 && c->packed && !within) {
        r = sq_open_pack(c, err);
        r = r < 0 ? r : 1;
    }
    if (r <= 0) {
        c->ended |= r < 0;
        return r;
    }
    sq_cursor_trim(c);
    r = c->packed ? sq_next_packed(c, ret, err) : sq_read_row(c->conn, c->rows, ret, err);
    c->ended |= r < 0;
    return r < 0 ? r : 1;
}

int sq_corrections(struct store *base, int64_t from, int64_t to, int64_t shard,
                   struct store_cursor **ret, struct error *err)
{
    // As sq_read_row() wants them, and what a row has not.
    static const char sql[] =
        "SELECT " SUM_COLUMNS " NULL, 1, w.revision, w.method, w.shard, w.n, w.settled_at, w.gone"
        " FROM cost_correction w WHERE w.window_start >= ?1 AND w.window_start < ?2"
        " AND (?3 < 0 OR w.shard = ?3) ORDER BY w.window_start";
    struct sq_cursor *c = NULL;
    int r = open_range(base, sql, from, to, &c, err);
    if (r < 0) {
        return r;
    }
    (void)sqlite3_bind_int64(c->rows, 3, shard);
    *ret = &c->base;
    return 0;
}

int sq_corrections_next(struct store_cursor *base, struct correction *ret, struct error *err)
{
    struct sq_cursor *c = (struct sq_cursor *)base;
    int r = sq_windows_next(base, &ret->row, err);
    if (r > 0) {
        ret->shard = (uint32_t)sq_i64(c->rows, 18);
        ret->n = (int32_t)sq_i64(c->rows, 19);
        ret->settled_at = sq_i64(c->rows, 20);
        ret->gone = sq_i64(c->rows, 21) != 0;
        ret->orphan = false; // rows and entries are of one transaction
    }
    return r;
}

int sq_dead_letters(struct store *base, int64_t from, int64_t to, struct store_cursor **ret,
                    struct error *err)
{
    static const char sql[] =
        "SELECT at, origin, position, reason, payload FROM dead_letter WHERE id IN"
        " (SELECT id FROM dead_letter WHERE at >= ?1 AND at < ?2) ORDER BY id";
    struct sq_cursor *c = NULL;
    int r = open_range(base, sql, from, to, &c, err);
    if (r == 0) {
        *ret = &c->base;
    }
    return r;
}

static struct str read_payload(sqlite3_stmt *stmt, int column)
{
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL) {
        return STR_NONE;
    }
    const char *p = sqlite3_column_blob(stmt, column); // NULL when empty
    return (struct str){p ? p : "", (size_t)sqlite3_column_bytes(stmt, column)};
}

int sq_dead_letters_next(struct store_cursor *base, struct dead_letter *ret, struct error *err)
{
    struct sq_cursor *c = (struct sq_cursor *)base;
    int r = next_row(c, err);
    if (r <= 0) {
        return r;
    }
    *ret = (struct dead_letter){
        .at = sq_i64(c->rows, 0),
        .origin = sq_str(c->rows, 1),
        .position = sq_i64(c->rows, 2),
        .reason = sq_str(c->rows, 3),
        .payload = read_payload(c->rows, 4),
    };
    return 1;
}

static int read_gpu(struct sq_conn *c, sqlite3_stmt *stmt, struct arena *a, struct gpu_info *ret,
                    struct error *err)
{
    const struct sq_device *d;
    int r = sq_device(c, sq_i64(stmt, 2), &d, err);
    if (r < 0) {
        return r;
    }
    *ret = (struct gpu_info){.first_seen = sq_i64(stmt, 0), .newest.ts = sq_i64(stmt, 1)};
    struct gpu_sample *g = &ret->newest;
    sq_set_device(g, d);
    sq_read_measures(stmt, 3, g);
    g->gpu.host = arena_copy(a, g->gpu.host);
    g->name = arena_copy(a, g->name);
    g->uuid = arena_copy(a, g->uuid);
    g->mig_profile = arena_copy(a, g->mig_profile);
    g->source = arena_copy(a, g->source);
    g->site = arena_copy(a, g->site);
    return 0;
}

int sq_gpus(struct store *base, struct arena *a, struct gpu_info **ret, size_t *ret_n,
            struct error *err)
{
    static const char sql[] =
        "SELECT first_seen, ts, device, utilization, mem_used_mb, mem_total_mb, power_w,"
        " temperature_c, sm_clock_mhz, energy_mj, price_nusd_hour FROM gpu"
        " ORDER BY host, gpu_index, gpu_instance";
    struct sq_store *s = sq_of(base);
    struct gpu_info *gpus AUTO_FREE = NULL;
    size_t n = 0, cap = 0;
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, sql, &stmt, err);
    while (r >= 0 && (r = sq_row(s->main, stmt, err)) > 0) {
        ARRAY_RESERVE(gpus, n, cap);
        r = read_gpu(s->main, stmt, a, &gpus[n++], err);
        if (r < 0) {
            sq_reset(stmt);
        }
    }
    if (r < 0) {
        return r;
    }
    *ret = arena_alloc(a, n * sizeof(**ret));
    if (n > 0) {
        memcpy(*ret, gpus, n * sizeof(**ret));
    }
    *ret_n = n;
    return 0;
}
