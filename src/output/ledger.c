#include "output/ledger.h"

#include <stdlib.h>
#include <string.h>

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

// What the ledger counts of a row.
static const size_t sums[] = {
    offsetof(struct window_row, cost_nusd),
    offsetof(struct window_row, cost_in_nusd),
    offsetof(struct window_row, cost_out_nusd),
    offsetof(struct window_row, prompt_tokens),
    offsetof(struct window_row, completion_tokens),
    offsetof(struct window_row, cached_prompt_tokens),
    offsetof(struct window_row, requests),
    offsetof(struct window_row, unpriced_requests),
    offsetof(struct window_row, busy_ns),
    offsetof(struct window_row, unpriced_ns),
};

static int64_t sum_of(const struct window_row *row, size_t i)
{
    int64_t v = 0;
    if (row) {
        memcpy(&v, (const char *)row + sums[i], sizeof(v));
    }
    return v;
}

static void set_sum(struct window_row *row, size_t i, int64_t v)
{
    memcpy((char *)row + sums[i], &v, sizeof(v));
}

bool ledger_same(const struct window_row *a, const struct window_row *b)
{
    for (size_t i = 0; i < ARRAY_LEN(sums); i++) {
        if (sum_of(a, i) != sum_of(b, i)) {
            return false;
        }
    }
    return true;
}

bool correction_is_empty(const struct correction *c)
{
    return ledger_same(&c->row, NULL);
}

bool correction_followed(const struct correction *c, const struct window_row *stored)
{
    if (c->n == CORRECTION_OPENING) {
        return true;
    }
    return c->gone ? stored == NULL : stored != NULL && stored->revision >= c->row.revision;
}

void ledger_done(struct ledger *l)
{
    free(l->v);
    arena_done(&l->arena);
    *l = (struct ledger){0};
}

