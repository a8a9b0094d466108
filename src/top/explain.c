// Where the cost of what is chosen comes from, in sentences with exact numbers.
#include <math.h>

#include "base/decimal.h"
#include "report/digits.h"
#include "top/view_impl.h"

enum { SENTENCE_MAX = 8192, GPUS_NAMED = 8 };

struct telling {
    const struct top_view *view;
    view_paragraph *put;
    void *ctx;
    struct buf b;
};

static void say(struct telling *t)
{
    t->put(t->ctx, LOOK_PLAIN, &t->b);
}

static void put_exact(struct buf *b, i128 nusd)
{
    buf_char(b, '$');
    digits_grouped(b, nusd, 9);
}

static void put_span(struct telling *t)
{
    const struct top_snapshot *s = t->view->model->snapshot;
    buf_cstr(&t->b, "From ");
    zone_format(&t->b, t->view->zone, s->from, s->at);
    buf_cstr(&t->b, " to ");
    zone_format_near(&t->b, t->view->zone, s->to, s->from, s->at);
    buf_printf(&t->b, " %s, ", t->view->zone->name);
}

static void say_open(struct telling *t, const struct sums *s)
{
    buf_cstr(&t->b, s->open
                        ? "A part of this is provisional: it changes until its windows are final."
                        : "All of this is final.");
    say(t);
}

static void say_split(struct telling *t)
{
    const struct report *r = &t->view->model->snapshot->groups;
    if (r->n_splits == 0) {
        return;
    }
    const struct settings *s = &r->splits[r->n_splits - 1];
    buf_cstr(&t->b, "Requests that run on a GPU at the same time share its price ");
    if (s->method == METHOD_EQUAL) {
        buf_cstr(&t->b, "in equal parts.");
    } else {
        buf_printf(&t->b, "by their tokens, an output token weighing %g times an input token.",
                   (double)s->weight_out / (double)s->weight_in);
    }
    say(t);
}

// ---- a row ----------------------------------------------------------------------------------

static void say_cost(struct telling *t, const struct top_line *l)
{
    const struct sums *s = &l->row->sums;
    put_span(t);
    top_line_label(l, &t->b);
    buf_cstr(&t->b, " had ");
    digits_duration(&t->b, (int64_t)s->busy_ns);
    buf_cstr(&t->b, " of GPU time");
    if (!cost_known(ROW_USAGE, s)) {
        buf_cstr(&t->b, ", which has no price, so that its cost is not known.");
        say(t);
        return;
    }
    buf_cstr(&t->b, ", which cost ");
    put_exact(&t->b, s->cost_nusd);
    buf_cstr(&t->b, ": ");
    put_exact(&t->b, s->cost_in_nusd);
    buf_cstr(&t->b, " for what went in and ");
    put_exact(&t->b, s->cost_out_nusd);
    buf_cstr(&t->b, " for what came out.");
    say(t);
}

static void say_loaded(struct telling *t, const struct top_line *l)
{
    const struct report *r = &t->view->model->snapshot->groups;
    if (!cost_known(ROW_USAGE, &l->row->sums)) {
        return;
    }
    buf_cstr(&t->b, "With its part of idle and unattributed time, in proportion to cost, it is ");
    put_exact(&t->b, l->row->loaded_nusd);
    buf_cstr(&t->b, " of a bill of ");
    put_exact(&t->b, r->bill.cost_nusd);
    if (r->bill.cost_nusd > 0) {
        buf_printf(&t->b, ", %.1f %%",
                   100 * (double)l->row->loaded_nusd / (double)r->bill.cost_nusd);
    }
    buf_char(&t->b, '.');
    say(t);
}

static void say_tokens(struct telling *t, const struct top_line *l)
{
    const struct sums *s = &l->row->sums;
    struct rates busy = rates_busy(s), loaded = rates_loaded(l->row);
    digits_count(&t->b, s->requests, "request");
    buf_cstr(&t->b, " ended, with ");
    digits_grouped(&t->b, s->prompt_tokens, 0);
    buf_cstr(&t->b, " tokens in (");
    digits_grouped(&t->b, s->cached_prompt_tokens, 0);
    buf_cstr(&t->b, " of them cached) and ");
    digits_grouped(&t->b, s->completion_tokens, 0);
    buf_cstr(&t->b, " out. For a million tokens that is $");
    view_rate(&t->b, busy.all);
    buf_cstr(&t->b, " (in ");
    view_rate(&t->b, busy.in);
    buf_cstr(&t->b, ", out ");
    view_rate(&t->b, busy.out);
    buf_cstr(&t->b, "), loaded $");
    view_rate(&t->b, loaded.all);
    buf_char(&t->b, '.');
    say(t);
}

static bool on_gpu(const struct report_row *row, struct str model)
{
    return row->kind == ROW_USAGE && str_eq(row->values[1].text, model);
}

// Which of a row's names is a model; absent: none.
static struct str model_of(const struct top_line *l, enum top_group group)
{
    return group == TOP_BY_TENANT ? STR_NONE : l->names[group == TOP_BY_GPU_MODEL ? 1 : 0];
}

