// From sweeps to rows: one window of all GPUs, and the costs of the requests that end in it.

#include <stdlib.h>

#include "base/alloc.h"
#include "base/sort.h"
#include "base/time.h"
#include "cost/engine_impl.h"
#include "cost/timeline.h"

#define WATT_NS_PER_JOULE 1e9

struct window {
    int64_t from, to;
    const struct settings *settings;
    bool final;
};

static bool row_less(const struct window_row *a, const struct window_row *b)
{
    return window_row_cmp(a, b) < 0;
}

static bool unplaced_less(struct request *const *a, struct request *const *b)
{
    return (*a)->end != (*b)->end ? (*a)->end < (*b)->end : short_id_cmp((*a)->id, (*b)->id) < 0;
}

DEFINE_SORT(sort_rows, struct window_row, row_less);
DEFINE_SORT(sort_unplaced, struct request *, unplaced_less);

// ---- the rows of one GPU -------------------------------------------------------------------

// The newest statement of where the GPU is, looking back a gpu_timeout and ahead a max_gap; else
// what the first of its requests says.
static uint32_t site_in_window(const struct engine *e, const struct gpu *g, const struct window *w)
{
    size_t after = g->has_sites ? g->n_samples : 0;
    while (after > 0 && g->samples[after - 1].ts >= w->to) {
        after--;
    }
    if (g->has_sites) {
        int64_t oldest = w->from - w->settings->gpu_timeout_ns;
        for (size_t i = after; i > 0 && g->samples[i - 1].ts > oldest; i--) {
            if (g->samples[i - 1].site != NO_TEXT) {
                return g->samples[i - 1].site;
            }
        }
        int64_t newest = w->to - 1 + w->settings->max_gap_ns;
        for (size_t i = after; i < g->n_samples && g->samples[i].ts <= newest; i++) {
            if (g->samples[i].site != NO_TEXT) {
                return g->samples[i].site;
            }
        }
    }
    for (size_t i = 0; i < e->sweep.n_slots; i++) {
        if (e->sweep.slots[i].use->request->site != NO_TEXT) {
            return e->sweep.slots[i].use->request->site;
        }
    }
    return NO_TEXT;
}

struct ranked_row {
    uint64_t key; // canonical order: kind, then rank of (model, tenant)
    struct row_sum *row;
};

static bool ranked_less(const struct ranked_row *a, const struct ranked_row *b)
{
    return a->key < b->key;
}

DEFINE_SORT(sort_ranked, struct ranked_row, ranked_less);

// The rows' GPU time as integers that add up to the billed time, in canonical order.
static void round_time(struct engine *e)
{
    struct sweep *s = &e->sweep;
    AUTO_FREE struct ranked_row *order = x_array(2 * s->n_rows + 1, sizeof(*order));
    size_t n = 0;
    for (size_t i = 0; i < s->n_rows; i++) {
        struct row_sum *row = &s->rows[i];
        uint32_t rank = row->kind == ROW_USAGE ? e->groups[row->group].rank : 0;
        order[n++] = (struct ranked_row){(uint64_t)row->kind << 32 | rank, row};
    }
    sort_ranked(order, n, order + n);
    size_t parties = 0;
    for (size_t i = 0; i < n; i++) {
        if (order[i].row->time.hi > 0) {
            s->shares[parties++].quota = order[i].row->time;
        }
    }
    apportion(s->shares, parties, s->billed_ns, s->ranks);
    parties = 0;
    for (size_t i = 0; i < n; i++) {
        if (order[i].row->time.hi > 0) {
            order[i].row->busy_ns = s->shares[parties++].part;
        }
    }
}

static struct window_row *new_row(struct engine *e, const struct window *w)
{
    ARRAY_RESERVE(e->found.rows, e->found.n_rows, e->found.cap_rows);
    struct window_row *row = &e->found.rows[e->found.n_rows++];
    *row = (struct window_row){
        .window_start = w->from,
        .gpu = {.host = STR_NONE, .index = -1, .instance = GPU_INSTANCE_NONE},
        .final = w->final,
        .revision = w->final,
        .method = w->settings->method,
    };
    return row;
}

static void set_group(const struct engine *e, struct window_row *row, uint32_t group)
{
    row->model = engine_text(e, e->groups[group].model);
    row->tenant = engine_text(e, e->groups[group].tenant);
}

