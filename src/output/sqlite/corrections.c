// Writing the ledger of corrections (see output/corrections.h); read_rows.c reads it.
#include "output/sqlite/sqlite.h"

static void bind_row(sqlite3_stmt *stmt, const struct correction *c, int64_t place,
                     int64_t consumer)
{
    const struct window_row *row = &c->row;
    const int64_t values[] = {
        row->window_start,
        c->shard,
        place,
        (int64_t)row->kind,
        consumer,
        c->n,
        c->settled_at,
        c->gone,
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
        row->revision,
        (int64_t)row->method,
    };
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        (void)sqlite3_bind_int64(stmt, (int)i + 1, values[i]);
    }
}

static int put(struct sq_store *s, const struct correction *c, struct error *err)
{
    static const char sql[] =
        "INSERT OR REPLACE INTO cost_correction(window_start, shard, place, kind, consumer, n,"
        " settled_at, gone, cost_nusd, cost_in_nusd, cost_out_nusd, prompt_tokens,"
        " completion_tokens, cached_prompt_tokens, requests, unpriced_requests, busy_ns,"
        " unpriced_ns, revision, method) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
        " ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)";
    int64_t place, consumer;
    sqlite3_stmt *stmt;
    int r = sq_row_place_id(s, &c->row, &place, err);
    r = r < 0 ? r : sq_consumer_id(s, c->row.model, c->row.tenant, &consumer, err);
    r = r < 0 ? r : sq_statement(s->main, sql, &stmt, err);
    if (r < 0) {
        return r;
    }
    bind_row(stmt, c, place, consumer);
    return sq_run(s->main, stmt, err);
}

int sq_put_corrections(struct sq_store *s, const struct store_write *w, struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->n_corrections; i++) {
        r = put(s, &w->corrections[i], err);
    }
    return r;
}
