// Rows beyond a limit, added up.
#include <stdlib.h>

#include "base/alloc.h"
#include "base/intern.h"
#include "report/query.h"

enum { KEY_MAX = 16 * 1024 };

static void fold(struct report_row *into, const struct report_row *row)
{
    sums_add(&into->sums, &row->sums);
    into->loaded_nusd += row->loaded_nusd;
    into->loaded_in_nusd += row->loaded_in_nusd;
    into->loaded_out_nusd += row->loaded_out_nusd;
    into->others++;
}

// A GPU's usage, idle and unattributed rows are one group.
static bool same_group(const struct report *r, const struct report_row *a,
                       const struct report_row *b)
{
    for (size_t i = 0; i < r->query.n_by; i++) {
        const struct report_value *x = &a->values[i], *y = &b->values[i];
        if (x->time != y->time || !str_eq(x->text, y->text)) {
            return false;
        }
    }
    return true;
}

// The groups counted so far, of one kind or of those that have a bill of their own.
struct count {
    size_t n;
    struct report_row last;
};

static bool within_limit(const struct report *r, struct count *c, const struct report_row *row)
{
    c->n += c->n == 0 || !same_group(r, row, &c->last);
    c->last = *row;
    return c->n <= r->query.limit;
}

static void fold_others(struct report *r)
{
    struct report_row others[ROW_UNPLACED + 1] = {0};
    struct count counts[ROW_UNPLACED + 1] = {0};
    bool bills = report_groups_have_bills(&r->query);
    size_t kept = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        struct report_row row = r->rows[i]; // its place may be taken below
        enum row_kind counted = bills && row.kind != ROW_UNPLACED ? ROW_USAGE : row.kind;
        if (within_limit(r, &counts[counted], &row)) {
            r->rows[kept++] = row;
        } else {
            others[row.kind].kind = row.kind;
            fold(&others[row.kind], &row);
        }
    }
    for (size_t k = 0; k <= ROW_UNPLACED; k++) {
        if (others[k].others > 0) {
            size_t counted = bills && k != ROW_UNPLACED ? ROW_USAGE : k;
            others[k].others = counts[counted].n - r->query.limit;
            r->rows[kept++] = others[k];
        }
    }
    r->n_rows = kept;
}

// ---- over time -------------------------------------------------------------------------------

// All rows that differ in time alone, of one kind or of those that have a bill of their own.
struct series {
    i128 cost_nusd;
    size_t number; // in the order of rows
    bool kept;
};

struct folding {
    struct report *report;
    struct series *series;
    size_t n, cap;
    uint32_t *of_row;
    struct report_row *out; // of the arena
    size_t n_out;
    struct report_row others[ROW_UNPLACED + 1];
};

static enum row_kind counted_kind(const struct report *r, enum row_kind kind)
{
    return report_groups_have_bills(&r->query) && kind != ROW_UNPLACED ? ROW_USAGE : kind;
}

static void series_key(const struct report *r, const struct report_row *row, struct buf *key)
{
    buf_clear(key);
    buf_char(key, (char)counted_kind(r, row->kind));
    for (size_t i = 1; i < r->query.n_by; i++) {
        const struct report_value *v = &row->values[i];
        buf_char(key, str_present(v->text));
        buf_add(key, &v->text.n, sizeof(v->text.n));
        buf_str(key, v->text);
        buf_add(key, &v->time, sizeof(v->time));
    }
}

static void find_series(struct folding *f)
{
    struct intern *keys = intern_new();
    struct buf key;
    buf_init(&key, KEY_MAX);
    f->of_row = x_array(f->report->n_rows + 1, sizeof(*f->of_row));
    for (size_t i = 0; i < f->report->n_rows; i++) {
        series_key(f->report, &f->report->rows[i], &key);
        uint32_t id = intern_id(keys, buf_view(&key));
        if (id == f->n) {
            ARRAY_RESERVE(f->series, f->n, f->cap);
            f->series[f->n++] = (struct series){.number = id};
        }
        f->of_row[i] = id;
        f->series[id].cost_nusd += f->report->rows[i].sums.cost_nusd;
    }
    buf_done(&key);
    intern_free(keys);
}

static int by_cost(const void *a, const void *b)
{
    const struct series *x = *(const struct series *const *)a,
                        *y = *(const struct series *const *)b;
    if (x->cost_nusd != y->cost_nusd) {
        return x->cost_nusd > y->cost_nusd ? -1 : 1;
    }
    return x->number < y->number ? -1 : 1;
}

// The costliest of each kind that is counted.
static void choose_series(struct folding *f)
{
    AUTO_FREE struct series **ranked = x_array(f->n + 1, sizeof(*ranked));
    AUTO_FREE enum row_kind *kinds = x_array(f->n + 1, sizeof(*kinds));
    size_t counts[ROW_UNPLACED + 1] = {0};
    for (size_t i = 0; i < f->report->n_rows; i++) {
        kinds[f->of_row[i]] = counted_kind(f->report, f->report->rows[i].kind);
    }
    for (size_t i = 0; i < f->n; i++) {
        ranked[i] = &f->series[i];
    }
    if (f->n > 0) {
        qsort(ranked, f->n, sizeof(*ranked), by_cost);
    }
    for (size_t i = 0; i < f->n; i++) {
        ranked[i]->kept = counts[kinds[ranked[i]->number]]++ < f->report->query.limit;
    }
}

static void put_others(struct folding *f)
{
    for (size_t k = 0; k <= ROW_UNPLACED; k++) {
        if (f->others[k].others > 0) {
            f->out[f->n_out++] = f->others[k];
        }
        f->others[k] = (struct report_row){0};
    }
}

// Whether the others of `before` are due: at the end of a step, and of a kind where kinds stand one
// after the other.
static bool others_due(const struct report *r, const struct report_row *before,
                       const struct report_row *row)
{
    return row->values[0].time != before->values[0].time ||
           (row->kind != before->kind && !report_groups_have_bills(&r->query));
}

// Within a step every row of a kind is another series.
static void fold_by_time(struct folding *f)
{
    const struct report *r = f->report;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_row *row = &r->rows[i];
        if (i > 0 && others_due(r, &r->rows[i - 1], row)) {
            put_others(f);
        }
        if (f->series[f->of_row[i]].kept) {
            f->out[f->n_out++] = *row;
        } else {
            struct report_row *other = &f->others[row->kind];
            other->kind = row->kind;
            other->values[0] = row->values[0];
            fold(other, row);
        }
    }
    put_others(f);
}

bool report_folds_by_time(const struct report_query *q)
{
    return q->n_by > 0 && q->by[0] == DIM_TIME;
}

void report_fold(struct report *r, struct arena *a)
{
    if (r->query.limit == 0) {
        return;
    }
    if (!report_folds_by_time(&r->query)) {
        fold_others(r);
        return;
    }
    struct folding f = {.report = r};
    f.out = arena_alloc(a, (r->n_rows + 1) * sizeof(*f.out)); // others replace at least as many
    find_series(&f);
    choose_series(&f);
    fold_by_time(&f);
    r->rows = f.out;
    r->n_rows = f.n_out;
    free(f.series);
    free(f.of_row);
}
