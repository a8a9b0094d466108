#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/sort.h"
#include "output/memory/memory.h"

static struct mem_cursor *cursor_new(struct store *s)
{
    struct mem_cursor *c = x_zalloc(sizeof(*c));
    c->base.ops = s->ops;
    return c;
}

void mem_cursor_close(struct store_cursor *base)
{
    struct mem_cursor *c = (struct mem_cursor *)base;
    arena_done(&c->arena);
    free(c);
}

// The stored cost, or else the estimate, with what it takes over from its record; seq 0: neither.
static struct usage_cost cost_of(const struct mem_record *m)
{
    if (!m->has_cost && !m->has_estimate) {
        return (struct usage_cost){0};
    }
    struct usage_cost cost = m->has_cost ? m->cost : m->estimate;
    cost.seq = m->record.seq;
    cost.event_id = m->record.event_id;
    cost.ts = m->record.usage.ts;
    return cost;
}

static bool passes(const struct mem_record *m, enum record_filter filter)
{
    bool final = m->has_cost && m->cost.final;
    bool placed = usage_placed(&m->record.usage);
    switch (filter) {
    case RECORDS_ALL:
        return true;
    case RECORDS_UNPLACED:
        return !placed;
    case RECORDS_UNPRICED:
        return final && placed && !m->cost.priced;
    case RECORDS_LATE:
        return m->has_cost && m->cost.late;
    case RECORDS_OPEN:
        return !final;
    }
    return false;
}

static int64_t order_time(const struct record *r)
{
    return r->kind == RECORD_SAMPLE ? r->sample.ts : usage_start(&r->usage);
}

static bool earlier(const struct stored_record *a, const struct stored_record *b)
{
    int64_t at = order_time(&a->record), bt = order_time(&b->record);
    return at != bt ? at < bt : str_cmp(a->record.event_id, b->record.event_id) < 0;
}
static bool later(const struct stored_record *a, const struct stored_record *b)
{
    return earlier(b, a);
}
DEFINE_SORT(sort_by_time, struct stored_record, earlier);
DEFINE_SORT(sort_newest, struct stored_record, later);

static bool in_range(const struct record *r, const struct record_query *q)
{
    int64_t at = q->order == RECORDS_BY_SEQ ? r->seq : order_time(r);
    bool resumed = q->order == RECORDS_NEWEST && str_present(q->before);
    bool tied = resumed && at == q->to && str_cmp(r->event_id, q->before) < 0;
    return at >= q->from && (at < q->to || tied);
}

static bool selected(const struct mem_record *m, const struct record_query *q)
{
    const struct usage_record *u = &m->record.usage;
    return in_range(&m->record, q) && (q->shard < 0 || q->shard == (int64_t)m->record.shard) &&
           passes(m, q->filter) &&
           (q->match == NULL || store_match_takes(q->match, u->model, u->tenant));
}

static struct stored_record copy_stored(struct arena *a, const struct mem_record *m)
{
    struct stored_record r = {.record = store_copy_record(a, &m->record)};
    r.cost = m->record.kind == RECORD_USAGE ? cost_of(m) : (struct usage_cost){0};
    r.cost.event_id = r.cost.seq ? r.record.event_id : STR_NONE;
    return r;
}

static void select_records(struct mem_cursor *c, const struct mem_table *t,
                           const struct record_query *q)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        n += t->rows[i] != NULL && selected(t->rows[i], q);
    }
    c->records = arena_alloc(&c->arena, 2 * n * sizeof(*c->records)); // the rest: for sorting
    for (size_t i = 0; i < t->n; i++) {
        const struct mem_record *m = t->rows[i];
        if (m != NULL && selected(m, q)) {
            c->records[c->n++] = copy_stored(&c->arena, m);
        }
    }
    if (q->order == RECORDS_BY_TIME) {
        sort_by_time(c->records, c->n, c->records + n);
    } else if (q->order == RECORDS_NEWEST) {
        sort_newest(c->records, c->n, c->records + n);
    }
}

int mem_records(struct store *s, const struct record_query *q, struct store_cursor **ret,
                struct error *err)
{
    (void)err;
    struct mem_db *db = mem_lock(s);
    struct mem_cursor *c = cursor_new(s);
    select_records(c, &db->tables[q->kind], q);
    mem_unlock(db);
    *ret = &c->base;
    return 0;
}

