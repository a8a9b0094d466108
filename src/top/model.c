#include "top/model.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/intern.h"
#include "report/digits.h"
#include "report/text.h"

#define CENT_NUSD INT64_C(10000000)
#define GONE_NS NS_PER_DAY
enum { LABEL_MAX = 4096 };

const char *top_sort_name(enum top_sort s)
{
    static const char *const names[TOP_SORTS] = {"cost", "tokens", "requests", "rate", "name"};
    return names[s];
}

const char *top_basis_name(enum report_basis b)
{
    return b == BASIS_LOADED ? "loaded" : "busy";
}

double top_per_second(const struct top_model *m, i128 n)
{
    return m->span_ns > 0 ? (double)n * (double)NS_PER_S / (double)m->span_ns : (double)NAN;
}

// ---- time -----------------------------------------------------------------------------------

// From the first evidence in the window to the newest, as samples tell it.
static int64_t evidence_ns(const struct top_snapshot *s)
{
    int64_t first = INT64_MAX, last = s->newest;
    for (size_t i = 0; i < s->n_gpus; i++) {
        if (s->gpus[i].first_seen != INT64_MIN) {
            first = MIN(first, s->gpus[i].first_seen);
        }
        last = MAX(last, s->gpus[i].last_seen);
    }
    first = first == INT64_MAX ? s->from : MAX(first, s->from);
    int64_t end = MIN(s->to, s->at);
    last = last == INT64_MIN ? s->at : MIN(last, end);
    return MAX(last - first, INT64_C(0));
}

// GPUs do not begin and end at one instant: where the one that was billed longest covers the time
// but for what a sample may be late, its time is the window's.
static int64_t span_of(const struct top_snapshot *s, i128 longest)
{
    int64_t wall = evidence_ns(s);
    return longest > 0 && wall - longest <= s->stale_ns ? (int64_t)longest : wall;
}

static i128 hour_unit(const struct top_model *m)
{
    return (i128)m->span_ns * CENT_NUSD;
}

// nusd[n] to cents that add up to `total`, both ways. Sums of nano-USD over a window have room for
// the nanoseconds of an hour.
static void share_cents(const struct top_model *m, i128 *nusd, size_t n, struct top_cents *ret)
{
    AUTO_FREE i128 *shown = x_array(n, sizeof(*shown));
    digits_share(nusd, n, CENT_NUSD, m->bill.window, shown);
    for (size_t i = 0; i < n; i++) {
        ret[i] = (struct top_cents){.window = shown[i]};
        nusd[i] *= NS_PER_HOUR;
    }
    if (m->span_ns > 0) {
        digits_share(nusd, n, hour_unit(m), m->bill.hour, shown);
    }
    for (size_t i = 0; i < n && m->span_ns > 0; i++) {
        ret[i].hour = shown[i];
    }
}

static void add_cents(struct top_cents *to, struct top_cents c)
{
    to->hour += c.hour;
    to->window += c.window;
}

// ---- GPUs -----------------------------------------------------------------------------------

static bool contains(struct str s, struct str part)
{
    for (size_t i = 0; part.n > 0 && i + part.n <= s.n; i++) {
        if (strncasecmp(s.p + i, part.p, part.n) == 0) {
            return true;
        }
    }
    return part.n == 0;
}

// A GPU under construction: which models it serves.
struct serving {
    struct str model; // the one with the most of its time
    i128 most;
    size_t n;
};

static void add_row(struct top_gpu_line *g, struct serving *models, const struct report_row *row)
{
    sums_add(&g->parts[row->kind], &row->sums);
    sums_add(&g->bill, &row->sums);
    if (row->kind != ROW_USAGE) {
        return;
    }
    if (models->n++ == 0 || row->sums.busy_ns > models->most) {
        models->most = row->sums.busy_ns;
        models->model = row->values[1].text;
    }
}

