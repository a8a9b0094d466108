#include "pipeline/reroll.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/time.h"

struct first_window {
    int64_t start;
    struct window_row *rows;
    size_t n, cap;
    struct arena texts;
};

static void keep_row(struct first_window *w, const struct window_row *row)
{
    ARRAY_RESERVE(w->rows, w->n, w->cap);
    struct window_row *copy = &w->rows[w->n++];
    *copy = *row;
    copy->gpu.host = arena_copy(&w->texts, row->gpu.host);
    copy->site = arena_copy(&w->texts, row->site);
    copy->model = arena_copy(&w->texts, row->model);
    copy->tenant = arena_copy(&w->texts, row->tenant);
}

static int read_first(struct store *s, const struct window_query *q, struct first_window *w,
                      struct error *err)
{
    struct store_cursor *cursor = NULL;
    struct window_row row;
    int r = store_windows(s, q, &cursor, err);
    w->start = q->from;
    while (r >= 0 && (r = store_windows_next(cursor, &row, err)) > 0) {
        if (w->n > 0 && row.window_start != w->start) {
            break;
        }
        w->start = row.window_start;
        keep_row(w, &row);
    }
    store_cursor_close(cursor);
    return MIN(r, 0);
}

int roll_up_again(struct store *s, uint32_t shard, int64_t from, int64_t to, struct error *err)
{
    const struct window_query q = {LEVEL_WINDOW, from, to, shard};
    struct first_window w = {0};
    int r = read_first(s, &q, &w, err);
    if (r == 0) {
        const struct window_rows rows = {
            .window_start = w.start, .shard = shard, .rows = w.rows, .n = w.n};
        struct store_write write = {.windows = &rows, .n_windows = 1};
        r = store_commit(s, &write, err);
    }
    free(w.rows);
    arena_done(&w.texts);
    return r;
}

// Of none that rows can be of there is nothing to sum up.
void rerolls_add(struct rerolls *r, const struct store_copy *copy)
{
    int64_t length = copy->level == LEVEL_HOUR ? NS_PER_HOUR : NS_PER_DAY;
    bool may_be = copy->shard >= 0 && copy->shard <= UINT32_MAX && copy->start >= 0 &&
                  copy->start <= TIME_MAX && copy->start % length == 0;
    if (copy->fault == COPY_DIFFERENT && may_be) {
        ARRAY_RESERVE(r->v, r->n, r->cap);
        r->v[r->n++] = (struct reroll){copy->start, copy->start + length, (uint32_t)copy->shard};
    }
}

int rerolls_run(const struct rerolls *r, struct store *s, struct error *err)
{
    int failed = 0;
    for (size_t i = 0; failed == 0 && i < r->n; i++) {
        failed = roll_up_again(s, r->v[i].shard, r->v[i].from, r->v[i].to, err);
    }
    return failed;
}

void rerolls_done(struct rerolls *r)
{
    free(r->v);
    *r = (struct rerolls){0};
}