int mem_records_next(struct store_cursor *base, struct stored_record *ret, struct error *err)
{
    (void)err;
    struct mem_cursor *c = (struct mem_cursor *)base;
    if (c->at == c->n) {
        return 0;
    }
    *ret = c->records[c->at++];
    return 1;
}

int mem_record(struct store *s, enum record_kind kind, struct str event_id, struct arena *a,
               struct stored_record *ret, struct error *err)
{
    struct mem_db *db = mem_lock(s);
    const struct mem_table *t = &db->tables[kind];
    bool found = false;
    for (size_t i = 0; i < t->n && !found; i++) {
        found = t->rows[i] != NULL && str_eq(t->rows[i]->record.event_id, event_id);
        if (found) {
            *ret = copy_stored(a, t->rows[i]);
        }
    }
    mem_unlock(db);
    return found ? 0 : store_no_record(s, kind, event_id, err);
}

int mem_cost(struct store *s, int64_t seq, struct usage_cost *ret, struct error *err)
{
    struct mem_db *db = mem_lock(s);
    const struct mem_table *t = &db->tables[RECORD_USAGE];
    const struct mem_record *m = seq > 0 && seq <= (int64_t)t->n ? t->rows[seq - 1] : NULL;
    bool known = m != NULL && m->has_cost;
    if (known) {
        *ret = cost_of(m);
    }
    mem_unlock(db);
    return known ? 0 : error_set(err, -ENOENT, "%s: the request has no computed cost", s->name);
}

static struct str copy_kept(struct mem_cursor *c, struct str s)
{
    return arena_copy(&c->arena, s);
}

static void select_span(struct mem_cursor *c, const struct mem_span *span,
                        const struct store_match *m)
{
    for (size_t i = 0; i < span->n; i++) {
        if (!store_match_takes(m, span->rows[i].model, span->rows[i].tenant)) {
            continue;
        }
        struct window_row *row = &c->windows[c->n++];
        *row = span->rows[i];
        row->gpu.host = copy_kept(c, row->gpu.host);
        row->site = copy_kept(c, row->site);
        row->model = copy_kept(c, row->model);
        row->tenant = copy_kept(c, row->tenant);
    }
}

static bool span_selected(const struct mem_span *span, const struct window_query *q)
{
    return span->start >= q->from && span->start < q->to &&
           (q->shard < 0 || q->shard == (int64_t)span->shard);
}

int mem_windows(struct store *s, const struct window_query *q, const struct store_match *m,
                struct store_cursor **ret, struct error *err)
{
    (void)err;
    struct mem_db *db = mem_lock(s);
    struct mem_cursor *c = cursor_new(s);
    const struct mem_level *level = &db->levels[q->level];
    size_t n = 0;
    for (size_t i = 0; i < level->n; i++) {
        n += span_selected(&level->spans[i], q) ? level->spans[i].n : 0;
    }
    c->windows = arena_alloc(&c->arena, n * sizeof(*c->windows));
    for (size_t i = 0; i < level->n; i++) {
        if (span_selected(&level->spans[i], q)) {
            select_span(c, &level->spans[i], m);
        }
    }
    mem_unlock(db);
    *ret = &c->base;
    return 0;
}

int mem_windows_next(struct store_cursor *base, struct window_row *ret, struct error *err)
{
    (void)err;
    struct mem_cursor *c = (struct mem_cursor *)base;
    if (c->at == c->n) {
        return 0;
    }
    *ret = c->windows[c->at++];
    return 1;
}

int mem_dead_letters(struct store *s, int64_t from, int64_t to, struct store_cursor **ret,
                     struct error *err)
{
    (void)err;
    struct mem_db *db = mem_lock(s);
    struct mem_cursor *c = cursor_new(s);
    c->letters = arena_alloc(&c->arena, db->dead_letters.n * sizeof(*c->letters));
    for (size_t i = 0; i < db->dead_letters.n; i++) {
        const struct dead_letter *d = &db->dead_letters.v[i];
        if (d->at >= from && d->at < to) {
            c->letters[c->n++] = mem_copy_letter(&c->arena, d);
        }
    }
    mem_unlock(db);
    *ret = &c->base;
    return 0;
}

int mem_dead_letters_next(struct store_cursor *base, struct dead_letter *ret, struct error *err)
{
    (void)err;
    struct mem_cursor *c = (struct mem_cursor *)base;
    if (c->at == c->n) {
        return 0;
    }
    *ret = c->letters[c->at++];
    return 1;
}
