#include "cost/engine.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/time.h"
#include "cost/engine_impl.h"
#include "model/mig.h"

struct engine *engine_new(const struct settings_history *settings, const struct price_book *prices)
{
    struct engine *e = x_zalloc(sizeof(*e));
    e->hosts = intern_new();
    e->names = intern_new();
    e->prefixes = intern_new();
    e->frontier = e->newest = INT64_MIN;
    e->oldest = e->oldest_pending = e->telling.from = INT64_MAX;
    engine_configure(e, settings, prices);
    return e;
}

// A request on several GPUs is freed with the last of them.
static void free_requests(struct engine *e)
{
    for (size_t i = 0; i < e->n_gpus; i++) {
        const struct gpu *g = e->gpus[i];
        for (size_t j = g->head_uses; j < g->n_uses; j++) {
            if (g->uses[j].part + 1 == g->uses[j].request->n_gpus) {
                request_free(g->uses[j].request);
            }
        }
    }
    for (size_t i = 0; i < e->n_unplaced; i++) {
        request_free(e->unplaced[i]);
    }
}

static void found_done(struct found *f)
{
    free(f->rows);
    free(f->ending);
    free(f->bills);
}

void engine_free(struct engine *e)
{
    if (!e) {
        return;
    }
    free_requests(e);
    for (size_t i = 0; i < e->n_gpus; i++) {
        gpu_done(e->gpus[i]);
        free(e->gpus[i]);
    }
    free(e->gpus);
    free(e->groups);
    free(e->unplaced);
    found_done(&e->found);
    found_done(&e->telling.found);
    map_done(&e->gpu_by_key);
    map_done(&e->group_by_pair);
    map_done(&e->crossing);
    ranges_done(&e->dirty);
    sweep_done(&e->sweep);
    intern_free(e->hosts);
    intern_free(e->names);
    intern_free(e->prefixes);
    free(e);
}

void engine_configure(struct engine *e, const struct settings_history *settings,
                      const struct price_book *prices)
{
    e->settings = settings;
    e->prices = prices;
    engine_tell_all(e);
}

struct str engine_text(const struct engine *e, uint32_t id)
{
    return id == NO_TEXT ? STR_NONE : intern_str(e->names, id);
}

int64_t engine_reach(const struct engine *e)
{
    int64_t reach = 0;
    for (size_t i = 0; i < e->settings->n; i++) {
        reach = MAX(reach, e->settings->epochs[i].gpu_timeout_ns);
    }
    return reach;
}

int64_t engine_window_floor(const struct engine *e, int64_t t)
{
    return time_floor(t, settings_at(e->settings, t)->window_ns);
}

static int64_t window_ceil(const struct engine *e, int64_t t)
{
    int64_t floor = engine_window_floor(e, t);
    return floor == t ? t : floor + settings_at(e->settings, t)->window_ns;
}

// ---- taking records in ---------------------------------------------------------------------

static uint32_t name_id(struct engine *e, struct str s)
{
    return str_present(s) ? intern_id(e->names, s) : NO_TEXT;
}

static uint32_t group_id(struct engine *e, struct str model, struct str tenant)
{
    uint32_t m = name_id(e, model), t = name_id(e, tenant);
    int64_t key = (int64_t)((uint64_t)m << 32 | t);
    void *found = map_get(&e->group_by_pair, key);
    if (found) {
        return (uint32_t)((uintptr_t)found - 1);
    }
    ARRAY_RESERVE(e->groups, e->n_groups, e->cap_groups);
    e->groups[e->n_groups++] = (struct group){.model = m, .tenant = t};
    map_put(&e->group_by_pair, key, (void *)(uintptr_t)e->n_groups);
    return (uint32_t)(e->n_groups - 1);
}

static void insert_gpu(struct engine *e, struct gpu *g)
{
    ARRAY_RESERVE(e->gpus, e->n_gpus, e->cap_gpus);
    size_t at = e->n_gpus++;
    for (; at > 0 && gpu_key_cmp(&g->key, &e->gpus[at - 1]->key) < 0; at--) {
        e->gpus[at] = e->gpus[at - 1];
    }
    e->gpus[at] = g;
}

// Index and instance fit 16 and 17 bits by the bounds of model/record.h.
static int64_t pack_key(uint32_t host, int32_t index, int32_t instance)
{
    return (int64_t)((uint64_t)host << 33 | (uint64_t)(uint32_t)index << 17 |
                     (uint64_t)(uint32_t)(instance + 1));
}

