#include "report/explain.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/time.h"
#include "cost/engine.h"

// Of records on its GPUs. Of price entries, how many of the newest may be younger than the cost.
enum { RECORDS_MAX_FED = 2000000, NEWER_PRICES_MAX = 8 };

struct explaining {
    struct store *store;
    struct arena *arena;
    struct explanation *ret;
    struct error *err;
    const struct usage_record *usage;
    int64_t start, frontier;
    struct settings_history settings;
    struct price_book prices;
    int64_t from, to, reach, longest; // windows to compute, and how far around them records matter
    struct engine *engine;
    size_t fed;
};

// ---- what the engine says ------------------------------------------------------------------

static struct explain_gpu *gpu_of(struct explaining *x, const struct gpu_key *key)
{
    for (size_t i = 0; i < x->ret->n_gpus; i++) {
        if (gpu_key_cmp(&x->ret->gpus[i].gpu, key) == 0) {
            return &x->ret->gpus[i];
        }
    }
    return NULL;
}

static void *grow(struct arena *a, void *v, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) {
        return v;
    }
    *cap = *cap ? 2 * *cap : 16;
    void *more = arena_alloc(a, *cap * size);
    if (n > 0) {
        memcpy(more, v, n * size);
    }
    return more;
}

static struct explain_window *window_of(struct explaining *x, struct explain_gpu *g, int64_t start,
                                        int64_t end)
{
    if (g->n_windows == 0 || g->windows[g->n_windows - 1].start != start) {
        g->windows =
            grow(x->arena, g->windows, g->n_windows, &g->cap_windows, sizeof(g->windows[0]));
        g->windows[g->n_windows++] =
            (struct explain_window){.start = start, .final = end <= x->frontier};
    }
    return &g->windows[g->n_windows - 1];
}

static void add_price(struct explaining *x, struct explain_gpu *g, struct explain_price p)
{
    struct explain_price *last = g->n_prices ? &g->prices[g->n_prices - 1] : NULL;
    if (last && last->to == p.from && last->price_nusd_hour == p.price_nusd_hour &&
        last->entry == p.entry) {
        last->to = p.to;
        return;
    }
    g->prices = grow(x->arena, g->prices, g->n_prices, &g->cap_prices, sizeof(g->prices[0]));
    g->prices[g->n_prices++] = p;
}

static void on_piece(void *ctx, const struct engine_piece *p)
{
    struct explaining *x = ctx;
    struct explain_gpu *g = gpu_of(x, p->gpu);
    int64_t from = MAX(p->from, x->start), to = MIN(p->to, x->usage->ts);
    if (g == NULL || from >= to) {
        return;
    }
    struct explain_window *w = window_of(x, g, p->window_start, p->window_end);
    add_price(x, g, (struct explain_price){from, to, p->price_nusd, p->price_entry});
    if (p->price_nusd != PRICE_NONE) {
        int64_t bill = price_span_bill(p->price_nusd, from, to);
        w->gpu_cost_nusd += bill;
        g->gpu_cost_nusd += bill;
    }
}

// Another request is counted once in all: in the window in which it meets ours.
static void meet(struct explaining *x, struct explain_gpu *g, const struct engine_part *p)
{
    int64_t from = MAX(p->start, x->start), to = MIN(p->end, x->usage->ts);
    if (from >= p->window_end || to <= p->window_start || from >= to) {
        return;
    }
    window_of(x, g, p->window_start, p->window_end)->beside++;
    g->beside += from >= p->window_start;
}

static void on_part(void *ctx, const struct engine_part *p)
{
    struct explaining *x = ctx;
    struct explain_gpu *g = gpu_of(x, p->gpu);
    if (g == NULL) {
        return;
    }
    if (p->seq != x->ret->request.record.seq) {
        meet(x, g, p);
        return;
    }
    struct explain_window *w = window_of(x, g, p->window_start, p->window_end);
    w->cost_in_nusd += p->cost_in_nusd;
    w->cost_out_nusd += p->cost_out_nusd;
    w->cost_nusd += p->cost_in_nusd + p->cost_out_nusd;
    w->unpriced_ns += p->unpriced_ns;
    g->cost_nusd += p->cost_in_nusd + p->cost_out_nusd;
    x->ret->cost_nusd += p->cost_in_nusd + p->cost_out_nusd;
    g->energy_j += p->energy_j;
    g->has_energy |= p->has_energy;
}

// ---- what the engine is told ---------------------------------------------------------------

// Other GPUs have no say in what happens on these.
static bool matters(struct explaining *x, const struct record *r)
{
    if (r->kind == RECORD_SAMPLE) {
        return gpu_of(x, &r->sample.gpu) != NULL;
    }
    const struct usage_record *u = &r->usage;
    for (uint32_t i = 0; i < u->n_gpus; i++) {
        const struct gpu_key key = {u->host, u->gpus[i], u->gpu_instance};
        if (usage_placed(u) && gpu_of(x, &key)) {
            return u->ts > x->from - x->reach;
        }
    }
    return false;
}

