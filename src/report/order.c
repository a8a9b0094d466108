// The order of a report's rows: level by level, so that "model,tenant" lists the models by what
// each costs in all, and within each its tenants.
#include <stdlib.h>

#include "base/alloc.h"
#include "report/digits.h"
#include "report/query.h"
#include "report/text.h"

// Neighbours that agree in one more dimension.
struct run {
    size_t first, n;
    struct sums sums;
    double measure;
    int rank; // idle and unattributed time below requests
};

struct ordering {
    struct report *report;
    size_t depth;
    const struct report_row *const *rows; // of the runs being sorted
};

// Idle time is no tenant: among models and tenants, what has none by nature stands apart from
// requests that did not say.
static int kind_rank(const struct report *r, size_t depth, const struct report_row *row)
{
    bool end = depth == r->query.n_by;
    return end || !report_dim_physical(r->query.by[depth]) ? (int)row->kind : 0;
}

static int value_cmp(const struct ordering *o, const struct report_row *a,
                     const struct report_row *b)
{
    int order = kind_rank(o->report, o->depth, a) - kind_rank(o->report, o->depth, b);
    if (order != 0 || o->depth == o->report->query.n_by) {
        return order;
    }
    const struct report_value *x = &a->values[o->depth], *y = &b->values[o->depth];
    if (x->time != y->time) {
        return x->time < y->time ? -1 : 1;
    }
    return text_natural_cmp(x->text, y->text);
}

static int by_value(const void *a, const void *b, void *ordering)
{
    const struct report_row *const *x = a, *const *y = b;
    return value_cmp(ordering, *x, *y);
}

static int by_measure(const void *a, const void *b, void *ordering)
{
    const struct run *x = a, *y = b;
    const struct ordering *o = ordering;
    if (x->rank != y->rank) {
        return x->rank - y->rank;
    }
    if (x->measure != y->measure) {
        return x->measure > y->measure ? -1 : 1;
    }
    return value_cmp(o, o->rows[x->first], o->rows[y->first]);
}

// Times, and names where it is asked for, are in their own order.
static bool is_measured(const struct report *r, size_t depth)
{
    bool timed = depth < r->query.n_by && report_dim_timed(r->query.by[depth]);
    return r->query.sort != SORT_NAME && !(timed && r->query.sort == SORT_AUTO);
}

static double measure(const struct report *r, size_t depth, const struct sums *s)
{
    double rate;
    if (!is_measured(r, depth)) {
        return 0;
    }
    switch (r->query.sort) {
    case SORT_TOKENS:
        return (double)sums_tokens(s);
    case SORT_REQUESTS:
        return (double)s->requests;
    case SORT_RATE:
        return digits_per_mtok(s->cost_nusd, sums_tokens(s), &rate) ? rate : -1;
    case SORT_NAME:
    case SORT_AUTO:
    case SORT_COST:
        break;
    }
    return (double)s->cost_nusd;
}

static size_t find_runs(const struct ordering *o, const struct report_row *const *rows, size_t n,
                        struct run *runs)
{
    size_t n_runs = 0;
    bool measured = is_measured(o->report, o->depth);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || value_cmp(o, rows[i - 1], rows[i]) != 0) {
            int rank = kind_rank(o->report, o->depth, rows[i]);
            runs[n_runs++] = (struct run){.first = i, .rank = rank};
        }
        struct run *run = &runs[n_runs - 1];
        run->n++;
        if (measured) {
            sums_add(&run->sums, &rows[i]->sums);
        }
    }
    for (size_t i = 0; i < n_runs; i++) {
        runs[i].measure = measure(o->report, o->depth, &runs[i].sums);
    }
    return n_runs;
}

// Rows are large, so that what is sorted says where they are.
static void order_level(struct report *r, const struct report_row **rows, size_t n, size_t depth)
{
    struct ordering o = {.report = r, .depth = depth};
    AUTO_FREE struct run *runs = x_array(n, sizeof(*runs));
    AUTO_FREE const struct report_row **sorted = x_array(n, sizeof(*sorted));
    qsort_r(rows, n, sizeof(*rows), by_value, &o);
    size_t n_runs = find_runs(&o, rows, n, runs), at = 0;
    o.rows = rows;
    qsort_r(runs, n_runs, sizeof(*runs), by_measure, &o);
    for (size_t i = 0; i < n_runs; i++) {
        memcpy(&sorted[at], &rows[runs[i].first], runs[i].n * sizeof(*rows));
        runs[i].first = at;
        at += runs[i].n;
    }
    memcpy(rows, sorted, n * sizeof(*rows));
    for (size_t i = 0; i < n_runs && depth < r->query.n_by; i++) {
        if (runs[i].n > 1) {
            order_level(r, &rows[runs[i].first], runs[i].n, depth + 1);
        }
    }
}

// Moves each to the place where order points at it, cycle by cycle. Takes order apart.
static void permute(struct report_row *rows, const struct report_row **order, size_t n)
{
    for (size_t begin = 0; begin < n; begin++) {
        if (order[begin] == NULL || order[begin] == &rows[begin]) {
            continue;
        }
        struct report_row first = rows[begin];
        size_t at = begin, from;
        while ((from = (size_t)(order[at] - rows)) != begin) {
            rows[at] = rows[from];
            order[at] = NULL;
            at = from;
        }
        rows[at] = first;
        order[at] = NULL;
    }
}

void report_order(struct report *r)
{
    if (r->n_rows == 0) {
        return;
    }
    AUTO_FREE const struct report_row **order = x_array(r->n_rows, sizeof(*order));
    for (size_t i = 0; i < r->n_rows; i++) {
        order[i] = &r->rows[i];
    }
    order_level(r, order, r->n_rows, 0);
    permute(r->rows, order, r->n_rows);
}