static struct gpu *gpu_of(struct engine *e, struct str host, int32_t index, int32_t instance)
{
    uint32_t host_id = intern_id(e->hosts, host);
    int64_t packed = pack_key(host_id, index, instance);
    struct gpu *g = map_get(&e->gpu_by_key, packed);
    if (g) {
        return g;
    }
    g = x_zalloc(sizeof(*g));
    g->key = (struct gpu_key){intern_str(e->hosts, host_id), index, instance};
    g->packed = packed;
    g->before = INT64_MIN;
    g->after = g->sample_after = g->sited_after = INT64_MAX;
    map_put(&e->gpu_by_key, packed, g);
    insert_gpu(e, g);
    return g;
}

static struct request *request_new(struct engine *e, const struct record *r)
{
    const struct usage_record *u = &r->usage;
    struct request *q = x_alloc(sizeof(*q));
    *q = (struct request){
        .start = usage_start(u),
        .first = u->has & USAGE_TTFT ? usage_first(u) : -1,
        .end = u->ts,
        .prompt = (int32_t)u->prompt_tokens,
        .cached = (int32_t)u->cached_prompt_tokens,
        .completion = (int32_t)u->completion_tokens,
        .requests = u->has & USAGE_REQUESTS ? (int32_t)u->requests : 1,
        .seq = r->seq,
        .group = group_id(e, u->model, u->tenant),
        .site = name_id(e, u->site),
        .n_gpus = (uint8_t)u->n_gpus,
        .id = short_id_make(e->prefixes, r->event_id),
    };
    return q;
}

static void note_instants(struct engine *e, int64_t from, int64_t to)
{
    e->oldest = MIN(e->oldest, from);
    e->newest = MAX(e->newest, to);
}

// Marks the windows of [from, to) that are computed already. True when there are any.
static bool mark_dirty(struct engine *e, int64_t from, int64_t to)
{
    if (!e->advanced || from >= e->frontier || from >= to) {
        return false;
    }
    ranges_add(&e->dirty, engine_window_floor(e, MAX(from, 0)),
               MIN(e->frontier, window_ceil(e, to)));
    return true;
}

// A record at [from, to] of a GPU. sample: NULL for a request.
struct evidence {
    int64_t from, to;
    const struct sample *sample;
};

// Whether evidence after the frontier is the first there of its kind. A sample at the instant of
// another one may replace it.
static bool is_first(const struct gpu *g, const struct evidence *v)
{
    return v->sample ? v->from <= g->sample_after : v->from < g->after;
}

// Whether a sample after the frontier changes what is said of where the GPU was: final windows look
// max_gap ahead of their ends for that, however far their billed time is from there.
static bool tells_site(const struct engine *e, const struct gpu *g, const struct evidence *v)
{
    int64_t gap = 0;
    for (size_t i = 0; i < e->settings->n; i++) {
        gap = MAX(gap, e->settings->epochs[i].max_gap_ns);
    }
    if (!v->sample || v->from - gap >= e->frontier) {
        return false;
    }
    bool sited = v->sample->site != NO_TEXT;
    return v->from == g->sited_after || (sited && v->from < g->sited_after);
}

// New evidence changes what is computed already when it lies there, or when it is the first after
// the frontier and reaches back over a gap. A sample does that also where time up to the frontier
// is billed without it, since requests ran on or the gap is bridged already: it gives that time a
// price.
static bool reaches_back(struct engine *e, const struct gpu *g, const struct evidence *v)
{
    int64_t reach = engine_reach(e);
    if (v->from < e->frontier) {
        return mark_dirty(e, v->from - reach, v->to + reach + 1);
    }
    bool billed = g->after == e->frontier || g->before >= g->after - reach;
    bool near = g->before >= v->from - reach || (v->sample && billed);
    bool bills = near && v->from - reach < e->frontier && is_first(g, v);
    return (bills || tells_site(e, g, v)) && mark_dirty(e, v->from - reach, e->frontier);
}

static void note_sample(struct gpu *g, const struct sample *s)
{
    g->sample_after = MIN(g->sample_after, s->ts);
    if (s->ts == g->sited_after) { // one of the two goes, and only sorting tells which
        g->sited_after = INT64_MAX;
    } else if (s->site != NO_TEXT) {
        g->sited_after = MIN(g->sited_after, s->ts);
    }
}

static void note_evidence(struct engine *e, struct gpu *g, const struct evidence *v)
{
    note_instants(e, v->from, v->to);
    if (v->to < e->frontier) {
        g->before = MAX(g->before, v->to);
    } else {
        g->after = MIN(g->after, MAX(v->from, e->frontier));
    }
    if (v->sample && v->from >= e->frontier) {
        note_sample(g, v->sample);
    }
}

static bool too_old(const struct engine *e, int64_t end)
{
    return e->frontier != INT64_MIN && end < e->frontier - engine_reach(e);
}

