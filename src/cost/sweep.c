#include "cost/sweep.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sort.h"

#define NUSD_HOUR_NS 3.6e12 // a price in nano-USD per hour, over this, is nano-USD per ns

static bool mark_less(const struct mark *a, const struct mark *b)
{
    return a->at < b->at;
}

DEFINE_SORT(sort_marks, struct mark, mark_less);

void sweep_done(struct sweep *s)
{
    free(s->slots);
    free(s->marks);
    free(s->members);
    free(s->rows);
    free(s->row_of_group);
    free(s->shares);
    free(s->ranks);
    free(s->mark_scratch);
    *s = (struct sweep){0};
}

// ---- setting the window up -----------------------------------------------------------------

enum { MANTISSA_BITS = 104, MANTISSA_STEP = 52 };

static int bits(uint64_t v)
{
    return v ? 64 - __builtin_clzll(v) : 0;
}

// Sets *ret to amount / divisor times 2^exponent, cut off at 104 or 105 bits, by long division in
// two steps of 52 bits; returns the exponent. Of nothing it is the largest there is.
static int divide(uint64_t amount, uint64_t divisor, u128 *ret)
{
    *ret = 0;
    if (amount == 0 || divisor == 0) {
        return INT_MAX;
    }
    int up = 64 - bits(amount), down = 64 - bits(divisor);
    uint64_t a = amount << up, d = divisor << down;
    u128 first = ((u128)a << MANTISSA_STEP) / d;
    u128 rest = ((u128)a << MANTISSA_STEP) - first * d;
    *ret = first << MANTISSA_STEP | (rest << MANTISSA_STEP) / d;
    return MANTISSA_BITS + up - down;
}

// The weight of a phase: coefficient * tokens per ns of the phase and GPU.
static int weigh(int32_t coefficient, int64_t tokens, int64_t length, uint32_t n_gpus, u128 *ret)
{
    return divide((uint64_t)coefficient * (uint64_t)tokens, (uint64_t)length * n_gpus, ret);
}

static void weigh_slot(struct slot *slot, const struct request *r, const struct settings *s)
{
    slot->exponent_in = slot->exponent_out = INT_MAX;
    if (s->method == METHOD_EQUAL) {
        return;
    }
    int64_t prefill = r->first < 0 ? r->end - r->start : r->first - r->start;
    int64_t decode = r->first < 0 ? r->end - r->start : r->end - r->first;
    slot->exponent_in =
        weigh(s->weight_in, r->prompt - r->cached, prefill, r->n_gpus, &slot->weight_in);
    slot->exponent_out = weigh(s->weight_out, r->completion, decode, r->n_gpus, &slot->weight_out);
}

static u128 in_unit(u128 weight, int exponent, int unit)
{
    int shift = exponent - unit;
    return weight == 0 || shift > 127 ? 0 : weight >> shift;
}

// Brings all weights to the unit of the largest.
static void unify_weights(struct sweep *s)
{
    int unit = INT_MAX;
    for (size_t i = 0; i < s->n_slots; i++) {
        unit = MIN(unit, s->slots[i].exponent_in);
        unit = MIN(unit, s->slots[i].exponent_out);
    }
    for (size_t i = 0; i < s->n_slots; i++) {
        struct slot *slot = &s->slots[i];
        slot->weight_in = in_unit(slot->weight_in, slot->exponent_in, unit);
        slot->weight_out = in_unit(slot->weight_out, slot->exponent_out, unit);
    }
}

static uint32_t row_index(struct sweep *s, uint32_t group)
{
    if (group >= s->cap_groups) {
        size_t cap = (size_t)group * 2 + 16;
        s->row_of_group = x_realloc_array(s->row_of_group, cap, sizeof(s->row_of_group[0]));
        memset(&s->row_of_group[s->cap_groups], 0,
               (cap - s->cap_groups) * sizeof(s->row_of_group[0]));
        s->cap_groups = cap;
    }
    if (s->row_of_group[group] == 0) {
        ARRAY_RESERVE(s->rows, s->n_rows, s->cap_rows);
        s->rows[s->n_rows++] = (struct row_sum){.group = group, .kind = ROW_USAGE};
        s->row_of_group[group] = (uint32_t)s->n_rows;
    }
    return s->row_of_group[group] - 1;
}

static void add_mark(struct sweep *s, int64_t at, uint32_t slot)
{
    ARRAY_RESERVE(s->marks, s->n_marks, s->cap_marks);
    s->marks[s->n_marks++] = (struct mark){at, slot};
}