static void add_gpu_row(struct engine *e, const struct gpu *g, const struct window *w,
                        const struct row_sum *sum, uint32_t site)
{
    struct window_row *row = new_row(e, w);
    bool usage = sum->kind == ROW_USAGE;
    row->gpu = g->key;
    row->site = engine_text(e, site);
    row->kind = sum->kind;
    if (usage) {
        set_group(e, row, sum->group);
    }
    row->cost_nusd = sum->cost_in + sum->cost_out;
    row->cost_in_nusd = usage ? sum->cost_in : 0;
    row->cost_out_nusd = sum->cost_out;
    row->prompt_tokens = sum->prompt;
    row->cached_prompt_tokens = sum->cached;
    row->completion_tokens = sum->completion;
    row->requests = sum->requests;
    row->busy_ns = sum->busy_ns;
    row->unpriced_ns = sum->unpriced_ns;
    row->has_energy = sum->has_energy;
    row->energy_j = sum->has_energy ? sum->energy / WATT_NS_PER_JOULE : 0;
}

static int64_t add_cost(int64_t sum, int64_t part)
{
    return sum > USAGE_COST_MAX - part ? USAGE_COST_MAX : sum + part;
}

static void charge(struct engine *e, struct request *r, const struct slot *slot, bool final)
{
    if (!final) {
        r->unpriced_ahead |= slot->unpriced;
        e->unpriced_ahead |= slot->unpriced;
        return;
    }
    r->cost_in = add_cost(r->cost_in, slot->cost_in);
    r->cost_out = add_cost(r->cost_out, slot->cost_out);
    r->unpriced_ns += slot->unpriced_ns;
    r->unpriced |= slot->unpriced;
    if (slot->has_energy) {
        r->energy_j += slot->energy / WATT_NS_PER_JOULE;
        r->has_energy = true;
    }
}

// A request that ends here. What it costs is known once all GPUs are computed; of one on a single
// GPU in an open window, only whether it has a price is asked for, and that is known now.
static void note_ending(struct engine *e, const struct window *w, struct request *r, size_t row)
{
    if (!w->final && r->n_gpus == 1) {
        bool unpriced = r->unpriced || r->unpriced_ahead;
        e->found.rows[row].unpriced_requests += unpriced ? r->requests : 0;
        return;
    }
    ARRAY_RESERVE(e->found.ending, e->found.n_ending, e->found.cap_ending);
    e->found.ending[e->found.n_ending++] = (struct ending){r, row};
}

// Charges the requests with what the sweep found, and notes those that end here.
static void charge_requests(struct engine *e, const struct window *w, size_t first_row)
{
    for (size_t i = 0; i < e->sweep.n_slots; i++) {
        const struct slot *slot = &e->sweep.slots[i];
        if (i + PREFETCH < e->sweep.n_slots) {
            request_prefetch(e->sweep.slots[i + PREFETCH].use->request);
        }
        struct request *r = slot->use->request;
        charge(e, r, slot, w->final);
        e->found.any_unpriced |= r->unpriced_ns + r->unpriced_ahead > 0;
        if (slot->use->part == 0 && slot->use->end <= w->to) {
            note_ending(e, w, r, first_row + slot->row);
        }
    }
}

// ---- for explanations ----------------------------------------------------------------------

static void hand_out_pieces(const struct gpu *g, const struct window *w,
                            const struct engine_sink *sink)
{
    for (size_t i = g->at_piece; i < g->n_pieces && g->pieces[i].from < w->to; i++) {
        const struct piece *p = &g->pieces[i];
        const struct engine_piece piece = {.window_start = w->from,
                                           .window_end = w->to,
                                           .gpu = &g->key,
                                           .from = MAX(p->from, w->from),
                                           .to = MIN(p->to, w->to),
                                           .price_nusd = p->price_nusd,
                                           .price_entry = p->entry};
        if (piece.from < piece.to) {
            sink->piece(sink->ctx, &piece);
        }
    }
}