static bool add_sample(struct engine *e, const struct record *r)
{
    const struct gpu_sample *s = &r->sample;
    char room[MIG_NAME_MAX];
    struct gpu *g = gpu_of(e, s->gpu.host, s->gpu.index, s->gpu.instance);
    struct sample sample = {
        .ts = s->ts,
        .price_nusd = s->has & SAMPLE_PRICE ? s->price_nusd_hour : PRICE_NONE,
        .power_w = s->has & SAMPLE_POWER ? s->power_w : (double)NAN,
        .name = name_id(e, mig_sample_name(s, room)),
        .site = name_id(e, s->site),
    };
    struct evidence v = {s->ts, s->ts, &sample};
    bool late = reaches_back(e, g, &v);
    if (too_old(e, s->ts)) {
        return late;
    }
    sample.id = short_id_make(e->prefixes, r->event_id);
    g->has_sites |= sample.site != NO_TEXT;
    note_evidence(e, g, &v);
    preview_note_sample(e, g, &sample);
    gpu_add_sample(g, &sample);
    return late;
}

static bool add_unplaced(struct engine *e, struct request *q)
{
    note_instants(e, q->end - 1, q->end);
    preview_note_unplaced(e, q->end);
    if (q->end <= e->frontier) {
        bool late = mark_dirty(e, q->end - 1, q->end);
        request_free(q);
        return late;
    }
    ARRAY_RESERVE(e->unplaced, e->n_unplaced, e->cap_unplaced);
    e->unplaced[e->n_unplaced++] = q;
    return false;
}

static bool add_placed(struct engine *e, const struct usage_record *u, struct request *q)
{
    bool done = q->end <= e->frontier, late = false;
    for (uint32_t i = 0; i < u->n_gpus; i++) {
        struct gpu *g = gpu_of(e, u->host, u->gpus[i], u->gpu_instance);
        struct evidence v = {q->start, q->end, NULL};
        late |= reaches_back(e, g, &v);
        note_evidence(e, g, &v);
        preview_note_use(e, g, q->start);
        if (!done) {
            gpu_add_use(g, (struct use){q->start, q->end, q, i});
        } else if (!too_old(e, q->end)) {
            gpu_add_busy(g, q->start, q->end);
        }
    }
    q->late = late;
    if (done) {
        request_free(q);
        return late;
    }
    e->oldest_pending = MIN(e->oldest_pending, q->start);
    if (q->start < e->frontier) {
        map_put(&e->crossing, q->seq, q);
    }
    return late;
}

int engine_add(struct engine *e, const struct record *r)
{
    bool late = false;
    e->stats.records++;
    if (r->kind == RECORD_SAMPLE) {
        late = add_sample(e, r);
    } else {
        struct request *q = request_new(e, r);
        late = usage_placed(&r->usage) ? add_placed(e, &r->usage, q) : add_unplaced(e, q);
    }
    e->stats.late += late;
    return late ? ENGINE_LATE : 0;
}

// ---- advancing -----------------------------------------------------------------------------

void engine_start_at(struct engine *e, int64_t t)
{
    e->frontier = engine_window_floor(e, t);
}

int64_t engine_frontier(const struct engine *e)
{
    return e->frontier;
}

int64_t engine_newest(const struct engine *e)
{
    return e->newest;
}

static void drop_gpu(struct engine *e, size_t at)
{
    struct gpu *g = e->gpus[at];
    map_remove(&e->gpu_by_key, g->packed);
    gpu_done(g);
    free(g);
    e->n_gpus--;
    memmove(&e->gpus[at], &e->gpus[at + 1], (e->n_gpus - at) * sizeof(e->gpus[0]));
}

// What ended by `at_unplaced` is out and freed.
static void forget_unplaced(struct engine *e)
{
    ARRAY_DROP_FRONT(e->unplaced, e->n_unplaced, e->at_unplaced);
    e->at_unplaced = 0;
}

// Notes who is not final yet, and who of these has been charged already.
static void note_pending(struct engine *e)
{
    map_done(&e->crossing);
    e->oldest_pending = INT64_MAX;
    for (size_t i = 0; i < e->n_gpus; i++) {
        const struct gpu *g = e->gpus[i];
        if (g->head_uses < g->n_uses) {
            e->oldest_pending = MIN(e->oldest_pending, g->uses[g->head_uses].start);
        }
        for (size_t j = g->head_uses; j < g->n_uses && g->uses[j].start < e->frontier; j++) {
            map_put(&e->crossing, g->uses[j].request->seq, g->uses[j].request);
        }
    }
}

static void move_frontier(struct engine *e, int64_t to)
{
    e->frontier = to;
    int64_t before = to - engine_reach(e) - 1;
    for (size_t i = e->n_gpus; i-- > 0;) {
        gpu_forget(e->gpus[i], to, before);
        if (gpu_empty(e->gpus[i])) {
            drop_gpu(e, i);
        }
    }
    forget_unplaced(e);
    note_pending(e);
}

