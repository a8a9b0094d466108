#include "output/ledger.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/time.h"
#include "output/store_impl.h"

static int64_t month_of(int64_t t, int later)
{
    struct civil at = time_civil(t);
    at = (struct civil){.year = at.year, .month = at.month + later, .day = 1};
    if (at.month > 12) {
        at.month = 1;
        at.year++;
    }
    return time_from_civil(at);
}

int64_t billing_month(int64_t t)
{
    return month_of(t, 0);
}

int64_t billing_month_end(int64_t t)
{
    return month_of(t, 1);
}

bool correction_is_empty(const struct correction *c)
{
    const struct window_row *r = &c->row;
    return (r->cost_nusd | r->cost_in_nusd | r->cost_out_nusd | r->prompt_tokens |
            r->completion_tokens | r->cached_prompt_tokens | r->requests | r->unpriced_requests |
            r->busy_ns | r->unpriced_ns) == 0;
}

void ledger_done(struct ledger *l)
{
    free(l->v);
    arena_done(&l->arena);
    *l = (struct ledger){0};
}

// One window: what is stored of it, what replaces that, and what the ledger says already.
struct window {
    const struct window_rows *fresh;
    struct window_row *old;
    size_t n_old, cap_old;
    struct correction *past;
    size_t n_past, cap_past;
    bool open; // some row was not final
};

static void window_done(struct window *w)
{
    free(w->old);
    free(w->past);
}

static struct window_row keep(struct arena *a, const struct window_row *row)
{
    struct window_row copy = *row;
    copy.gpu.host = arena_copy(a, row->gpu.host);
    copy.site = arena_copy(a, row->site);
    copy.model = arena_copy(a, row->model);
    copy.tenant = arena_copy(a, row->tenant);
    return copy;
}

static int read_old(struct ledger *l, struct store *s, struct window *w, struct error *err)
{
    int64_t start = w->fresh->window_start;
    struct window_query q = {LEVEL_WINDOW, start, start + 1, w->fresh->shard};
    struct store_cursor *c;
    struct window_row row;
    int r = s->ops->windows(s, &q, NULL, &c, err);
    if (r < 0) {
        return r;
    }
    while ((r = c->ops->windows_next(c, &row, err)) > 0) {
        ARRAY_RESERVE(w->old, w->n_old, w->cap_old);
        w->old[w->n_old++] = keep(&l->arena, &row);
        w->open |= !row.final;
    }
    c->ops->cursor_close(c);
    return r;
}

static int read_past(struct ledger *l, struct store *s, struct window *w, struct error *err)
{
    int64_t start = w->fresh->window_start;
    struct store_cursor *c;
    struct correction one;
    int r = s->ops->corrections(s, start, start + 1, &c, err);
    if (r < 0) {
        return r;
    }
    while ((r = c->ops->corrections_next(c, &one, err)) > 0) {
        if (one.shard == w->fresh->shard) {
            ARRAY_RESERVE(w->past, w->n_past, w->cap_past);
            w->past[w->n_past] = one;
            w->past[w->n_past++].row = keep(&l->arena, &one.row);
        }
    }
    c->ops->cursor_close(c);
    return r;
}

// rows are in canonical order.
static const struct window_row *find(const struct window_row *rows, size_t n,
                                     const struct window_row *key)
{
    size_t low = 0;
    while (low < n) {
        size_t mid = low + (n - low) / 2;
        int c = window_row_cmp(&rows[mid], key);
        if (c == 0) {
            return &rows[mid];
        }
        low = c < 0 ? mid + 1 : low;
        n = c < 0 ? n : mid;
    }
    return NULL;
}

static const struct correction *last_of(const struct window *w, const struct window_row *key)
{
    const struct correction *last = NULL;
    for (size_t i = 0; i < w->n_past; i++) {
        bool own = window_row_cmp(&w->past[i].row, key) == 0;
        last = own && (last == NULL || w->past[i].n > last->n) ? &w->past[i] : last;
    }
    return last;
}

// Whether the row that an entry tells of was written after it.
static bool followed(const struct correction *c, const struct window_row *stored)
{
    return c->gone ? stored == NULL : stored != NULL && stored->revision >= c->row.revision;
}