static void add_slot(struct sweep *s, const struct use *u, int64_t from, int64_t to,
                     const struct settings *settings)
{
    const struct request *r = u->request;
    ARRAY_RESERVE(s->slots, s->n_slots, s->cap_slots);
    uint32_t index = (uint32_t)s->n_slots++;
    struct slot *slot = &s->slots[index];
    *slot = (struct slot){
        .use = u,
        .first = r->first,
        .row = row_index(s, r->group),
        .tokens = tokens_in_window(u, from, to),
        .requests = u->part == 0 && r->end <= to ? r->requests : 0,
    };
    weigh_slot(slot, r, settings);
    if (r->first > from && r->first > r->start && r->first <= to && r->first < r->end) {
        add_mark(s, r->first, index);
    }
    if (r->end <= to) {
        add_mark(s, r->end, index);
    }
}

static double power_unit(const struct gpu *g, int64_t to)
{
    double most = 1;
    for (size_t i = g->at_piece; i < g->n_pieces && g->pieces[i].from < to; i++) {
        if (g->pieces[i].power_w > most) { // not where it is unknown, NAN
            most = g->pieces[i].power_w;
        }
    }
    return ldexp(1, MIN(ilogb(most) + 1, DBL_MAX_EXP - 1));
}

static void reserve_shares(struct sweep *s)
{
    size_t needed = 2 * s->n_slots + s->n_rows + 2;
    if (needed <= s->cap_shares) {
        return;
    }
    s->cap_shares = needed + needed / 2;
    s->shares = x_realloc_array(s->shares, s->cap_shares, sizeof(s->shares[0]));
    s->ranks = x_realloc_array(s->ranks, s->cap_shares, sizeof(s->ranks[0]));
    s->mark_scratch = x_realloc_array(s->mark_scratch, s->cap_shares, sizeof(s->mark_scratch[0]));
    s->members = x_realloc_array(s->members, s->cap_shares, sizeof(s->members[0]));
}

static void set_up(struct sweep *s, const struct gpu *g, int64_t from, int64_t to,
                   const struct settings *settings)
{
    for (size_t i = 0; i < s->n_rows; i++) {
        if (s->rows[i].kind == ROW_USAGE) {
            s->row_of_group[s->rows[i].group] = 0;
        }
    }
    s->n_slots = s->n_marks = s->n_members = s->n_rows = s->n_active = 0;
    s->weight_sum = 0;
    s->billed_ns = s->bill_nusd = 0;
    s->power_unit = power_unit(g, to);
    s->idle_energy = 0;
    s->idle_has_energy = false;
    for (size_t i = 0; i < g->n_running; i++) {
        if (i + PREFETCH < g->n_running) {
            request_prefetch(g->uses[g->running[i + PREFETCH]].request);
        }
        add_slot(s, &g->uses[g->running[i]], from, to, settings);
    }
    for (size_t i = g->at_use; i < g->n_uses && g->uses[i].start < to; i++) {
        if (i + PREFETCH < g->n_uses) {
            request_prefetch(g->uses[i + PREFETCH].request);
        }
        add_slot(s, &g->uses[i], from, to, settings);
    }
    unify_weights(s);
    reserve_shares(s);
    sort_marks(s->marks, s->n_marks, s->mark_scratch);
}

// ---- requests coming and going -------------------------------------------------------------

// The weight of the phase a slot is in.
static void enter_phase(struct sweep *s, struct slot *slot, bool decoding)
{
    slot->decoding = decoding;
    if (slot->first < 0) {
        slot->weight = slot->weight_in + slot->weight_out;
    } else {
        slot->weight = decoding ? slot->weight_out : slot->weight_in;
    }
    s->weight_sum += slot->weight;
    slot->since = s->now;
}

// Credits a slot with what it earned since its phase, or the span, began.
static void collect(struct sweep *s, struct slot *slot)
{
    struct dd weighted = fixed_since(&s->now.weighted, &slot->since.weighted);
    struct dd equal = dd_sub(s->now.equal, slot->since.equal);
    if (slot->first < 0) {
        struct dd half = {equal.hi / 2, equal.lo / 2};
        slot->in = dd_add(slot->in, dd_mul(dd_of_u128(slot->weight_in), weighted));
        slot->out = dd_add(slot->out, dd_mul(dd_of_u128(slot->weight_out), weighted));
        slot->in = dd_add(slot->in, half);
        slot->out = dd_add(slot->out, half);
    } else {
        struct dd *side = slot->decoding ? &slot->out : &slot->in;
        *side = dd_add(*side, dd_add(dd_mul(dd_of_u128(slot->weight), weighted), equal));
    }
    if (s->now.powered_ns > slot->since.powered_ns) {
        struct dd weighted_j = fixed_since(&s->now.weighted_j, &slot->since.weighted_j);
        double equal_j = dd_value(dd_sub(s->now.equal_j, slot->since.equal_j));
        slot->energy += dd_value(dd_mul(dd_of_u128(slot->weight), weighted_j)) * s->power_unit;
        slot->energy += equal_j;
        slot->has_energy = true;
    }
    slot->since = s->now;
}