// A GPU that only requests have told of.
static const struct top_gpu *unseen_gpu(struct arena *a, struct str label)
{
    struct top_gpu *g = arena_alloc(a, sizeof(*g));
    *g = (struct top_gpu){.label = label,
                          .first_seen = INT64_MIN,
                          .last_seen = INT64_MIN,
                          .price_nusd_hour = PRICE_NONE};
    return g;
}

static void collect_gpus(struct top_model *m, struct serving *models)
{
    const struct top_snapshot *s = m->snapshot;
    struct intern *labels = intern_new();
    for (size_t i = 0; i < s->n_gpus; i++) {
        m->gpus[intern_id(labels, s->gpus[i].label)].gpu = &s->gpus[i];
    }
    for (size_t i = 0; i < s->placed.n_rows; i++) {
        const struct report_row *row = &s->placed.rows[i];
        if (row->kind != ROW_UNPLACED && str_present(row->values[0].text)) {
            uint32_t id = intern_id(labels, row->values[0].text);
            add_row(&m->gpus[id], &models[id], row);
        }
    }
    m->n_gpus = intern_count(labels);
    for (size_t i = 0; i < m->n_gpus; i++) {
        if (m->gpus[i].gpu == NULL) {
            struct str label = arena_copy(&m->arena, intern_str(labels, (uint32_t)i));
            m->gpus[i].gpu = unseen_gpu(&m->arena, label);
        }
    }
    intern_free(labels);
}

static struct rate gpu_rate(const struct top_model *m, const struct top_gpu_line *g)
{
    if (m->look.basis == BASIS_LOADED) {
        return rates_busy(&g->bill).all;
    }
    return rates_busy(&g->parts[ROW_USAGE]).all;
}

static void finish_gpu(struct top_model *m, struct top_gpu_line *g, const struct serving *models)
{
    const struct top_snapshot *s = m->snapshot;
    g->billed = g->bill.busy_ns > 0;
    g->known = g->billed && cost_known(ROW_USAGE, &g->bill);
    g->rate = gpu_rate(m, g);
    g->ahead = g->gpu->last_seen > s->at + s->stale_ns;
    g->age_ns = g->gpu->last_seen == INT64_MIN ? INT64_MAX : s->at - g->gpu->last_seen;
    g->silent = !g->ahead && g->age_ns > s->stale_ns;
    g->models = models->n > 0 ? models->model : STR_NONE;
    if (models->n > 1) {
        struct buf b;
        buf_init(&b, LABEL_MAX);
        buf_str(&b, models->model);
        buf_printf(&b, " +%zu", models->n - 1);
        g->models = arena_copy(&m->arena, buf_view(&b));
        buf_done(&b);
    }
}

static void price_gpus(struct top_model *m)
{
    AUTO_FREE i128 *exact = x_array(m->n_gpus, sizeof(*exact));
    AUTO_FREE struct top_cents *cents = x_array(m->n_gpus, sizeof(*cents));
    for (size_t i = 0; i < m->n_gpus; i++) {
        exact[i] = m->gpus[i].bill.cost_nusd;
    }
    share_cents(m, exact, m->n_gpus, cents);
    for (size_t i = 0; i < m->n_gpus; i++) {
        m->gpus[i].cents = cents[i];
    }
}

static struct str host_of(struct str label)
{
    const char *slash = memrchr(label.p, '/', label.n);
    return slash ? (struct str){label.p, (size_t)(slash - label.p)} : label;
}

static bool is_gone(const struct top_gpu_line *g)
{
    return !g->billed && (g->age_ns > GONE_NS || g->ahead);
}

static void count_gpus(struct top_model *m)
{
    struct intern *hosts = intern_new();
    for (size_t i = 0; i < m->n_gpus; i++) {
        m->gone_gpus += is_gone(&m->gpus[i]);
        if (m->gpus[i].billed) {
            (void)intern_id(hosts, host_of(m->gpus[i].gpu->label));
            m->n_billed++;
        }
    }
    m->n_hosts = intern_count(hosts);
    intern_free(hosts);
}

