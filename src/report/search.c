#include "report/search.h"

#include "base/alloc.h"
#include "report/seek.h"

// Rows are read so much faster than records.
enum { ROWS_A_RECORD = 8, ITEMS_FIRST = 64 };

struct search {
    struct store *store;
    const struct search_query *q;
    struct arena *arena;
    struct search_result *ret;
    size_t cap;
    size_t read, rows;
};

static bool runs_on(const struct usage_record *u, const struct gpu_key *gpu)
{
    if (!str_eq(u->host, gpu->host) || u->gpu_instance != gpu->instance) {
        return false;
    }
    for (uint32_t i = 0; i < u->n_gpus; i++) {
        if (u->gpus[i] == gpu->index) {
            return true;
        }
    }
    return false;
}

static bool on_gpus(const struct search_query *q, const struct usage_record *u)
{
    for (size_t i = 0; i < q->n_gpus; i++) {
        if (runs_on(u, &q->gpus[i])) {
            return true;
        }
    }
    return q->n_gpus == 0;
}

static bool takes(const struct search_query *q, const struct stored_record *r)
{
    const struct usage_record *u = &r->record.usage;
    const struct usage_cost *c = &r->cost;
    if (q->filter == RECORDS_UNPRICED && !(c->final && usage_placed(u) && !c->priced)) {
        return false;
    }
    if (q->min_nusd > 0 && !(c->seq && c->priced && c->cost_nusd >= q->min_nusd)) {
        return false;
    }
    return on_gpus(q, u) && str_list_takes(&q->hosts, u->host) &&
           str_list_takes(&q->sites, u->site);
}

static void add_item(struct search *s, const struct stored_record *r)
{
    struct search_result *ret = s->ret;
    if (ret->n == s->cap) {
        s->cap = MIN(MAX(2 * s->cap, (size_t)ITEMS_FIRST), s->q->limit);
        struct stored_record *items = arena_alloc(s->arena, s->cap * sizeof(*items));
        if (ret->n > 0) {
            memcpy(items, ret->items, ret->n * sizeof(*items));
        }
        ret->items = items;
    }
    struct stored_record *item = &ret->items[ret->n++];
    *item = *r;
    item->record = store_copy_record(s->arena, &r->record);
    item->cost.event_id = r->cost.seq ? item->record.event_id : STR_NONE;
}

static bool spent(const struct search *s)
{
    return s->q->most_read > 0 && s->read + s->rows / ROWS_A_RECORD >= s->q->most_read;
}

// 1: the page is full, or all that it may read was read; this one is the last that was.
static int take(struct search *s, const struct stored_record *r)
{
    s->read++;
    if (takes(s->q, r)) {
        add_item(s, r);
    }
    if (s->ret->n < s->q->limit && !spent(s)) {
        return 0;
    }
    s->ret->more = true;
    s->ret->next_to = usage_start(&r->record.usage);
    s->ret->next_before = arena_copy(s->arena, r->record.event_id);
    return 1;
}

// next_to and next_before are, all along, where to go on.
static int look(void *ctx, int64_t from, int64_t to, struct error *err)
{
    struct search *s = ctx;
    struct search_result *ret = s->ret;
    bool behind = to > ret->next_to; // what of this range was read before is not read again
    // The few without a price are not looked for by their index, which is in no order of time.
    enum record_filter filter = s->q->filter == RECORDS_UNPRICED ? RECORDS_ALL : s->q->filter;
    struct record_query q = {.kind = RECORD_USAGE,
                             .order = RECORDS_NEWEST,
                             .filter = filter,
                             .from = MAX(from, s->q->from),
                             .to = behind ? ret->next_to : to,
                             .shard = -1,
                             .before = behind ? ret->next_before : STR_NONE,
                             .match = &s->q->match};
    if (q.from > q.to || (q.from == q.to && !str_present(q.before))) {
        return 0;
    }
    struct store_cursor *c = NULL;
    struct stored_record row;
    int full = 0, r = store_records(s->store, &q, &c, err);
    while (r >= 0 && full == 0 && (r = store_records_next(c, &row, err)) > 0) {
        full = take(s, &row);
    }
    store_cursor_close(c);
    if (r == 0) {
        ret->next_to = q.from;
        ret->next_before = STR_NONE;
    }
    return r < 0 ? r : full;
}

static int passed(void *ctx, int64_t t, size_t rows)
{
    struct search *s = ctx;
    s->rows += rows;
    if (t < s->ret->next_to) {
        s->ret->next_to = MAX(t, s->q->from);
        s->ret->next_before = STR_NONE;
    }
    s->ret->more = spent(s) && s->ret->next_to > s->q->from;
    return s->ret->more;
}

static int search(struct search *s, struct error *err)
{
    const struct search_query *q = s->q;
    bool tied = str_present(q->before) && q->to < INT64_MAX;
    struct seek_query where = {.from = q->from,
                               .to = tied ? q->to + 1 : q->to,
                               .filter = q->filter,
                               .match = &q->match,
                               .gpus = q->gpus,
                               .n_gpus = q->n_gpus,
                               .hosts = q->hosts};
    const struct seek_visitor v = {.look = look, .passed = passed, .ctx = s};
    int r = store_hold(s->store, err);
    if (r < 0) {
        return r;
    }
    r = seek(s->store, &where, &v, err);
    store_release(s->store);
    return MIN(r, 0);
}

int search_requests(struct store *store, const struct search_query *q, struct arena *a,
                    struct search_result *ret, struct error *err)
{
    *ret = (struct search_result){.next_to = q->to, .next_before = q->before};
    struct search s = {.store = store, .q = q, .arena = a, .ret = ret};
    return search(&s, err);
}