static struct window_row difference(const struct window_row *fresh, const struct window_row *old)
{
    static const struct window_row nothing = {0};
    struct window_row d = fresh ? *fresh : *old;
    const struct window_row *a = fresh ? fresh : &nothing, *b = old ? old : &nothing;
    d.cost_nusd = a->cost_nusd - b->cost_nusd;
    d.cost_in_nusd = a->cost_in_nusd - b->cost_in_nusd;
    d.cost_out_nusd = a->cost_out_nusd - b->cost_out_nusd;
    d.prompt_tokens = a->prompt_tokens - b->prompt_tokens;
    d.completion_tokens = a->completion_tokens - b->completion_tokens;
    d.cached_prompt_tokens = a->cached_prompt_tokens - b->cached_prompt_tokens;
    d.requests = a->requests - b->requests;
    d.unpriced_requests = a->unpriced_requests - b->unpriced_requests;
    d.busy_ns = a->busy_ns - b->busy_ns;
    d.unpriced_ns = a->unpriced_ns - b->unpriced_ns;
    d.energy_j = 0;
    d.has_energy = false;
    d.final = true;
    return d;
}

// One row's entry: behind its last one, or over that where the row never followed.
static void add_entry(struct ledger *l, const struct window *w, const struct window_row *fresh,
                      const struct window_row *old, const struct window_row *key, int64_t now)
{
    const struct correction *last = last_of(w, key);
    bool orphan = last && !followed(last, old);
    struct correction c = {.settled_at = now, .shard = w->fresh->shard, .gone = fresh == NULL};
    if (fresh || old) {
        c.row = difference(fresh, old);
    } else { // neither was there nor is to be: the entry was for nothing
        c.row = difference(key, key);
    }
    c.n = last ? last->n + !orphan : 0;
    if (orphan) { // the same key, to the last text
        c.row.site = last->row.site;
    }
    if (orphan || !correction_is_empty(&c)) {
        ARRAY_RESERVE(l->v, l->n, l->cap);
        l->v[l->n] = c;
        l->v[l->n++].row = keep(&l->arena, &c.row);
    }
}

static void compare(struct ledger *l, const struct window *w, int64_t now)
{
    const struct window_rows *f = w->fresh;
    for (size_t i = 0; i < f->n; i++) {
        add_entry(l, w, &f->rows[i], find(w->old, w->n_old, &f->rows[i]), &f->rows[i], now);
    }
    for (size_t i = 0; i < w->n_old; i++) {
        if (find(f->rows, f->n, &w->old[i]) == NULL) {
            add_entry(l, w, NULL, &w->old[i], &w->old[i], now);
        }
    }
    for (size_t i = 0; i < w->n_past; i++) {
        const struct window_row *key = &w->past[i].row;
        bool other = find(f->rows, f->n, key) || find(w->old, w->n_old, key);
        if (!other && &w->past[i] == last_of(w, key)) {
            add_entry(l, w, NULL, NULL, key, now);
        }
    }
}

static int settle(struct ledger *l, struct store *s, const struct window_rows *rows, int64_t now,
                  struct error *err)
{
    struct window w = {.fresh = rows};
    int r = read_old(l, s, &w, err);
    r = r < 0 ? r : read_past(l, s, &w, err);
    if (r == 0 && !w.open) {
        compare(l, &w, now);
    }
    window_done(&w);
    return r;
}

// Of several of one window the last holds.
static bool superseded(const struct store_write *w, size_t at)
{
    for (size_t i = at + 1; i < w->n_windows; i++) {
        if (w->windows[i].window_start == w->windows[at].window_start &&
            w->windows[i].shard == w->windows[at].shard) {
            return true;
        }
    }
    return false;
}

int ledger_make(struct ledger *l, struct store *s, const struct store_write *w, int64_t now,
                struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->n_windows; i++) {
        const struct window_rows *rows = &w->windows[i];
        if (rows->settled && billing_month_end(rows->window_start) <= now && !superseded(w, i)) {
            r = settle(l, s, rows, now, err);
        }
    }
    return r;
}