static void hand_out_parts(const struct engine *e, const struct gpu *g, const struct window *w,
                           const struct engine_sink *sink)
{
    for (size_t i = 0; i < e->sweep.n_slots; i++) {
        const struct slot *slot = &e->sweep.slots[i];
        const struct engine_part part = {
            .window_start = w->from,
            .window_end = w->to,
            .gpu = &g->key,
            .seq = slot->use->request->seq,
            .start = slot->use->start,
            .end = slot->use->end,
            .cost_in_nusd = slot->cost_in,
            .cost_out_nusd = slot->cost_out,
            .unpriced_ns = slot->unpriced_ns,
            .energy_j = slot->has_energy ? slot->energy / WATT_NS_PER_JOULE : 0,
            .has_energy = slot->has_energy,
        };
        sink->part(sink->ctx, &part);
    }
}

// ---- one GPU -------------------------------------------------------------------------------

static void compute_gpu(struct engine *e, struct gpu *g, const struct window *w,
                        const struct engine_sink *sink)
{
    if (g->at_piece == g->n_pieces || g->pieces[g->at_piece].from >= w->to) {
        return;
    }
    sweep_window(&e->sweep, g, w->from, w->to, w->settings);
    round_time(e);
    ARRAY_RESERVE(e->found.bills, e->found.n_bills, e->found.cap_bills);
    e->found.bills[e->found.n_bills++] = (struct gpu_bill){g->key, e->sweep.bill_nusd};
    uint32_t site = site_in_window(e, g, w);
    size_t first_row = e->found.n_rows;
    for (size_t i = 0; i < e->sweep.n_rows; i++) {
        add_gpu_row(e, g, w, &e->sweep.rows[i], site);
    }
    charge_requests(e, w, first_row);
    if (sink->piece) {
        hand_out_pieces(g, w, sink);
    }
    if (sink->part) {
        hand_out_parts(e, g, w, sink);
    }
}

// ---- requests without a place --------------------------------------------------------------

static struct window_row *unplaced_row(struct engine *e, const struct window *w, uint32_t group)
{
    struct str model = engine_text(e, e->groups[group].model);
    struct str tenant = engine_text(e, e->groups[group].tenant);
    for (size_t i = 0; i < e->found.n_rows && e->found.rows[i].kind == ROW_UNPLACED; i++) {
        if (str_eq(e->found.rows[i].model, model) && str_eq(e->found.rows[i].tenant, tenant)) {
            return &e->found.rows[i];
        }
    }
    struct window_row *row = new_row(e, w);
    row->kind = ROW_UNPLACED;
    set_group(e, row, group);
    return row;
}

// Called first in a window, so that its rows stand at the beginning.
static void compute_unplaced(struct engine *e, const struct window *w)
{
    for (size_t i = e->at_unplaced; i < e->n_unplaced && e->unplaced[i]->end <= w->to; i++) {
        struct request *r = e->unplaced[i];
        struct window_row *row = unplaced_row(e, w, r->group);
        row->prompt_tokens += r->prompt;
        row->cached_prompt_tokens += r->cached;
        row->completion_tokens += r->completion;
        row->requests += r->requests;
        e->at_unplaced++;
        if (w->final) {
            ARRAY_RESERVE(e->found.ending, e->found.n_ending, e->found.cap_ending);
            e->found.ending[e->found.n_ending++] = (struct ending){r, SIZE_MAX};
        }
    }
}

// ---- one window ----------------------------------------------------------------------------

// id: room for its text.
static struct usage_cost cost_of(const struct ending *ending, const struct window *w, char *id)
{
    const struct request *r = ending->request;
    return (struct usage_cost){
        .seq = r->seq,
        .event_id = short_id_text(r->id, id),
        .ts = r->end,
        .tokens = (int64_t)r->prompt + r->completion,
        .priced = ending->row != SIZE_MAX && !r->unpriced,
        .cost_nusd = r->cost_in + r->cost_out,
        .cost_in_nusd = r->cost_in,
        .cost_out_nusd = r->cost_out,
        .unpriced_ns = r->unpriced_ns,
        .energy_j = r->has_energy ? r->energy_j : 0,
        .has_energy = r->has_energy,
        .final = true,
        .late = r->late,
        .revision = 1,
        .method = w->settings->method,
    };
}

static void count_unpriced(struct engine *e, bool final)
{
    for (size_t i = 0; i < e->found.n_ending && e->found.any_unpriced; i++) {
        const struct request *r = e->found.ending[i].request;
        bool unpriced = r->unpriced || (!final && r->unpriced_ahead);
        if (e->found.ending[i].row != SIZE_MAX && unpriced) {
            e->found.rows[e->found.ending[i].row].unpriced_requests += r->requests;
        }
    }
}

