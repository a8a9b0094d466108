// Storing rows of windows, hours and days: always all rows of one span of one shard at a time, in
// place of what was there.
#include "base/alloc.h"
#include "output/sqlite/sqlite.h"

#define ROW_COLUMNS                                                                                \
    "window_start, shard, n, place, kind, consumer, cost_nusd, cost_in_nusd, cost_out_nusd,"       \
    " prompt_tokens, completion_tokens, cached_prompt_tokens, requests, unpriced_requests,"        \
    " busy_ns, unpriced_ns, energy_j, final, revision, method"

static void row_column(sqlite3_context *to, const void *p, int column)
{
    const struct sq_new_row *n = p;
    const struct window_row *row = n->row;
    const int64_t integers[] = {
        row->window_start,
        n->shard,
        n->n,
        n->place,
        (int64_t)row->kind,
        n->consumer,
        row->cost_nusd,
        row->cost_in_nusd,
        row->cost_out_nusd,
        row->prompt_tokens,
        row->completion_tokens,
        row->cached_prompt_tokens,
        row->requests,
        row->unpriced_requests,
        row->busy_ns,
        row->unpriced_ns,
        0, // energy_j
        row->final,
        row->revision,
        (int64_t)row->method,
    };
    enum { ENERGY = 16 };
    if (column != ENERGY) {
        sqlite3_result_int64(to, integers[column]);
    } else if (row->has_energy) {
        sqlite3_result_double(to, row->energy_j);
    }
}

const struct sq_feed sq_window_feed = {
    .name = "new_rows",
    .columns = ROW_COLUMNS,
    .column = row_column,
    .size = sizeof(struct sq_new_row),
};

#define INSERT_SQL(table)                                                                          \
    "INSERT INTO " table "(" ROW_COLUMNS ") SELECT " ROW_COLUMNS " FROM new_rows"
#define DELETE_SQL(table) "DELETE FROM " table " WHERE window_start = ?1 AND shard = ?2"

static const char *const insert_sql[] = {
    [LEVEL_WINDOW] = INSERT_SQL("cost_window"),
    [LEVEL_HOUR] = INSERT_SQL("cost_hour"),
    [LEVEL_DAY] = INSERT_SQL("cost_day"),
};
static const char *const delete_sql[] = {
    [LEVEL_WINDOW] = DELETE_SQL("cost_window"),
    [LEVEL_HOUR] = DELETE_SQL("cost_hour"),
    [LEVEL_DAY] = DELETE_SQL("cost_day"),
};

static int delete_span(struct sq_store *s, enum window_level level, int64_t start, uint32_t shard,
                       struct error *err)
{
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, delete_sql[level], &stmt, err);
    if (r < 0) {
        return r;
    }
    (void)sqlite3_bind_int64(stmt, 1, start);
    (void)sqlite3_bind_int64(stmt, 2, shard);
    return sq_run(s->main, stmt, err);
}

static int find_dims(struct sq_store *s, struct sq_new_row *n, struct error *err)
{
    int r = sq_row_place_id(s, n->row, &n->place, err);
    return r < 0 ? r : sq_consumer_id(s, n->row->model, n->row->tenant, &n->consumer, err);
}

int sq_put_span(struct sq_store *s, enum window_level level, int64_t start, uint32_t shard,
                const struct window_row *rows, size_t n, struct error *err)
{
    const struct sq_span span = {level, start, shard};
    int r = delete_span(s, level, start, shard, err);
    if (r < 0 || n == 0) {
        return r < 0 || level == LEVEL_WINDOW ? r : sq_put_pack(s, &span, NULL, 0, err);
    }
    struct sq_new_row *fresh AUTO_FREE = x_array(n, sizeof(*fresh));
    for (size_t i = 0; r == 0 && i < n; i++) {
        fresh[i] = (struct sq_new_row){.row = &rows[i], .shard = shard, .n = (int64_t)i};
        r = find_dims(s, &fresh[i], err);
    }
    struct sq_feed *feed = &s->writer->rows;
    r = r < 0 ? r : sq_feed_run(s->main, feed, fresh, n, insert_sql[level], err);
    return r < 0 || level == LEVEL_WINDOW ? r : sq_put_pack(s, &span, fresh, n, err);
}

int sq_put_windows(struct sq_store *s, const struct store_write *w, struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->n_windows; i++) {
        const struct window_rows *rows = &w->windows[i];
        r = sq_put_span(s, LEVEL_WINDOW, rows->window_start, rows->shard, rows->rows, rows->n, err);
    }
    return r;
}
