#include <stdlib.h>

#include "base/alloc.h"
#include "output/sqlite/sqlite.h"

struct sq_writer *sq_writer_new(int lock_fd)
{
    struct sq_writer *w = x_zalloc(sizeof(*w));
    w->lock_fd = lock_fd;
    w->rollup = rollup_new();
    sq_pack_init(&w->pack);
    for (size_t i = 0; i < SQ_N_DIMS; i++) {
        sq_dims_init(&w->dims[i]);
    }
    w->samples = sq_sample_feed;
    w->usages = sq_usage_feed;
    w->costs = sq_cost_feed;
    w->rows = sq_window_feed;
    return w;
}

void sq_writer_free(struct sq_writer *w)
{
    if (w == NULL) {
        return;
    }
    for (size_t i = 0; i < SQ_N_DIMS; i++) {
        sq_dims_done(&w->dims[i]);
    }
    rollup_free(w->rollup);
    buf_done(&w->pack);
    free(w->shards);
    free(w->fresh[RECORD_SAMPLE].v);
    free(w->fresh[RECORD_USAGE].v);
    free(w);
}

int sq_writer_prepare(struct sq_store *s, struct error *err)
{
    struct sq_writer *w = s->writer;
    struct sq_feed *const feeds[] = {&w->samples, &w->usages, &w->costs, &w->rows};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(feeds); i++) {
        r = sq_feed_register(s->main, feeds[i], err);
    }
    return r;
}

// What memory knows of a transaction that did not happen is not so.
static void forget(struct sq_store *s)
{
    sq_shapes_done(&s->main->shapes);
    if (s->writer) {
        s->writer->loaded = false;
        for (size_t i = 0; i < SQ_N_DIMS; i++) {
            sq_dims_forget(&s->writer->dims[i]);
        }
    }
}

static int roll_back(struct sq_store *s, int r)
{
    if (!sqlite3_get_autocommit(s->main->db)) { // some failures have rolled back by themselves
        (void)sqlite3_exec(s->main->db, "ROLLBACK", NULL, NULL, NULL);
    }
    forget(s);
    return r;
}

static int run_constant(struct sq_store *s, const char *sql, struct error *err)
{
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, sql, &stmt, err);
    return r < 0 ? r : sq_run(s->main, stmt, err);
}

int sq_begin(struct sq_store *s, struct error *err)
{
    int r = run_constant(s, "BEGIN IMMEDIATE", err);
    if (r < 0) {
        return r;
    }
    sq_shapes_trim(&s->main->shapes);
    r = s->writer && !s->writer->loaded ? sq_load_writer(s, err) : 0;
    return r < 0 ? roll_back(s, r) : 0;
}

int sq_end(struct sq_store *s, int r, struct error *err)
{
    r = r < 0 ? r : run_constant(s, "COMMIT", err);
    return r < 0 ? roll_back(s, r) : 0;
}

static int put_letters(struct sq_store *s, const struct store_write *w, struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->n_dead_letters; i++) {
        r = sq_put_letter(s, &w->dead_letters[i], err);
    }
    return r;
}

static int put_all(struct sq_store *s, struct store_write *w, struct error *err)
{
    int r = sq_put_records(s, w, err);
    r = r < 0 ? r : put_letters(s, w, err);
    r = r < 0 ? r : sq_put_positions(s, w, err);
    r = r < 0 ? r : sq_put_corrections(s, w, err);
    r = r < 0 ? r : sq_put_windows(s, w, err);
    r = r < 0 ? r : sq_put_costs(s, w, err);
    r = r < 0 ? r : sq_put_progress(s, w, err);
    return r < 0 ? r : sq_save_meta(s, err);
}

int sq_commit(struct store *base, struct store_write *w, struct error *err)
{
    struct sq_store *s = sq_of(base);
    int r = sq_begin(s, err);
    return r < 0 ? r : sq_end(s, put_all(s, w, err), err);
}
