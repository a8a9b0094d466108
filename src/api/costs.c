// /api/v1/costs: what a report says, as rows and totals that add up to the bill.
#include <errno.h>

#include "api/api_impl.h"
#include "report/report_json.h"

#define RANGE_MAX (3660 * NS_PER_DAY)
enum { GROUPS_MAX = 10000, FILTER_NAMES = 6, ROW_BYTES = 800 };

struct params {
    struct time_spec since, until;
    const struct zone *zone;
    int64_t step, limit;
    struct dims by;
    int basis;
    bool provisional;
    struct texts chosen[FILTER_NAMES];
};

static const enum report_dim filter_dims[FILTER_NAMES] = {DIM_MODEL, DIM_TENANT, DIM_GPU,
                                                          DIM_HOST,  DIM_SITE,   DIM_KIND};
static const char *const bases[] = {"busy", "loaded", NULL};

#define AT(member) offsetof(struct params, member)
#define CHOSEN(i, text)                                                                            \
    .type = PARAM_TEXTS, .offset = AT(chosen) + (i) * sizeof(struct texts), .help = text

static const struct param params[] = {
    {.name = "since",
     .type = PARAM_TIME,
     .offset = AT(since),
     .fallback = "24h",
     .help = "the beginning, widened to whole windows: 24h or 7d (before now), today, a date, or a "
             "time as RFC 3339 has it"},
    {.name = "until",
     .type = PARAM_TIME,
     .offset = AT(until),
     .fallback = "now",
     .help = "the end, written like since"},
    {.name = "tz",
     .type = PARAM_ZONE,
     .offset = AT(zone),
     .fallback = "UTC",
     .help = "the time zone of steps, of dates and of today: UTC, +02:00 or Europe/Berlin"},
    {.name = "step",
     .type = PARAM_STEP,
     .offset = AT(step),
     .fallback = "none",
     .help = "rows for each step of time: none, window, or a time that divides a day, such as 15m, "
             "1h or 1d"},
    {.name = "by",
     .type = PARAM_DIMS,
     .offset = AT(by),
     .fallback = "model",
     .help = "dimensions to group by, separated by commas: model, tenant, gpu, host, site, kind; "
             "none for the totals alone"},
    {.name = "basis",
     .type = PARAM_CHOICE,
     .offset = AT(basis),
     .fallback = "busy",
     .choices = bases,
     .help = "what the rates are made of: what requests cost, or with their share of idle and "
             "unattributed time"},
    {.name = "model", CHOSEN(0, "rows of this model alone; again for others")},
    {.name = "tenant", CHOSEN(1, "rows of this tenant alone; empty: of requests without one")},
    {.name = "gpu", CHOSEN(2, "rows of this GPU alone: gpu-01/0, or gpu-01/0:3 for a MIG slice")},
    {.name = "host", CHOSEN(3, "rows of this host alone")},
    {.name = "site", CHOSEN(4, "rows of this site alone")},
    {.name = "kind", CHOSEN(5, "usage, idle, unattributed or unplaced")},
    {.name = "limit",
     .type = PARAM_INT,
     .offset = AT(limit),
     .fallback = "0",
     .least = 0,
     .most = GROUPS_MAX,
     .help = "show so many groups (with a step: series), add up the others; 0 shows all"},
    {.name = "provisional",
     .type = PARAM_FLAG,
     .offset = AT(provisional),
     .fallback = "false",
     .help = "with the windows that are not final yet"},
    {0},
};

// ---- writing -----------------------------------------------------------------------------------