static bool gpu_matches(const struct top_model *m, const struct top_gpu_line *g)
{
    struct str part = m->look.filter;
    return contains(g->gpu->label, part) || contains(g->gpu->name, part) ||
           contains(g->models, part);
}

// Leaves out those that were there once, and what the filter hides.
static void choose_gpus(struct top_model *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->n_gpus; i++) {
        const struct top_gpu_line *g = &m->gpus[i];
        if (is_gone(g)) {
            continue;
        }
        if (!gpu_matches(m, g)) {
            m->hidden_gpus++;
        } else {
            m->gpus[kept++] = *g;
        }
    }
    m->n_gpus = kept;
}

static double measure(enum top_sort sort, const struct sums *s, struct rate rate, i128 cost)
{
    switch (sort) {
    case TOP_SORT_TOKENS:
        return (double)sums_tokens(s);
    case TOP_SORT_REQUESTS:
        return (double)s->requests;
    case TOP_SORT_RATE:
        return rate.known ? rate.usd_per_mtok : -1;
    case TOP_SORT_COST:
        return (double)cost;
    case TOP_SORT_NAME:
    case TOP_SORTS:
        break;
    }
    return 0;
}

// GPUs keep their places unless asked otherwise: they all cost about the same.
static double gpu_measure(const struct top_model *m, const struct top_gpu_line *g)
{
    enum top_sort sort = m->look.sort == TOP_SORT_COST ? TOP_SORT_NAME : m->look.sort;
    return measure(sort, &g->bill, g->rate, 0);
}

static int by_gpu(const void *a, const void *b, void *model)
{
    const struct top_gpu_line *x = a, *y = b;
    double p = gpu_measure(model, x), q = gpu_measure(model, y);
    return p != q ? (p > q ? -1 : 1) : text_natural_cmp(x->gpu->label, y->gpu->label);
}

static i128 longest_billed(const struct top_model *m)
{
    i128 longest = 0;
    for (size_t i = 0; i < m->n_gpus; i++) {
        longest = MAX(longest, m->gpus[i].bill.busy_ns);
    }
    return longest;
}

// ---- rows -----------------------------------------------------------------------------------

static i128 line_cost(const struct top_model *m, const struct report_row *row)
{
    return m->look.basis == BASIS_LOADED ? row->loaded_nusd : row->sums.cost_nusd;
}

static double share_of(const struct top_model *m, const struct top_line *l)
{
    i128 bill = m->snapshot->groups.bill.cost_nusd;
    return l->known && bill > 0 ? (double)l->cost_nusd / (double)bill : (double)NAN;
}

static void fill_line(struct top_model *m, const struct report_row *row, struct top_cents cents,
                      struct top_line *l)
{
    *l = (struct top_line){.row = row, .cents = cents, .cost_nusd = line_cost(m, row)};
    enum report_dim dims[2];
    l->n_names = top_group_dims(m->snapshot->ask.group, dims);
    for (size_t i = 0; i < l->n_names; i++) {
        l->names[i] = row->values[i].text;
    }
    l->known = cost_known(ROW_USAGE, &row->sums);
    l->rates = m->look.basis == BASIS_LOADED ? rates_loaded(row) : rates_busy(&row->sums);
    l->share = share_of(m, l);
}

static bool line_matches(const struct top_model *m, const struct top_line *l)
{
    return contains(l->names[0], m->look.filter) ||
           (l->n_names > 1 && contains(l->names[1], m->look.filter));
}

static int by_line(const void *a, const void *b, void *model)
{
    const struct top_line *x = a, *y = b;
    const struct top_model *m = model;
    double p = measure(m->look.sort, &x->row->sums, x->rates.all, x->cost_nusd);
    double q = measure(m->look.sort, &y->row->sums, y->rates.all, y->cost_nusd);
    if (p != q) {
        return p > q ? -1 : 1;
    }
    int order = text_natural_cmp(x->names[0], y->names[0]);
    return order ? order : text_natural_cmp(x->names[1], y->names[1]);
}

