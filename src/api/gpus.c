// /api/v1/gpus: each GPU as it was last heard of, the price in force, and what it cost since local
// midnight, provisional windows included.

#include "api/api_impl.h"
#include "model/mig.h"
#include "report/rates.h"

enum { PRICE_FROM_SAMPLE, PRICE_FROM_BOOK, PRICE_FROM_DEFAULT, PRICE_UNKNOWN };
static const char *const sources[] = {"sample", "book", "default", NULL};

struct params {
    const struct zone *zone;
};

static const struct param params[] = {
    {.name = "tz",
     .type = PARAM_ZONE,
     .offset = offsetof(struct params, zone),
     .fallback = "UTC",
     .help = "the time zone whose midnight today begins at: UTC, +02:00 or Europe/Berlin"},
    {0},
};

// What all of them are looked at with.
struct view {
    struct report today; // by GPU and model; rows of one GPU stand together
    bool with_today;     // false: it is of less than a day
    struct price_book book;
    const struct settings *settings;
    struct gpu_info *gpus;
    size_t n;
    int64_t now;
    const struct zone *zone;
};

struct price {
    int64_t nusd;
    int source;
    int64_t entry; // of the book
};

static struct price price_of(const struct view *v, const struct gpu_sample *s)
{
    char room[MIG_NAME_MAX];
    if (s->has & SAMPLE_PRICE) {
        return (struct price){s->price_nusd_hour, PRICE_FROM_SAMPLE, 0};
    }
    struct price_found found = price_at(&v->book, v->settings->default_price_nusd,
                                        mig_sample_name(s, room), s->site, v->now);
    if (found.nusd_hour == PRICE_NONE) {
        return (struct price){PRICE_NONE, PRICE_UNKNOWN, 0};
    }
    return found.entry ? (struct price){found.nusd_hour, PRICE_FROM_BOOK, found.entry->id}
                       : (struct price){found.nusd_hour, PRICE_FROM_DEFAULT, 0};
}

static const char *state_of(const struct view *v, const struct gpu_sample *s, struct price price)
{
    if (v->now - s->ts > v->settings->gpu_timeout_ns) {
        return "silent";
    }
    if (price.source == PRICE_UNKNOWN) {
        return "unpriced";
    }
    return s->has & SAMPLE_UTILIZATION && s->utilization > 0 ? "busy" : "idle";
}

// ---- today -------------------------------------------------------------------------------------

struct day {
    struct sums usage, idle, unattributed, all;
};

static const struct report_row *first_row(const struct view *v, struct str gpu)
{
    for (size_t i = 0; i < v->today.n_rows; i++) {
        if (str_eq(v->today.rows[i].values[0].text, gpu)) {
            return &v->today.rows[i];
        }
    }
    return NULL;
}

static bool is_of(const struct view *v, const struct report_row *row, struct str gpu)
{
    return row && row < v->today.rows + v->today.n_rows && str_eq(row->values[0].text, gpu);
}

static void put_models(struct json *j, const struct view *v, struct str gpu)
{
    json_open(j, "models", '[');
    for (const struct report_row *r = first_row(v, gpu); is_of(v, r, gpu); r++) {
        if (r->kind == ROW_USAGE) {
            json_str(j, NULL, r->values[1].text);
        }
    }
    json_close(j, ']');
}

static void put_today(struct json *j, const struct view *v, struct str gpu)
{
    struct day d = {0};
    for (const struct report_row *r = first_row(v, gpu); is_of(v, r, gpu); r++) {
        sums_add(&d.all, &r->sums);
        sums_add(r->kind == ROW_USAGE  ? &d.usage
                 : r->kind == ROW_IDLE ? &d.idle
                                       : &d.unattributed,
                 &r->sums);
    }
    struct rate rate = rates_busy(&d.all).all;
    json_open(j, "today", '{');
    json_money(j, "cost", cost_known(ROW_USAGE, &d.all), d.all.cost_nusd);
    json_money(j, "idle", cost_known(ROW_IDLE, &d.idle), d.idle.cost_nusd);
    json_money(j, "unattributed", cost_known(ROW_UNATTRIBUTED, &d.unattributed),
               d.unattributed.cost_nusd);
    json_double_known(j, "idle_share", d.all.busy_ns > 0,
                      d.all.busy_ns > 0 ? (double)d.idle.busy_ns / (double)d.all.busy_ns : 0);
    json_int(j, "requests", d.usage.requests);
    json_int(j, "tokens", sums_tokens(&d.usage));
    json_double_known(j, "usd_per_mtok", rate.known, rate.usd_per_mtok);
    json_close(j, '}');
}

// ---- writing -----------------------------------------------------------------------------------

static void put_newest(struct json *j, const struct gpu_sample *s)
{
    json_str(j, "name", s->name);
    json_str(j, "uuid", s->uuid);
    json_str(j, "site", s->site);
    json_str(j, "mig_profile", s->mig_profile);
    json_double_known(j, "utilization", s->has & SAMPLE_UTILIZATION, s->utilization);
    json_double_known(j, "mem_used_mb", s->has & SAMPLE_MEM_USED, s->mem_used_mb);
    json_double_known(j, "mem_total_mb", s->has & SAMPLE_MEM_TOTAL, s->mem_total_mb);
    json_double_known(j, "power_w", s->has & SAMPLE_POWER, s->power_w);
    json_double_known(j, "temperature_c", s->has & SAMPLE_TEMPERATURE, s->temperature_c);
}