int64_t engine_stretch_end(const struct engine *e, int64_t from, int64_t to)
{
    const struct settings *s = settings_at(e->settings, from);
    const struct settings *end = e->settings->epochs + e->settings->n;
    int64_t stop = s + 1 < end ? MIN(to, s[1].effective_from) : to;
    return time_floor(stop, s->window_ns);
}

int64_t engine_compute_stretches(struct engine *e, int64_t from, int64_t to, bool final,
                                 const struct engine_sink *sink)
{
    int64_t stop = from;
    while (from < to && e->rows_left > 0 && (stop = engine_stretch_end(e, from, to)) > from) {
        stop = engine_compute(e, from, stop, settings_at(e->settings, from), final, sink);
        if (final) {
            move_frontier(e, stop);
        }
        from = stop;
    }
    return from;
}

void engine_advance(struct engine *e, int64_t until, const struct engine_sink *sink)
{
    (void)engine_advance_some(e, until, SIZE_MAX, sink);
}

bool engine_advance_some(struct engine *e, int64_t until, size_t rows,
                         const struct engine_sink *sink)
{
    e->advanced = true;
    if (until <= 0 || (e->oldest == INT64_MAX && e->frontier == INT64_MIN)) {
        return false;
    }
    int64_t from =
        e->frontier != INT64_MIN ? e->frontier : engine_window_floor(e, MAX(e->oldest, 0));
    int64_t to = engine_window_floor(e, until);
    e->rows_left = rows;
    bool more = to > from && engine_compute_stretches(e, from, to, true, sink) < to;
    return more && e->rows_left == 0;
}

int64_t engine_settled_until(const struct engine *e, int64_t watermark)
{
    if (watermark == INT64_MIN) {
        return INT64_MIN;
    }
    int64_t horizon = settings_at(e->settings, watermark)->horizon_ns;
    return watermark <= horizon ? INT64_MIN : engine_window_floor(e, watermark - horizon);
}

// ---- settlement ----------------------------------------------------------------------------

size_t engine_dirty(const struct engine *e, const struct time_range **ret)
{
    *ret = e->dirty.v;
    return e->dirty.n;
}

void engine_dirty_add(struct engine *e, int64_t from, int64_t to)
{
    ranges_add(&e->dirty, from, to);
}

void engine_dirty_remove(struct engine *e, int64_t from, int64_t to)
{
    ranges_remove(&e->dirty, from, to);
}

void engine_partials(const struct engine *e, void (*cost)(void *ctx, const struct usage_cost *c),
                     void *ctx)
{
    char id[SHORT_ID_SCRATCH];
    struct map_slot slot;
    size_t at = 0;
    while (map_next(&e->crossing, &at, &slot)) {
        const struct request *r = slot.value;
        struct usage_cost c = {
            .seq = r->seq,
            .event_id = short_id_text(r->id, id),
            .ts = r->end,
            .tokens = (int64_t)r->prompt + r->completion,
            .priced = !r->unpriced,
            .cost_nusd = r->cost_in + r->cost_out,
            .cost_in_nusd = r->cost_in,
            .cost_out_nusd = r->cost_out,
            .unpriced_ns = r->unpriced_ns,
            .energy_j = r->energy_j,
            .has_energy = r->has_energy,
        };
        cost(ctx, &c);
    }
}

bool engine_set_partial(struct engine *e, const struct usage_cost *c)
{
    struct request *r = map_get(&e->crossing, c->seq);
    if (!r) {
        return false;
    }
    engine_tell_all(e);
    r->cost_in = c->cost_in_nusd;
    r->cost_out = c->cost_out_nusd;
    r->unpriced_ns = c->unpriced_ns;
    r->unpriced = !c->priced;
    r->energy_j = c->energy_j;
    r->has_energy = c->has_energy;
    return true;
}

int64_t engine_oldest_pending(const struct engine *e)
{
    return e->oldest_pending;
}

struct engine_stats engine_stats(const struct engine *e)
{
    struct engine_stats s = e->stats;
    s.samples = 0;
    s.requests = e->n_unplaced;
    s.bytes = intern_bytes(e->hosts) + intern_bytes(e->names) + intern_bytes(e->prefixes);
    for (size_t i = 0; i < e->n_gpus; i++) {
        const struct gpu *g = e->gpus[i];
        s.samples += g->n_samples;
        s.requests += g->n_uses - g->head_uses;
        s.bytes += g->cap_samples * sizeof(struct sample) + g->cap_uses * sizeof(struct use) +
                   g->cap_pieces * sizeof(struct piece) +
                   (g->n_uses - g->head_uses) * sizeof(struct request);
    }
    return s;
}