static int feed(struct explaining *x, enum record_kind kind, int64_t from, int64_t to)
{
    const struct record_query q = {.kind = kind,
                                   .order = RECORDS_BY_TIME,
                                   .from = from,
                                   .to = to,
                                   .shard = x->ret->request.record.shard};
    struct store_cursor *c = NULL;
    struct stored_record row;
    int r = store_records(x->store, &q, &c, x->err);
    while (r >= 0 && (r = store_records_next(c, &row, x->err)) > 0) {
        if (!matters(x, &row.record)) {
            continue;
        }
        (void)engine_add(x->engine, &row.record);
        if (++x->fed > RECORDS_MAX_FED) {
            r = error_set(
                x->err, -E2BIG,
                "more than %d records are on the GPUs of this request while it runs: that "
                "is too much to explain at once",
                RECORDS_MAX_FED);
            break;
        }
    }
    store_cursor_close(c);
    return MIN(r, 0);
}

static int run_engine(struct explaining *x)
{
    const struct engine_sink sink = {.piece = on_piece, .part = on_part, .ctx = x};
    engine_start_at(x->engine, x->from);
    int r = feed(x, RECORD_SAMPLE, x->from - x->reach, x->to + x->reach + 1);
    r = r < 0 ? r : feed(x, RECORD_USAGE, x->from - x->reach - x->longest, x->to + x->reach + 1);
    if (r == 0) {
        engine_advance(x->engine, x->to, &sink);
    }
    return r;
}

static void set_gpus(struct explaining *x)
{
    const struct usage_record *u = x->usage;
    struct explanation *e = x->ret;
    e->n_gpus = u->n_gpus;
    e->cost_nusd = 0;
    e->gpus = arena_alloc(x->arena, e->n_gpus * sizeof(e->gpus[0]));
    for (size_t i = 0; i < e->n_gpus; i++) {
        e->gpus[i] = (struct explain_gpu){.gpu = {u->host, u->gpus[i], u->gpu_instance}};
    }
}

// By the price book without its `leave_out` newest entries.
static int account(struct explaining *x, size_t leave_out)
{
    struct price_book book = x->prices;
    struct price_entry *kept AUTO_FREE = x_array(book.n + 1, sizeof(*kept));
    size_t n = 0;
    for (size_t i = 0; i < book.n; i++) {
        size_t newer = 0;
        for (size_t j = 0; j < book.n; j++) {
            newer += book.entries[j].id > book.entries[i].id;
        }
        if (newer >= leave_out) {
            kept[n++] = book.entries[i];
        }
    }
    book = (struct price_book){kept, n};
    x->engine = engine_new(&x->settings, &book);
    x->fed = 0;
    set_gpus(x);
    int r = run_engine(x);
    engine_free(x->engine);
    return r;
}

static bool agrees(const struct explanation *e)
{
    return e->request.cost.final && e->cost_nusd == e->request.cost.cost_nusd;
}

// A cost stands as it was computed until it is recomputed, whatever was added to the price book
// since: where it does not agree, the newest entries may be younger.
static int account_for(struct explaining *x)
{
    struct explanation *e = x->ret;
    int r = account(x, 0);
    e->agrees = r == 0 && agrees(e);
    size_t most = e->request.cost.final ? MIN(x->prices.n, (size_t)NEWER_PRICES_MAX) : 0;
    for (size_t newer = 1; newer <= most && r == 0 && !e->agrees; newer++) {
        r = account(x, newer);
        e->agrees = r == 0 && agrees(e);
        e->newer_prices = e->agrees ? newer : 0;
    }
    return r == 0 && !e->agrees && most > 0 ? account(x, 0) : r;
}

static int read_told(struct explaining *x, struct store_info *info)
{
    struct shard_state state;
    int r = store_info(x->store, info, x->err);
    r = r < 0 ? r : store_settings(x->store, x->arena, &x->settings, x->err);
    r = r < 0 ? r : store_prices(x->store, x->arena, &x->prices, x->err);
    r = r < 0 ? r : store_shard(x->store, x->ret->request.record.shard, &state, x->err);
    if (r < 0) {
        return r;
    }
    x->frontier = state.frontier;
    x->longest = MAX(info->longest_usage_ns, USAGE_MIN_NS);
    for (size_t i = 0; i < x->settings.n; i++) {
        x->reach = MAX(x->reach, x->settings.epochs[i].gpu_timeout_ns);
    }
    x->ret->split = x->settings.n ? *settings_at(&x->settings, x->start) : settings_default;
    return 0;
}

static int explain(struct explaining *x, struct str event_id)
{
    struct explanation *e = x->ret;
    struct store_info info;
    int r = store_find_record(x->store, RECORD_USAGE, event_id, x->arena, &e->request, x->err);
    if (r < 0) {
        return r;
    }
    x->usage = &e->request.record.usage;
    x->start = usage_start(x->usage);
    e->provisional = !e->request.cost.final;
    r = read_told(x, &info);
    if (r < 0 || !usage_placed(x->usage) || x->settings.n == 0) {
        return r;
    }
    x->from = time_floor(x->start, settings_at(&x->settings, x->start)->window_ns);
    x->to = time_ceil(x->usage->ts, settings_at(&x->settings, x->usage->ts - 1)->window_ns);
    e->expired = info.raw_from != INT64_MIN && x->from - x->reach < info.raw_from;
    return e->expired ? 0 : account_for(x);
}

int explain_request(struct store *s, struct str event_id, struct arena *a, struct explanation *ret,
                    struct error *err)
{
    *ret = (struct explanation){0};
    struct explaining x = {.store = s, .arena = a, .ret = ret, .err = err};
    int r = store_hold(s, err);
    if (r < 0) {
        return r;
    }
    r = explain(&x, event_id);
    store_release(s);
    return r;
}