static void put_price(struct json *j, struct price p)
{
    if (p.source == PRICE_UNKNOWN) {
        json_null(j, "price_per_hour_usd");
    } else {
        json_decimal(j, "price_per_hour_usd", p.nusd, JSON_USD_SCALE);
    }
    json_str(j, "price_source", str_of(sources[p.source]));
    if (p.source == PRICE_FROM_BOOK) {
        json_int(j, "price_entry", p.entry);
    } else {
        json_null(j, "price_entry");
    }
}

static void put_gpu(struct json *j, const struct view *v, const struct gpu_info *g)
{
    const struct gpu_sample *s = &g->newest;
    struct price price = price_of(v, s);
    struct buf name;
    buf_init(&name, 4 * RECORD_TEXT_MAX);
    report_gpu_name(&name, &s->gpu);
    json_open(j, NULL, '{');
    json_str(j, "gpu", buf_view(&name));
    json_str(j, "host", s->gpu.host);
    json_int(j, "gpu_index", s->gpu.index);
    if (s->gpu.instance == GPU_INSTANCE_NONE) {
        json_null(j, "gpu_instance");
    } else {
        json_int(j, "gpu_instance", s->gpu.instance);
    }
    json_str(j, "state", str_of(state_of(v, s, price)));
    json_time(j, "last_seen", s->ts);
    json_time(j, "first_seen", g->first_seen);
    put_newest(j, s);
    put_price(j, price);
    if (v->with_today) {
        put_today(j, v, buf_view(&name));
    }
    put_models(j, v, buf_view(&name));
    json_close(j, '}');
    buf_done(&name);
}

static int load_gpus(struct store *s, struct arena *a, struct view *v, struct error *err)
{
    struct settings_history history;
    int r = store_gpus(s, a, &v->gpus, &v->n, err);
    r = r < 0 ? r : store_prices(s, a, &v->book, err);
    r = r < 0 ? r : store_settings(s, a, &history, err);
    if (r == 0) {
        v->settings = history.n > 0 ? settings_at(&history, v->now) : &settings_default;
    }
    return r;
}

static void put_items(struct json *j, const struct view *v)
{
    json_open(j, "items", '[');
    for (size_t i = 0; i < v->n; i++) {
        put_gpu(j, v, &v->gpus[i]);
    }
    json_close(j, ']');
}

static void count(struct api_gpu_counts *c, const char *state)
{
    *(strcmp(state, "busy") == 0     ? &c->busy
      : strcmp(state, "idle") == 0   ? &c->idle
      : strcmp(state, "silent") == 0 ? &c->silent
                                     : &c->unpriced) += 1;
}

int api_gpus_now(struct store *s, struct arena *a, int64_t now, const struct report *recent,
                 struct buf *b, struct api_gpu_counts *ret, struct error *err)
{
    struct view v = {.now = now, .zone = &zone_utc, .today = *recent};
    struct json j = {.b = b};
    int r = load_gpus(s, a, &v, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < v.n; i++) {
        const struct gpu_sample *g = &v.gpus[i].newest;
        count(ret, state_of(&v, g, price_of(&v, g)));
    }
    json_open(&j, NULL, '{');
    put_items(&j, &v);
    json_close(&j, '}');
    return 0;
}

static int load(struct api_task *t, struct view *v, struct error *err)
{
    struct time_spec midnight = {.kind = TIME_DAY};
    struct report_query q = {.by = {DIM_GPU, DIM_MODEL},
                             .n_by = 2,
                             .to = t->now,
                             .zone = v->zone,
                             .provisional = true,
                             .now = t->now,
                             .sort = SORT_NAME};
    q.from = time_spec_resolve(&midnight, v->zone, t->now, 0);
    q.from = MIN(q.from, q.to - 1);
    int r = load_gpus(t->store, &t->arena, v, err);
    return r < 0 ? r : report_load(t->store, &q, &t->arena, &v->today, err);
}

static void answer(struct api_task *t)
{
    const struct params *p = t->params;
    struct view v = {.with_today = true, .now = t->now, .zone = p->zone};
    struct error err = {0};
    struct buf b;
    if (api_unchanged(t, (uint64_t)(t->now / NS_PER_S))) {
        return;
    }
    if (load(t, &v, &err) < 0) {
        api_fail(t, &err);
        return;
    }
    buf_init(&b, API_ANSWER_MAX);
    struct json j = {.b = &b};
    json_open(&j, NULL, '{');
    put_items(&j, &v);
    json_time(&j, "at", t->now);
    json_str(&j, "tz", str_of(p->zone->name));
    json_close(&j, '}');
    api_send(t, &b);
}

static const char schema[] =
    "{\"type\":\"object\",\"required\":[\"items\",\"at\",\"tz\"],\"properties\":{"
    "\"items\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Gpu\"}},"
    "\"at\":{\"$ref\":\"#/components/schemas/Time\"},\"tz\":{\"type\":\"string\"}}}";

const struct api_route route_gpus = {
    .method = "GET",
    .path = "/api/v1/gpus",
    .name = "gpus",
    .summary = "Every GPU: its state, the price in force, and what it cost today",
    .params = params,
    .size = sizeof(struct params),
    .schema = schema,
    .answer = answer,
};