static void start_slot(struct sweep *s, uint32_t index, int64_t at)
{
    struct slot *slot = &s->slots[index];
    slot->active = true;
    s->n_active++;
    s->members[s->n_members++] = index;
    enter_phase(s, slot, slot->first >= 0 && slot->first <= at);
}

static void pass_mark(struct sweep *s, struct mark m)
{
    struct slot *slot = &s->slots[m.slot];
    collect(s, slot);
    s->weight_sum -= slot->weight;
    if (m.at < slot->use->end) {
        enter_phase(s, slot, true);
        return;
    }
    slot->active = false;
    s->n_active--;
}

// ---- spans of constant price ---------------------------------------------------------------

static void open_span(struct sweep *s, int64_t at)
{
    s->now = (struct integrals){0};
    s->idle_ns = s->unattributed_ns = 0;
    s->span_from = at;
    size_t kept = 0;
    for (size_t i = 0; i < s->n_members; i++) {
        struct slot *slot = &s->slots[s->members[i]];
        slot->in = slot->out = (struct dd){0, 0};
        slot->since = s->now;
        if (slot->active) {
            s->members[kept++] = s->members[i];
        }
    }
    s->n_members = kept;
}

static size_t add_share(struct sweep *s, size_t n, struct dd earned, struct dd rate)
{
    if (earned.hi <= 0) {
        return n;
    }
    s->shares[n].quota = dd_mul(earned, rate);
    return n + 1;
}

// Gives the part of a share back, if there was one.
static int64_t take_part(const struct sweep *s, size_t *at, struct dd earned)
{
    return earned.hi <= 0 ? 0 : s->shares[(*at)++].part;
}

// The row for time without requests, made on demand; the index stays good for this window.
static struct row_sum *quiet_row(struct sweep *s, enum row_kind kind)
{
    for (size_t i = 0; i < s->n_rows; i++) {
        if (s->rows[i].kind == kind) {
            return &s->rows[i];
        }
    }
    ARRAY_RESERVE(s->rows, s->n_rows, s->cap_rows);
    s->rows[s->n_rows] = (struct row_sum){.kind = kind};
    return &s->rows[s->n_rows++];
}

static void book_quiet(struct sweep *s, enum row_kind kind, int64_t ns, int64_t part, bool priced)
{
    if (ns == 0) {
        return;
    }
    struct row_sum *row = quiet_row(s, kind);
    row->time = dd_add(row->time, dd_of_i64(ns));
    *(priced ? &row->cost_in : &row->unpriced_ns) += part;
}

static void book_slot(struct slot *slot, int64_t in, int64_t out, bool priced)
{
    slot->earned = dd_add(slot->earned, dd_add(slot->in, slot->out));
    if (!priced) {
        slot->unpriced_ns += in + out;
        slot->unpriced |= slot->in.hi > 0 || slot->out.hi > 0;
        return;
    }
    slot->cost_in += in;
    slot->cost_out += out;
}

// Shares the span's bill out: money, or where there is no price its nanoseconds.
static void close_span(struct sweep *s, int64_t at, int64_t price)
{
    bool priced = price != PRICE_NONE;
    struct dd rate =
        priced ? dd_div(dd_of_i64(price), dd_of_double(NUSD_HOUR_NS)) : dd_of_double(1);
    int64_t bill = priced ? price_span_bill(price, s->span_from, at) : at - s->span_from;
    struct dd idle = dd_of_i64(s->idle_ns), unattributed = dd_of_i64(s->unattributed_ns);
    size_t n = 0;
    for (size_t i = 0; i < s->n_members; i++) {
        struct slot *slot = &s->slots[s->members[i]];
        if (slot->active) {
            collect(s, slot);
        }
        n = add_share(s, n, slot->in, rate);
        n = add_share(s, n, slot->out, rate);
    }
    n = add_share(s, n, idle, rate);
    n = add_share(s, n, unattributed, rate);
    apportion(s->shares, n, bill, s->ranks);
    size_t taken = 0;
    for (size_t i = 0; i < s->n_members; i++) {
        struct slot *slot = &s->slots[s->members[i]];
        int64_t in = take_part(s, &taken, slot->in);
        int64_t out = take_part(s, &taken, slot->out);
        book_slot(slot, in, out, priced);
    }
    book_quiet(s, ROW_IDLE, s->idle_ns, take_part(s, &taken, idle), priced);
    book_quiet(s, ROW_UNATTRIBUTED, s->unattributed_ns, take_part(s, &taken, unattributed), priced);
    s->billed_ns += at - s->span_from;
    s->bill_nusd += priced ? bill : 0;
}

// ---- walking along -------------------------------------------------------------------------