static void collect_lines(struct top_model *m)
{
    const struct report *r = &m->snapshot->groups;
    AUTO_FREE i128 *exact = x_array(r->n_rows, sizeof(*exact));
    AUTO_FREE struct top_cents *cents = x_array(r->n_rows, sizeof(*cents));
    for (size_t i = 0; i < r->n_rows; i++) {
        exact[i] = r->rows[i].kind == ROW_UNPLACED ? 0 : line_cost(m, &r->rows[i]);
    }
    share_cents(m, exact, r->n_rows, cents);
    for (size_t i = 0; i < r->n_rows; i++) {
        if (r->rows[i].kind != ROW_UNPLACED) {
            add_cents(&m->kinds[r->rows[i].kind], cents[i]);
        }
        if (r->rows[i].kind != ROW_USAGE) {
            continue;
        }
        struct top_line *l = &m->lines[m->n_lines];
        fill_line(m, &r->rows[i], cents[i], l);
        if (line_matches(m, l)) {
            m->n_lines++;
        } else {
            m->hidden_lines++;
            add_cents(&m->hidden, cents[i]);
        }
    }
}

void top_line_label(const struct top_line *l, struct buf *b)
{
    for (size_t i = 0; i < l->n_names; i++) {
        buf_cstr(b, i > 0 ? " / " : "");
        buf_str(b, str_present(l->names[i]) ? l->names[i] : STR("-"));
    }
}

// ---- all of it ------------------------------------------------------------------------------

static void total(struct top_model *m)
{
    const struct report *r = &m->snapshot->groups;
    double time = (double)r->bill.busy_ns;
    m->known = cost_known(ROW_USAGE, &r->bill) && r->bill.busy_ns > 0 && m->span_ns > 0;
    m->loaded = rates_busy(&r->bill).all;
    m->busy = time > 0 ? (double)r->kinds[ROW_USAGE].busy_ns / time : (double)NAN;
    m->idle = time > 0 ? (double)r->kinds[ROW_IDLE].busy_ns / time : (double)NAN;
    m->bill.window = digits_round(r->bill.cost_nusd, CENT_NUSD);
    if (m->span_ns > 0) {
        m->bill.hour = digits_round(r->bill.cost_nusd * NS_PER_HOUR, hour_unit(m));
    }
}

void top_model_init(struct top_model *m, const struct top_snapshot *s, const struct top_look *look)
{
    size_t most = s->n_gpus + s->placed.n_rows;
    *m = (struct top_model){.snapshot = s, .look = *look};
    m->look.filter = str_present(look->filter) ? look->filter : STR("");
    m->gpus = x_array(most, sizeof(*m->gpus));
    m->lines = x_array(s->groups.n_rows + 1, sizeof(*m->lines));
    AUTO_FREE struct serving *models = x_array(most, sizeof(*models));
    collect_gpus(m, models);
    m->span_ns = span_of(s, longest_billed(m));
    total(m);
    for (size_t i = 0; i < m->n_gpus; i++) {
        finish_gpu(m, &m->gpus[i], &models[i]);
    }
    price_gpus(m);
    count_gpus(m);
    top_notes(m);
    choose_gpus(m);
    collect_lines(m);
    if (m->n_gpus > 0) {
        qsort_r(m->gpus, m->n_gpus, sizeof(*m->gpus), by_gpu, m);
    }
    if (m->n_lines > 0) {
        qsort_r(m->lines, m->n_lines, sizeof(*m->lines), by_line, m);
    }
}

void top_model_done(struct top_model *m)
{
    arena_done(&m->arena);
    free(m->gpus);
    free(m->lines);
    *m = (struct top_model){0};
}