// One window: what is stored of it, and what the ledger says already.
struct window {
    int64_t start;
    uint32_t shard;
    struct arena *arena; // of texts
    struct window_row *old;
    size_t n_old, cap_old;
    struct correction *past; // sorted by row, then n
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

static int read_old(struct window *w, struct store *s, struct error *err)
{
    struct window_query q = {LEVEL_WINDOW, w->start, w->start + 1, w->shard};
    struct store_cursor *c;
    struct window_row row;
    int r = s->ops->windows(s, &q, NULL, &c, err);
    if (r < 0) {
        return r;
    }
    while ((r = c->ops->windows_next(c, &row, err)) > 0) {
        ARRAY_RESERVE(w->old, w->n_old, w->cap_old);
        w->old[w->n_old++] = keep(w->arena, &row);
        w->open |= !row.final;
    }
    c->ops->cursor_close(c);
    return r;
}

static void add_past(struct window *w, const struct correction *c)
{
    ARRAY_RESERVE(w->past, w->n_past, w->cap_past);
    w->past[w->n_past] = *c;
    w->past[w->n_past++].row = keep(w->arena, &c->row);
}

static int by_row(const void *a, const void *b)
{
    const struct correction *x = a, *y = b;
    int c = window_row_cmp(&x->row, &y->row);
    return c ? c : (x->n > y->n) - (x->n < y->n);
}

static void sort_past(struct window *w)
{
    if (w->n_past > 0) {
        qsort(w->past, w->n_past, sizeof(*w->past), by_row);
    }
}

static int read_past(struct window *w, struct store *s, struct error *err)
{
    struct store_cursor *c;
    struct correction one;
    int r = s->ops->corrections(s, w->start, w->start + 1, w->shard, &c, err);
    if (r < 0) {
        return r;
    }
    while ((r = c->ops->corrections_next(c, &one, err)) > 0) {
        add_past(w, &one);
    }
    c->ops->cursor_close(c);
    sort_past(w);
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

// All entries of one row.
struct account {
    const struct correction *v;
    size_t n;
};

static struct account account_at(const struct window *w, size_t at)
{
    size_t end = at;
    while (end < w->n_past && window_row_cmp(&w->past[at].row, &w->past[end].row) == 0) {
        end++;
    }
    return end > at ? (struct account){w->past + at, end - at} : (struct account){0};
}

static struct account account_of(const struct window *w, const struct window_row *key)
{
    size_t low = 0, high = w->n_past;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        bool before = window_row_cmp(&w->past[mid].row, key) < 0;
        low = before ? mid + 1 : low;
        high = before ? high : mid;
    }
    struct account a = account_at(w, low);
    return a.n > 0 && window_row_cmp(&a.v->row, key) == 0 ? a : (struct account){0};
}

// How many of the entries hold: all but those at the end whose row did not follow.
static size_t held(const struct account *a, const struct window_row *stored)
{
    size_t n = a->n;
    while (n > 0 && !correction_followed(&a->v[n - 1], stored)) {
        n--;
    }
    return n;
}

// What the first n entries say of a row, and its site; false: they do not say from where it began.
static bool balance(const struct account *a, size_t n, struct window_row *ret)
{
    if (n == 0 || a->v[0].n != CORRECTION_OPENING) {
        return false;
    }
    *ret = a->v[0].row;
    for (size_t i = 1; i < n; i++) {
        for (size_t k = 0; k < ARRAY_LEN(sums); k++) {
            set_sum(ret, k, sum_of(ret, k) + sum_of(&a->v[i].row, k));
        }
        ret->site = a->v[i].row.site;
    }
    return true;
}

// As `like`, with the sums of a - b; either may be NULL.
static struct window_row difference(const struct window_row *like, const struct window_row *a,
                                    const struct window_row *b)
{
    struct window_row d = *like;
    for (size_t i = 0; i < ARRAY_LEN(sums); i++) {
        set_sum(&d, i, sum_of(a, i) - sum_of(b, i));
    }
    d.energy_j = 0;
    d.has_energy = false;
    d.final = true;
    return d;
}

// ---- what a commit adds --------------------------------------------------------------------

static void add_entry(struct ledger *l, const struct correction *c)
{
    ARRAY_RESERVE(l->v, l->n, l->cap);
    l->v[l->n] = *c;
    l->v[l->n++].row = keep(&l->arena, &c->row);
}

// A row on its way from what was told of it to what replaces that; NULL: there is none.
struct change {
    const struct window_row *key, *told, *fresh;
    struct correction next; // but for its row
    bool first;             // what was told is to be written before it
};

static void open_account(struct ledger *l, const struct change *c)
{
    struct correction o = c->next;
    o.n = CORRECTION_OPENING;
    o.gone = false;
    o.row = difference(c->told ? c->told : c->key, c->told, NULL);
    o.row.revision = c->told ? c->told->revision : 0;
    add_entry(l, &o);
}

static void add_difference(struct ledger *l, struct change *c, const struct window_row *like,
                           const struct window_row *a, const struct window_row *b)
{
    if (c->first) {
        open_account(l, c);
        c->first = false;
    }
    c->next.row = difference(like, a, b);
    c->next.row.revision = c->fresh ? c->fresh->revision : c->key->revision;
    add_entry(l, &c->next);
    c->next.n++;
}

// One entry; of a row that is of another site now two: taken from the one, given to the other.
static void add_differences(struct ledger *l, struct change *c)
{
    bool moved = c->told && c->fresh && !str_eq(c->told->site, c->fresh->site);
    if (moved && !ledger_same(c->told, NULL)) {
        add_difference(l, c, c->told, NULL, c->told);
        add_difference(l, c, c->fresh, c->fresh, NULL);
    } else if (!ledger_same(c->fresh, c->told)) {
        const struct window_row *like = c->fresh ? c->fresh : c->told;
        add_difference(l, c, like, c->fresh, c->told);
    }
}

// One row's entries: behind those that hold, over those whose row never followed.
static void add_change(struct ledger *l, const struct window *w, const struct window_row *fresh,
                       const struct window_row *key, int64_t now)
{
    const struct window_row *old = find(w->old, w->n_old, key);
    struct account a = account_of(w, key);
    size_t n = held(&a, old);
    struct window_row sum;
    struct change c = {
        .key = key,
        .told = balance(&a, n, &sum) ? &sum : old,
        .fresh = fresh,
        .next = {.settled_at = now, .shard = w->shard, .gone = fresh == NULL},
        .first = a.n == 0,
    };
    c.next.n = n > 0 ? a.v[n - 1].n + 1 : 0;
    add_differences(l, &c);
    while (n < a.n && c.next.n <= a.v[a.n - 1].n) { // nothing is to be left of these
        add_difference(l, &c, key, NULL, NULL);
    }
}

static void compare(struct ledger *l, const struct window *w, const struct window_rows *f,
                    int64_t now)
{
    for (size_t i = 0; i < f->n; i++) {
        add_change(l, w, &f->rows[i], &f->rows[i], now);
    }
    for (size_t i = 0; i < w->n_old; i++) {
        if (find(f->rows, f->n, &w->old[i]) == NULL) {
            add_change(l, w, NULL, &w->old[i], now);
        }
    }
    for (size_t i = 0; i < w->n_past; i += account_at(w, i).n) {
        const struct window_row *key = &w->past[i].row;
        if (!find(f->rows, f->n, key) && !find(w->old, w->n_old, key)) {
            add_change(l, w, NULL, key, now);
        }
    }
}

static int settle(struct ledger *l, struct store *s, const struct window_rows *rows, int64_t now,
                  struct error *err)
{
    struct window w = {.start = rows->window_start, .shard = rows->shard, .arena = &l->arena};
    int r = read_old(&w, s, err);
    r = r < 0 ? r : read_past(&w, s, err);
    if (r == 0 && !w.open) {
        compare(l, &w, rows, now);
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

// Whether its hour is rolled up no more, as rows of it were expired; see corrections.h. Shards
// expire together, so that the newest of all will do.
static int is_expired(struct store *s, struct store_info *info, const struct window_rows *rows,
                      bool *ret, struct error *err)
{
    int r = info->n_shards > 0 ? 0 : s->ops->info(s, info, err); // once a commit
    *ret = r == 0 && time_floor(rows->window_start, NS_PER_HOUR) < info->windows_from;
    return r;
}

int ledger_make(struct ledger *l, struct store *s, const struct store_write *w, int64_t now,
                struct error *err)
{
    struct store_info info = {0};
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->n_windows; i++) {
        const struct window_rows *rows = &w->windows[i];
        bool expired;
        if (!rows->settled || billing_month_end(rows->window_start) > now || superseded(w, i)) {
            continue;
        }
        r = is_expired(s, &info, rows, &expired, err);
        if (r == 0 && !expired) {
            r = settle(l, s, rows, now, err);
        }
    }
    return r;
}

// ---- whether it adds up --------------------------------------------------------------------

struct check {
    void (*f)(void *ctx, const struct ledger_row *row);
    void *ctx;
    struct store *store;
    struct arena arena;
    struct window window;
};

static int check_window(struct check *c, struct error *err)
{
    struct window *w = &c->window;
    int r = w->n_past > 0 ? read_old(w, c->store, err) : 0;
    sort_past(w);
    for (size_t i = 0, n; r == 0 && i < w->n_past; i += n) {
        struct account a = account_at(w, i);
        struct window_row told;
        const struct window_row *old = find(w->old, w->n_old, &a.v->row);
        bool opened = balance(&a, held(&a, old), &told);
        c->f(c->ctx, &(struct ledger_row){&a.v->row, old, opened ? &told : NULL});
        n = a.n;
    }
    w->n_old = w->n_past = 0;
    arena_reset(&c->arena);
    return r;
}

int store_each_corrected(struct store *s, int64_t from, int64_t to, uint32_t shard,
                         void (*f)(void *ctx, const struct ledger_row *row), void *ctx,
                         struct error *err)
{
    struct check c = {.f = f, .ctx = ctx, .store = s};
    struct store_cursor *cursor;
    struct correction one;
    c.window = (struct window){.shard = shard, .arena = &c.arena};
    int r = s->ops->corrections(s, from, to, shard, &cursor, err);
    if (r < 0) {
        return r;
    }
    while (r >= 0 && (r = cursor->ops->corrections_next(cursor, &one, err)) > 0) {
        if (c.window.start != one.row.window_start) {
            r = check_window(&c, err);
            c.window.start = one.row.window_start;
        }
        add_past(&c.window, &one);
    }
    cursor->ops->cursor_close(cursor);
    r = r < 0 ? r : check_window(&c, err);
    window_done(&c.window);
    arena_done(&c.arena);
    return r;
}