static void put_sums(struct json *j, enum row_kind kind, const struct sums *s)
{
    bool known = cost_known(kind, s);
    json_int(j, "requests", s->requests);
    json_int(j, "prompt_tokens", s->prompt_tokens);
    json_int(j, "completion_tokens", s->completion_tokens);
    json_int(j, "cached_prompt_tokens", s->cached_prompt_tokens);
    json_money(j, "cost", known, s->cost_nusd);
    json_money(j, "cost_in", known, s->cost_in_nusd);
    json_money(j, "cost_out", known, s->cost_out_nusd);
    json_int(j, "busy_ns", s->busy_ns);
    json_int(j, "unpriced_ns", s->unpriced_ns);
    json_int(j, "unpriced_requests", s->unpriced_requests);
    json_double_known(j, "energy_j", s->has_energy, s->energy_j);
    json_bool(j, "final", !s->open);
}

static void put_rates(struct json *j, struct rates r)
{
    report_json_rate(j, "usd_per_mtok", r.all);
    report_json_rate(j, "usd_per_mtok_in", r.in);
    report_json_rate(j, "usd_per_mtok_out", r.out);
}

static void put_row(struct json *j, const struct report *r, const struct report_row *row, int basis)
{
    bool timed = report_folds_by_time(&r->query);
    struct rates none = {0};
    json_open(j, NULL, '{');
    if (timed) {
        json_time(j, "time", row->values[0].time);
    }
    json_str(j, "kind", str_of(row_kind_name(row->kind)));
    for (size_t i = timed; i < r->query.n_by; i++) {
        if (r->query.by[i] != DIM_KIND) {
            struct str text = row->others > 0 ? STR_NONE : row->values[i].text;
            json_str(j, report_dim_name(r->query.by[i]), text);
        }
    }
    put_sums(j, row->kind, &row->sums);
    json_money(j, "loaded", cost_known(row->kind, &row->sums), row->loaded_nusd);
    put_rates(j, row->kind != ROW_USAGE ? none
                 : basis == 0           ? rates_busy(&row->sums)
                                        : rates_loaded(row));
    json_int(j, "others", (i128)row->others);
    json_close(j, '}');
}

static void put_total(struct json *j, enum row_kind kind, const struct sums *s, bool rates)
{
    put_sums(j, kind, s);
    put_rates(j, rates ? rates_busy(s) : (struct rates){0});
}

static void put_totals(struct json *j, const struct report *r)
{
    json_open(j, "totals", '{');
    report_json_totals(j, r, put_total);
    report_json_total(j, "unfiltered_bill", ROW_USAGE, &r->whole, true, put_total);
    json_close(j, '}');
}

static void put_step(struct json *j, int64_t step)
{
    struct buf text;
    buf_init(&text, 64);
    if (step > 0) {
        duration_format(&text, step);
    } else {
        buf_cstr(&text, step == 0 ? "none" : "window");
    }
    json_str(j, "step", buf_view(&text));
    buf_done(&text);
}

static void put_report(struct json *j, const struct report *r, const struct params *p)
{
    json_open(j, NULL, '{');
    json_instant(j, "since", r->empty ? r->query.from : r->from);
    json_instant(j, "until", r->empty ? r->query.to : r->to);
    json_str(j, "tz", str_of(p->zone->name));
    put_step(j, p->step);
    json_open(j, "by", '[');
    for (size_t i = 0; i < p->by.n; i++) {
        json_str(j, NULL, str_of(report_dim_name(p->by.v[i])));
    }
    json_close(j, ']');
    json_str(j, "basis", str_of(bases[p->basis]));
    json_instant(j, "final_until", r->final_until);
    json_bool(j, "provisional", r->has_open);
    json_int(j, "corrections", r->corrections);
    report_json_splits(j, r);
    json_int(j, "gpus", (i128)r->n_gpus);
    json_int(j, "hosts", (i128)r->n_hosts);
    json_open(j, "rows", '[');
    for (size_t i = 0; i < r->n_rows; i++) {
        put_row(j, r, &r->rows[i], p->basis);
    }
    json_close(j, ']');
    put_totals(j, r);
    json_close(j, '}');
}

// ---- asking ------------------------------------------------------------------------------------