static void hand_out_rows(struct engine *e, const struct window *w, const struct engine_sink *sink)
{
    // Not zeroed, which would take as long as the sorting.
    AUTO_FREE struct window_row *scratch = x_realloc_array(NULL, e->found.n_rows, sizeof(*scratch));
    sort_rows(e->found.rows, e->found.n_rows, scratch);
    if (sink->window_begin) {
        sink->window_begin(sink->ctx, w->from, w->to);
    }
    for (size_t i = 0; i < e->found.n_bills && sink->bill; i++) {
        sink->bill(sink->ctx, &e->found.bills[i].gpu, e->found.bills[i].nusd);
    }
    for (size_t i = 0; i < e->found.n_rows && sink->row; i++) {
        sink->row(sink->ctx, &e->found.rows[i]);
    }
}

// The requests are final, and gone with this.
static void hand_out_costs(struct engine *e, const struct window *w, const struct engine_sink *sink)
{
    char id[SHORT_ID_SCRATCH];
    for (size_t i = 0; i < e->found.n_ending && sink->cost; i++) {
        if (i + PREFETCH < e->found.n_ending) {
            request_prefetch(e->found.ending[i + PREFETCH].request);
        }
        struct usage_cost cost = cost_of(&e->found.ending[i], w, id);
        sink->cost(sink->ctx, &cost);
    }
    for (size_t i = 0; i < e->found.n_ending; i++) {
        request_free(e->found.ending[i].request);
    }
}

static void begin_window(struct engine *e, const struct window *w)
{
    e->found.n_rows = e->found.n_ending = e->found.n_bills = 0;
    e->found.any_unpriced = false;
    compute_unplaced(e, w);
}

static void end_window(struct engine *e, const struct window *w, const struct engine_sink *sink)
{
    if (e->found.n_rows == 0) {
        return;
    }
    count_unpriced(e, w->final);
    hand_out_rows(e, w, sink);
    e->rows_left -= MIN(e->rows_left, e->found.n_rows);
    if (w->final) {
        hand_out_costs(e, w, sink);
    }
}

static void compute_window(struct engine *e, const struct window *w, const struct engine_sink *sink)
{
    begin_window(e, w);
    for (size_t i = 0; i < e->n_gpus; i++) {
        compute_gpu(e, e->gpus[i], w, sink);
    }
    end_window(e, w, sink);
}

// ---- a stretch of windows ------------------------------------------------------------------

static void prepare_gpu(const struct engine *e, struct gpu *g, int64_t from, int64_t to,
                        const struct settings *settings)
{
    gpu_sort(g);
    timeline_build(g, from, to, settings, e->prices, e->names);
    g->at_piece = g->n_running = 0;
    g->at_use = g->head_uses;
    for (; g->at_use < g->n_uses && g->uses[g->at_use].start < from; g->at_use++) {
        if (g->uses[g->at_use].end <= from) {
            continue;
        }
        ARRAY_RESERVE(g->running, g->n_running, g->cap_running);
        g->running[g->n_running++] = (uint32_t)g->at_use;
    }
}

// Moves the GPU's cursors behind a window that ended at `to`.
static void leave_window(struct gpu *g, int64_t to)
{
    while (g->at_piece < g->n_pieces && g->pieces[g->at_piece].to <= to) {
        g->at_piece++;
    }
    size_t kept = 0;
    for (size_t i = 0; i < g->n_running; i++) {
        if (g->uses[g->running[i]].end > to) {
            g->running[kept++] = g->running[i];
        }
    }
    g->n_running = kept;
    for (; g->at_use < g->n_uses && g->uses[g->at_use].start < to; g->at_use++) {
        if (g->uses[g->at_use].end <= to) {
            continue;
        }
        ARRAY_RESERVE(g->running, g->n_running, g->cap_running);
        g->running[g->n_running++] = (uint32_t)g->at_use;
    }
}