static void say_gpus(struct telling *t, struct str model)
{
    const struct report *r = &t->view->model->snapshot->placed;
    size_t n = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_row *row = &r->rows[i];
        if (!on_gpu(row, model) || n++ >= GPUS_NAMED) {
            continue;
        }
        buf_str(&t->b, n == 1 ? model : STR(""));
        buf_cstr(&t->b, n == 1 ? " ran on " : ", ");
        buf_str(&t->b, row->values[0].text);
        buf_cstr(&t->b, cost_known(ROW_USAGE, &row->sums) ? " (" : " (no price");
        if (cost_known(ROW_USAGE, &row->sums)) {
            put_exact(&t->b, row->sums.cost_nusd);
        }
        buf_char(&t->b, ')');
    }
    if (n > GPUS_NAMED) {
        buf_printf(&t->b, " and %zu more GPUs", n - GPUS_NAMED);
    }
    if (n > 0) {
        buf_char(&t->b, '.');
        say(t);
    }
}

static void tell_line(struct telling *t, const struct top_line *l)
{
    const struct top_snapshot *s = t->view->model->snapshot;
    struct str model = model_of(l, s->ask.group);
    say_cost(t, l);
    say_loaded(t, l);
    say_tokens(t, l);
    if (str_present(model)) {
        say_gpus(t, model);
    }
    say_split(t);
    say_open(t, &l->row->sums);
}

// ---- a GPU ----------------------------------------------------------------------------------

static void say_price(struct telling *t, const struct top_gpu *g)
{
    static const char *const sources[] = {
        [TOP_PRICE_UNKNOWN] = "",
        [TOP_PRICE_SAMPLE] = ", as its own samples say",
        [TOP_PRICE_BOOK] = ", as the price book says",
        [TOP_PRICE_DEFAULT] = ", the price of GPUs that nothing else names one for",
    };
    buf_str(&t->b, g->label);
    buf_cstr(&t->b, " is ");
    buf_str(&t->b, str_present(g->name) ? g->name : STR("a GPU that did not say what it is"));
    if (g->price_nusd_hour == PRICE_NONE) {
        buf_cstr(&t->b, ". It has no price.");
    } else {
        buf_cstr(&t->b, " at $");
        decimal_format_short(&t->b, g->price_nusd_hour, 9);
        buf_printf(&t->b, " an hour%s.", sources[g->price_source]);
    }
    say(t);
}

static void put_kind(struct telling *t, const char *what, const struct sums *s)
{
    digits_duration(&t->b, (int64_t)s->busy_ns);
    buf_printf(&t->b, " %s (", what);
    put_exact(&t->b, s->cost_nusd);
    buf_char(&t->b, ')');
}

static void say_bill(struct telling *t, const struct top_gpu_line *l)
{
    put_span(t);
    if (!l->billed) {
        buf_cstr(&t->b, "it was not billed: nothing was heard of it.");
        say(t);
        return;
    }
    buf_cstr(&t->b, "it was billed for ");
    digits_duration(&t->b, (int64_t)l->bill.busy_ns);
    buf_cstr(&t->b, ", ");
    put_exact(&t->b, l->bill.cost_nusd);
    buf_cstr(&t->b, ": ");
    put_kind(t, "of requests", &l->parts[ROW_USAGE]);
    buf_cstr(&t->b, ", ");
    put_kind(t, "idle", &l->parts[ROW_IDLE]);
    buf_cstr(&t->b, ", ");
    put_kind(t, "without telemetry", &l->parts[ROW_UNATTRIBUTED]);
    buf_char(&t->b, '.');
    say(t);
    if (l->bill.unpriced_ns > 0) {
        digits_duration(&t->b, (int64_t)l->bill.unpriced_ns);
        buf_cstr(&t->b, " of it has no price and is not in these sums.");
        say(t);
    }
}

static void say_sample(struct telling *t, const struct top_gpu_line *l)
{
    if (l->age_ns == INT64_MAX) {
        buf_cstr(&t->b, "No sample of it has come: it is known by its requests.");
    } else {
        buf_cstr(&t->b, "Its newest sample is of ");
        zone_format(&t->b, t->view->zone, l->gpu->last_seen / NS_PER_S * NS_PER_S,
                    t->view->model->snapshot->at);
        buf_cstr(&t->b, l->silent ? ", too old to say anything about now." : ".");
    }
    say(t);
}

static void say_models(struct telling *t, struct str label)
{
    const struct report *r = &t->view->model->snapshot->placed;
    size_t n = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_row *row = &r->rows[i];
        if (row->kind != ROW_USAGE || !str_eq(row->values[0].text, label)) {
            continue;
        }
        buf_cstr(&t->b, n++ == 0 ? "It served " : ", ");
        buf_str(&t->b, row->values[1].text);
        buf_cstr(&t->b, " (");
        digits_count(&t->b, row->sums.requests, "request");
        buf_cstr(&t->b, ", ");
        put_exact(&t->b, row->sums.cost_nusd);
        buf_char(&t->b, ')');
    }
    if (n > 0) {
        buf_char(&t->b, '.');
        say(t);
    }
}

static void tell_gpu(struct telling *t, const struct top_gpu_line *l)
{
    say_price(t, l->gpu);
    say_bill(t, l);
    say_models(t, l->gpu->label);
    say_sample(t, l);
    say_open(t, &l->bill);
}

void view_explain(const struct top_view *v, const struct top_state *s, view_paragraph *put,
                  void *ctx)
{
    struct telling t = {.view = v, .put = put, .ctx = ctx};
    const struct top_model *m = v->model;
    buf_init(&t.b, SENTENCE_MAX);
    if (m == NULL || s->chosen >= m->n_gpus + m->n_lines) {
        buf_cstr(&t.b, "There is nothing to explain yet.");
        say(&t);
    } else if (s->chosen < m->n_gpus) {
        tell_gpu(&t, &m->gpus[s->chosen]);
    } else {
        tell_line(&t, &m->lines[s->chosen - m->n_gpus]);
    }
    buf_done(&t.b);
}