static void add_filters(struct api_task *t, const struct params *p, struct report_query *q)
{
    struct report_filter *filters =
        arena_alloc(&t->arena, FILTER_NAMES * PARAM_TEXTS_MAX * sizeof(*filters));
    for (size_t i = 0; i < FILTER_NAMES; i++) {
        for (size_t k = 0; k < p->chosen[i].n; k++) {
            filters[q->n_filters++] = (struct report_filter){filter_dims[i], p->chosen[i].v[k]};
        }
    }
    q->filters = filters;
}

static void make_query(struct api_task *t, const struct params *p, struct report_query *q)
{
    if (p->step != 0) {
        q->by[q->n_by++] = DIM_TIME;
        q->step = p->step;
    }
    for (size_t i = 0; i < p->by.n; i++) {
        q->by[q->n_by++] = p->by.v[i];
    }
    q->zone = p->zone;
    q->limit = (size_t)p->limit;
    q->max = GROUPS_MAX;
    q->provisional = p->provisional;
    q->now = t->now;
    add_filters(t, p, q);
}

// Windows are whole seconds: within one, the same range is asked for.
static uint64_t range_of(const struct report_query *q)
{
    return (uint64_t)(q->from / NS_PER_S) * UINT64_C(1000003) + (uint64_t)(q->to / NS_PER_S);
}

static void answer(struct api_task *t)
{
    const struct params *p = t->params;
    struct report_query q = {.n_by = 0};
    struct report report;
    struct error err = {0};
    struct buf b;
    if (!api_range(t, &p->since, &p->until, p->zone, RANGE_MAX, &q.from, &q.to)) {
        return;
    }
    make_query(t, p, &q);
    if (api_unchanged(t, range_of(&q))) {
        return;
    }
    if (report_load(t->store, &q, &t->arena, &report, &err) < 0) {
        api_fail(t, &err);
        return;
    }
    buf_init(&b, API_ANSWER_MAX);
    // At once, what it will mostly be: growing would copy it again and again.
    (void)!buf_reserve(&b, MIN(report.n_rows * ROW_BYTES, (size_t)API_ANSWER_MAX));
    put_report(&(struct json){.b = &b}, &report, p);
    api_send(t, &b);
}

static const char schema[] =
    "{\"type\":\"object\",\"required\":[\"since\",\"until\",\"tz\",\"step\",\"by\",\"basis\","
    "\"final_until\",\"provisional\",\"corrections\",\"splits\",\"gpus\",\"hosts\",\"rows\","
    "\"totals\"],\"properties\":{"
    "\"since\":{\"$ref\":\"#/components/schemas/Time\"},"
    "\"until\":{\"$ref\":\"#/components/schemas/Time\"},"
    "\"tz\":{\"type\":\"string\"},\"step\":{\"type\":\"string\"},"
    "\"by\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
    "\"basis\":{\"enum\":[\"busy\",\"loaded\"]},"
    "\"final_until\":{\"$ref\":\"#/components/schemas/Time\"},"
    "\"provisional\":{\"type\":\"boolean\",\"description\":\"rows of windows that are not final "
    "are "
    "among these\"},"
    "\"corrections\":{\"type\":\"integer\",\"description\":\"stored rows that were settled "
    "again\"},"
    "\"splits\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"effective_"
    "from\","
    "\"method\",\"weight_in\",\"weight_out\"]}},"
    "\"gpus\":{\"type\":\"integer\"},\"hosts\":{\"type\":\"integer\"},"
    "\"rows\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/CostRow\"}},"
    "\"totals\":{\"type\":\"object\",\"required\":[\"requests\",\"idle\",\"unattributed\","
    "\"unplaced\",\"bill\",\"unfiltered_bill\"],"
    "\"additionalProperties\":{\"$ref\":\"#/components/schemas/Sums\"}}}}";

const struct api_route route_costs = {
    .method = "GET",
    .path = "/api/v1/costs",
    .name = "costs",
    .summary = "What tokens cost: rows and, with idle and unattributed ones, totals that add up to "
               "the bill",
    .params = params,
    .size = sizeof(struct params),
    .schema = schema,
    .answer = answer,
};