static void pass_weighted(struct sweep *s, struct dd step, bool powered, double power_w)
{
    fixed_add(&s->now.weighted, step);
    if (powered) {
        fixed_add(&s->now.weighted_j, dd_mul(step, dd_of_double(power_w / s->power_unit)));
    }
}

static void pass_equal(struct integrals *now, struct dd step, bool powered, double power_w)
{
    now->equal = dd_add(now->equal, step);
    if (powered) {
        now->equal_j = dd_add(now->equal_j, dd_mul(step, dd_of_double(power_w)));
    }
}

// Lets dt pass within one piece, with nobody coming or going.
static void pass_time(struct sweep *s, const struct piece *p, int64_t dt)
{
    bool powered = !isnan(p->power_w);
    double time = (double)dt; // exact: a window is an hour at most
    if (s->n_active == 0) {
        *(p->covered ? &s->idle_ns : &s->unattributed_ns) += dt;
        if (powered) {
            s->idle_energy += p->power_w * time;
            s->idle_has_energy = true;
        }
        return;
    }
    if (s->weight_sum > 0) {
        pass_weighted(s, dd_ratio(time, dd_of_u128(s->weight_sum)), powered, p->power_w);
    } else {
        pass_equal(&s->now, dd_ratio(time, dd_of_double((double)s->n_active)), powered, p->power_w);
    }
    s->now.powered_ns += powered ? dt : 0;
}

struct cursor {
    size_t slot, mark;
    int64_t window_from;
};

static int64_t slot_start(const struct sweep *s, const struct cursor *c)
{
    return c->slot < s->n_slots ? MAX(s->slots[c->slot].use->start, c->window_from) : INT64_MAX;
}

static int64_t mark_at(const struct sweep *s, const struct cursor *c)
{
    return c->mark < s->n_marks ? s->marks[c->mark].at : INT64_MAX;
}

// Everything that happens at t; at the end of a piece, starts are left to the next one.
static void pass_edges(struct sweep *s, struct cursor *c, int64_t t, int64_t piece_end)
{
    while (t < piece_end && slot_start(s, c) <= t) {
        start_slot(s, (uint32_t)c->slot++, t);
    }
    while (mark_at(s, c) <= t) {
        pass_mark(s, s->marks[c->mark++]);
    }
}

static void sweep_piece(struct sweep *s, struct cursor *c, const struct piece *p, int64_t from,
                        int64_t to)
{
    for (int64_t t = from; t < to;) {
        pass_edges(s, c, t, to);
        int64_t edge = MIN(slot_start(s, c), mark_at(s, c));
        int64_t next = MIN(to, edge);
        pass_time(s, p, next - t);
        t = next;
    }
    pass_edges(s, c, to, to);
}

// ---- rounding the window off ---------------------------------------------------------------

static void sum_slots(struct sweep *s)
{
    for (size_t i = 0; i < s->n_slots; i++) {
        const struct slot *slot = &s->slots[i];
        struct row_sum *row = &s->rows[slot->row];
        row->prompt += slot->tokens.prompt;
        row->cached += slot->tokens.cached;
        row->completion += slot->tokens.completion;
        row->requests += slot->requests;
        row->cost_in += slot->cost_in;
        row->cost_out += slot->cost_out;
        row->unpriced_ns += slot->unpriced_ns;
        row->time = dd_add(row->time, slot->earned);
        row->energy += slot->has_energy ? slot->energy : 0;
        row->has_energy |= slot->has_energy;
    }
}

static void finish_quiet_rows(struct sweep *s)
{
    for (size_t i = 0; i < s->n_rows; i++) {
        if (s->rows[i].kind != ROW_IDLE) {
            continue;
        }
        s->rows[i].energy = s->idle_energy;
        s->rows[i].has_energy = s->idle_has_energy;
    }
}

void sweep_window(struct sweep *s, const struct gpu *g, int64_t from, int64_t to,
                  const struct settings *settings)
{
    set_up(s, g, from, to, settings);
    struct cursor cursor = {.window_from = from};
    const struct piece *last = NULL;
    for (size_t i = g->at_piece; i < g->n_pieces && g->pieces[i].from < to; i++) {
        const struct piece *p = &g->pieces[i];
        int64_t begin = MAX(p->from, from), end = MIN(p->to, to);
        bool same_span = last && last->to == p->from && last->price_nusd == p->price_nusd;
        if (!same_span) {
            if (last) {
                close_span(s, MIN(last->to, to), last->price_nusd);
            }
            open_span(s, begin);
        }
        sweep_piece(s, &cursor, p, begin, end);
        last = p;
    }
    if (last) {
        close_span(s, MIN(last->to, to), last->price_nusd);
    }
    sum_slots(s);
    finish_quiet_rows(s);
}