// The start of the next window at or after `from` in which something happens.
static int64_t next_window(const struct engine *e, int64_t from, int64_t length)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < e->n_gpus; i++) {
        const struct gpu *g = e->gpus[i];
        if (g->at_piece < g->n_pieces) {
            next = MIN(next, g->pieces[g->at_piece].from);
        }
    }
    if (e->at_unplaced < e->n_unplaced) {
        next = MIN(next, e->unplaced[e->at_unplaced]->end - 1);
    }
    return next == INT64_MAX ? INT64_MAX : MAX(from, time_floor(next, length));
}

static void prepare_unplaced(struct engine *e, int64_t from)
{
    AUTO_FREE struct request **scratch = x_array(e->n_unplaced, sizeof(struct request *));
    sort_unplaced(e->unplaced, e->n_unplaced, scratch);
    e->at_unplaced = 0;
    while (e->at_unplaced < e->n_unplaced && e->unplaced[e->at_unplaced]->end <= from) {
        e->at_unplaced++;
    }
}

static void prepare(struct engine *e, int64_t from, int64_t to, const struct settings *settings)
{
    engine_rank_groups(e);
    for (size_t i = 0; i < e->n_gpus; i++) {
        prepare_gpu(e, e->gpus[i], from, to, settings);
    }
    prepare_unplaced(e, from);
}

int64_t engine_compute(struct engine *e, int64_t from, int64_t to, const struct settings *settings,
                       bool final, const struct engine_sink *sink)
{
    prepare(e, from, to, settings);
    int64_t length = settings->window_ns;
    for (int64_t at = next_window(e, from, length); at < to;
         at = next_window(e, at + length, length)) {
        struct window w = {at, at + length, settings, final};
        for (size_t i = 0; i < e->n_gpus; i++) {
            leave_window(e->gpus[i], at);
        }
        compute_window(e, &w, sink);
        for (size_t i = 0; i < e->n_gpus; i++) {
            leave_window(e->gpus[i], at + length);
        }
        if (e->rows_left == 0) {
            to = at + length;
        }
    }
    for (size_t i = 0; i < e->n_gpus; i++) {
        leave_window(e->gpus[i], to);
        gpu_drop_pieces(e->gpus[i]);
    }
    return to;
}

// ---- one open window, GPU by GPU -----------------------------------------------------------

int64_t engine_next_window(struct engine *e, int64_t from, int64_t to,
                           const struct settings *settings)
{
    prepare(e, from, to, settings);
    int64_t next = next_window(e, from, settings->window_ns);
    for (size_t i = 0; i < e->n_gpus; i++) {
        gpu_drop_pieces(e->gpus[i]);
    }
    return MIN(next, to);
}

static void swap_found(struct engine *e)
{
    struct found f = e->found;
    e->found = e->telling.found;
    e->telling.found = f;
}

// The first GPU that is to be computed; others may have come before it meanwhile.
static size_t gpu_to_tell(const struct engine *e)
{
    size_t low = 0, high = e->n_gpus;
    while (e->telling.begun && low < high) {
        size_t middle = low + (high - low) / 2;
        bool before = gpu_key_cmp(&e->gpus[middle]->key, &e->telling.last) <= 0;
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    return low;
}

static size_t tell_gpu(struct engine *e, struct gpu *g, const struct window *w,
                       const struct engine_sink *sink)
{
    prepare_gpu(e, g, w->from, w->to, w->settings);
    size_t work = 1 + g->n_pieces + g->n_running;
    if (g->n_pieces > 0) {
        compute_gpu(e, g, w, sink);
        work += e->sweep.n_slots;
    }
    gpu_drop_pieces(g);
    e->telling.last = g->key;
    return work;
}

bool engine_tell_window(struct engine *e, const struct settings *settings, size_t *work,
                        const struct engine_sink *sink)
{
    struct telling *t = &e->telling;
    struct window w = {t->from, t->from + settings->window_ns, settings, false};
    size_t i = gpu_to_tell(e), left = *work;
    engine_rank_groups(e);
    swap_found(e);
    if (!t->begun) {
        prepare_unplaced(e, w.from);
        begin_window(e, &w);
    }
    for (; i < e->n_gpus && left > 0; i++) {
        left -= MIN(left, tell_gpu(e, e->gpus[i], &w, sink));
        t->begun = true;
    }
    *work = left;
    bool all = i == e->n_gpus;
    if (all) {
        end_window(e, &w, sink);
        t->begun = false;
    }
    swap_found(e);
    return all;
}
