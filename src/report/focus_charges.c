// The charges of a FOCUS export, and how an origin charge is split over them.
#include <stdlib.h>

#include "base/alloc.h"
#include "report/digits.h"
#include "report/focus_charges.h"

// The finest part that a ratio can tell.
#define WHOLE INT64_C(1000000000000000000) // 10^FOCUS_RATIO_DECIMALS

static void add(struct focus_charges *f, const struct charge *c)
{
    ARRAY_RESERVE(f->v, f->n, f->cap);
    f->v[f->n++] = *c;
}

static bool is_nothing(const struct sums *s)
{
    return s->cost_in_nusd == 0 && s->cost_out_nusd == 0 && s->cost_nusd == 0 &&
           s->prompt_tokens == 0 && s->completion_tokens == 0 && s->cached_prompt_tokens == 0 &&
           s->requests == 0 && s->unpriced_requests == 0 && s->busy_ns == 0 && s->unpriced_ns == 0;
}

static void add_row(struct focus_charges *f, const struct report_row *row)
{
    const struct sums *s = &row->sums;
    struct charge c = {.row = row, .ratio = -1};
    if (is_nothing(s)) { // all of it is a correction
        return;
    }
    if (row->kind == ROW_IDLE || row->kind == ROW_UNATTRIBUTED) {
        c.meter = METER_TIME;
        c.cost_nusd = s->cost_nusd;
        c.ns = s->busy_ns;
        add(f, &c);
        return;
    }
    c.meter = METER_INPUT;
    c.cost_nusd = s->cost_in_nusd;
    c.tokens = s->prompt_tokens;
    c.ns = s->busy_ns / 2;
    add(f, &c);
    c.meter = METER_OUTPUT;
    c.cost_nusd = s->cost_out_nusd;
    c.tokens = s->completion_tokens;
    c.ns = s->busy_ns - s->busy_ns / 2;
    add(f, &c);
}

// By period, GPU, kind, tenant, model, site, input before output: the same store, the same file.
static int by_place(const void *a, const void *b)
{
    const struct charge *x = a, *y = b;
    static const int order[] = {AT_TENANT, AT_MODEL, AT_SITE};
    int64_t s = x->row->values[AT_TIME].time, t = y->row->values[AT_TIME].time;
    int c = (s > t) - (s < t);
    c = c ? c : str_cmp(x->row->values[AT_GPU].text, y->row->values[AT_GPU].text);
    c = c ? c : (x->row->settled > y->row->settled) - (x->row->settled < y->row->settled);
    c = c ? c : (x->row->kind > y->row->kind) - (x->row->kind < y->row->kind);
    for (size_t i = 0; i < ARRAY_LEN(order) && c == 0; i++) {
        c = str_cmp(x->row->values[order[i]].text, y->row->values[order[i]].text);
    }
    return c ? c : (x->meter > y->meter) - (x->meter < y->meter);
}

static bool same_origin(const struct charge *a, const struct charge *b)
{
    return a->row->settled == b->row->settled &&
           a->row->values[AT_TIME].time == b->row->values[AT_TIME].time &&
           str_eq(a->row->values[AT_GPU].text, b->row->values[AT_GPU].text);
}

// In proportion to cost; where nothing of the origin charge cost anything, to time.
static void share_origin(struct charge *charges, size_t n)
{
    AUTO_FREE i128 *exact = x_array(n, sizeof(*exact));
    AUTO_FREE i128 *shown = x_array(n, sizeof(*shown));
    i128 cost = 0, ns = 0;
    for (size_t i = 0; i < n; i++) {
        cost += charges[i].cost_nusd;
        ns += charges[i].ns;
    }
    for (size_t i = 0; i < n; i++) {
        i128 part = cost > 0 ? charges[i].cost_nusd : ns > 0 ? charges[i].ns : i == 0;
        exact[i] = part * WHOLE;
    }
    digits_share(exact, n, cost > 0 ? cost : ns > 0 ? ns : 1, WHOLE, shown);
    for (size_t i = 0; i < n; i++) {
        charges[i].ratio = shown[i];
    }
}

void focus_collect(struct focus_charges *f, const struct report *r)
{
    for (size_t i = 0; i < r->n_rows; i++) {
        add_row(f, &r->rows[i]);
    }
    if (f->n > 0) {
        qsort(f->v, f->n, sizeof(*f->v), by_place);
    }
    for (size_t i = 0, n; i < f->n; i += n) {
        for (n = 1; i + n < f->n && same_origin(&f->v[i], &f->v[i + n]);) {
            n++;
        }
        if (f->v[i].row->kind != ROW_UNPLACED && f->v[i].row->settled == INT64_MIN) {
            share_origin(&f->v[i], n);
        }
    }
}
