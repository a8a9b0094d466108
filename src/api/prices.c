// /api/v1/prices: the price book, what is in force, and GPUs without a price; and an entry more,
// which is written only when asked to, after it was said what recomputing would change.
#include <errno.h>

#include "api/api_impl.h"
#include "base/alloc.h"
#include "base/decimal.h"
#include "base/flat_json.h"
#include "model/mig.h"
#include "pipeline/rederive.h"
#include "report/request_json.h"

// What a dry run looks at, at most: the newest of it.
#define DRY_RUN_MAX (31 * NS_PER_DAY)
enum { BODY_MAX = 64 << 10, COMMAND_MAX = 2048 };

static void put_price(struct json *j, const char *name, int64_t nusd)
{
    if (nusd == PRICE_NONE) {
        json_null(j, name);
    } else {
        json_decimal(j, name, nusd, JSON_USD_SCALE);
    }
}

static void put_entry(struct json *j, const struct price_entry *e)
{
    if (e->id > 0) {
        json_int(j, "id", e->id);
    } else {
        json_null(j, "id");
    }
    json_time(j, "effective_from", e->effective_from);
    json_str(j, "name", e->name);
    json_str(j, "site", e->site);
    put_price(j, "price_per_hour_usd", e->price_nusd_hour);
    json_str(j, "source", e->source);
    json_time(j, "added_at", e->added_at);
}

// ---- reading -----------------------------------------------------------------------------------

struct view {
    struct price_book book;
    struct settings_history settings;
    struct gpu_info *gpus;
    size_t n_gpus;
    int64_t now;
};

static int load(struct api_task *t, struct view *v, struct error *err)
{
    struct store *s = t->store;
    v->now = t->now;
    int r = store_hold(s, err);
    if (r < 0) {
        return r;
    }
    r = store_prices(s, &t->arena, &v->book, err);
    r = r < 0 ? r : store_settings(s, &t->arena, &v->settings, err);
    r = r < 0 ? r : store_gpus(s, &t->arena, &v->gpus, &v->n_gpus, err);
    store_release(s);
    return r;
}

// Of the entries for one name and site the newest that holds by now, the one added last.
static bool in_force(const struct view *v, const struct price_entry *e)
{
    bool beaten = e->effective_from > v->now;
    for (size_t i = 0; i < v->book.n && !beaten; i++) {
        const struct price_entry *o = &v->book.entries[i];
        bool later = o->effective_from != e->effective_from ? o->effective_from > e->effective_from
                                                            : o->id > e->id;
        beaten = o->effective_from <= v->now && later && str_eq(o->name, e->name) &&
                 str_eq(o->site, e->site);
    }
    return !beaten;
}

static int64_t default_price(const struct view *v)
{
    return v->settings.n ? settings_at(&v->settings, v->now)->default_price_nusd : PRICE_NONE;
}

// Of a GPU whose samples state none.
static struct price_found price_of(const struct view *v, const struct gpu_sample *g)
{
    char room[MIG_NAME_MAX];
    return price_at(&v->book, default_price(v), mig_sample_name(g, room), g->site, v->now);
}

static size_t count_gpus(const struct view *v, const struct price_entry *e)
{
    size_t n = 0;
    for (size_t i = 0; i < v->n_gpus; i++) {
        const struct gpu_sample *g = &v->gpus[i].newest;
        n += !(g->has & SAMPLE_PRICE) && price_of(v, g).entry == e;
    }
    return n;
}

static void put_unpriced(struct json *j, const struct view *v)
{
    json_open(j, "unpriced", '[');
    for (size_t i = 0; i < v->n_gpus; i++) {
        const struct gpu_sample *g = &v->gpus[i].newest;
        bool priced = g->has & SAMPLE_PRICE || price_of(v, g).nusd_hour != PRICE_NONE;
        if (!priced) {
            json_open(j, NULL, '{');
            json_gpu(j, "gpu", &g->gpu);
            json_str(j, "name", g->name);
            json_time(j, "since", v->gpus[i].first_seen);
            json_close(j, '}');
        }
    }
    json_close(j, ']');
}

static void answer_book(struct api_task *t)
{
    struct view v = {0};
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
    json_open(&j, "items", '[');
    for (size_t i = 0; i < v.book.n; i++) {
        json_open(&j, NULL, '{');
        put_entry(&j, &v.book.entries[i]);
        json_bool(&j, "in_force", in_force(&v, &v.book.entries[i]));
        json_int(&j, "gpus", (i128)count_gpus(&v, &v.book.entries[i]));
        json_close(&j, '}');
    }
    json_close(&j, ']');
    put_price(&j, "default_price_per_hour_usd", default_price(&v));
    put_unpriced(&j, &v);
    json_close(&j, '}');
    api_send(t, &b);
}

// ---- what a new entry would change -------------------------------------------------------------

struct change {
    uint64_t windows, rows, requests;
    int64_t last_window;
    i128 difference; // of the bill
    bool partial;    // of only the newest part of it
    struct rederive_result result;
};

static void on_difference(void *ctx, const struct difference *d)
{
    struct change *c = ctx;
    if (d->stored_cost || d->derived_cost) {
        c->requests++;
    } else if (strcmp(d->level, "window") == 0) {
        const struct window_row *row = d->derived ? d->derived : d->stored;
        c->windows += c->rows == 0 || row->window_start != c->last_window;
        c->last_window = row->window_start;
        c->rows++;
        c->difference += d->derived ? d->derived->cost_nusd : 0;
        c->difference -= d->stored ? d->stored->cost_nusd : 0;
    }
}

static int dry_run(struct api_task *t, const struct price_entry *e, struct change *c,
                   struct error *err)
{
    struct store_info info;
    int r = store_info(t->store, &info, err);
    if (r < 0 || info.final_until == INT64_MIN || e->effective_from >= info.final_until) {
        return r;
    }
    int64_t end = MAX(info.final_until, info.last);
    c->partial = MAX(e->effective_from, info.first) < end - DRY_RUN_MAX;
    const struct rederive_config config = {
        .store = t->api->config.store,
        .from = MAX(e->effective_from, end - DRY_RUN_MAX),
        .to = INT64_MAX,
        .also = e,
        .n_also = 1,
        .max_differences = SIZE_MAX,
        .difference = on_difference,
        .ctx = c,
    };
    return recompute_store(&config, true, &c->result, err);
}

static void put_change(struct json *j, const struct change *c)
{
    const struct rederive_result *r = &c->result;
    if (r->from == r->to) { // nothing of the past is touched
        json_null(j, "recompute");
        return;
    }
    json_open(j, "recompute", '{');
    json_time(j, "from", r->from);
    json_time(j, "until", r->to);
    json_bool(j, "partial", c->partial);
    json_int(j, "windows", c->windows);
    json_int(j, "rows_changed", c->rows);
    json_int(j, "requests_changed", c->requests);
    json_money(j, "bill_before", true, r->bill_nusd - c->difference);
    json_money(j, "bill_after", true, r->bill_nusd);
    json_close(j, '}');
}

// ---- writing -----------------------------------------------------------------------------------

struct order {
    struct price_entry entry;
    bool has_price, apply;
};

static int read_field(struct order *o, struct str name, struct str value, struct error *err)
{
    struct price_entry *e = &o->entry;
    if (str_eq(name, STR("name"))) {
        e->name = value;
    } else if (str_eq(name, STR("site"))) {
        e->site = value.n ? value : STR_NONE;
    } else if (str_eq(name, STR("source"))) {
        e->source = value.n ? value : STR_NONE;
    } else if (str_eq(name, STR("price_per_hour_usd"))) {
        o->has_price = decimal_parse(value, JSON_USD_SCALE, &e->price_nusd_hour) == 0;
        return o->has_price ? 0
                            : error_set(err, -EINVAL,
                                        "price_per_hour_usd: must be an amount such as \"2.95\"");
    } else if (str_eq(name, STR("effective_from"))) {
        if (str_present(value) && time_parse_iso(value, &e->effective_from) < 0) {
            return error_set(err, -EINVAL,
                             "effective_from: must be a time such as 2026-11-01T00:00:00Z");
        }
    } else if (str_eq(name, STR("apply"))) {
        o->apply = str_eq(value, STR("true"));
        return o->apply || str_eq(value, STR("false"))
                   ? 0
                   : error_set(err, -EINVAL, "apply: must be true or false");
    } else {
        return error_set(err, -EINVAL,
                         "'" STR_FMT "' is no field of a price: name, price_per_hour_usd, "
                         "effective_from, site, source, apply",
                         STR_ARG(name));
    }
    return 0;
}

static int read_order(struct api_task *t, struct order *o, struct error *err)
{
    struct flat_json j = {.rest = http_body(t->x), .arena = &t->arena};
    struct str name, value;
    int r;
    *o = (struct order){.entry = {.effective_from = t->now, .added_at = t->now}};
    while ((r = flat_json_next(&j, &name, &value, err)) > 0) {
        r = read_field(o, name, value, err);
        if (r < 0) {
            return r;
        }
    }
    if (r == 0 && !o->has_price) {
        return error_set(err, -EINVAL, "price_per_hour_usd is missing: an amount such as \"2.95\"");
    }
    if (r == 0 && o->entry.effective_from < 0) {
        return error_set(err, -EINVAL, "effective_from: must be after 1970");
    }
    return r < 0 ? r : price_entry_check(&o->entry, err);
}

static int add_entry(struct api_task *t, struct price_entry *e, struct error *err)
{
    struct store *s = NULL;
    int r = store_open(t->api->config.store, STORE_ADMIN, &s, err);
    r = r < 0 ? r : store_add_price(s, e, &e->id, err);
    store_close(s);
    return r;
}

// Of the past nothing changes by itself.
static void put_command(struct api_task *t, struct json *j, const struct price_entry *e)
{
    struct buf command;
    struct store_info info;
    struct error err;
    bool past = store_info(t->store, &info, &err) == 0 && e->effective_from < info.final_until;
    buf_init(&command, COMMAND_MAX);
    buf_cstr(&command, "gtap recompute --since ");
    time_format_iso(&command, e->effective_from);
    buf_printf(&command, " --store '%s'", store_name(t->store));
    json_str(j, "command", past ? buf_view(&command) : STR_NONE);
    buf_done(&command);
}

static void answer_order(struct api_task *t)
{
    struct order o;
    struct change c = {0};
    struct error err = {0};
    struct buf b;
    int r = read_order(t, &o, &err);
    r = r < 0 ? r : o.apply ? add_entry(t, &o.entry, &err) : dry_run(t, &o.entry, &c, &err);
    if (r < 0) {
        api_fail(t, &err);
        return;
    }
    buf_init(&b, API_ANSWER_MAX);
    struct json j = {.b = &b};
    json_open(&j, NULL, '{');
    json_bool(&j, "applied", o.apply);
    json_open(&j, "entry", '{');
    put_entry(&j, &o.entry);
    json_close(&j, '}');
    if (o.apply) {
        json_null(&j, "recompute");
        put_command(t, &j, &o.entry);
    } else {
        put_change(&j, &c);
        json_null(&j, "command");
    }
    json_close(&j, '}');
    buf_char(&b, '\n');
    http_answer(t->x, o.apply ? 201 : 200, "application/json", NULL, buf_view(&b));
    buf_done(&b);
}

// clang-format off
#define TEXT "{\"type\":[\"string\",\"null\"]}"
#define COUNT "{\"type\":\"integer\",\"minimum\":0}"
#define FLAG "{\"type\":\"boolean\"}"
#define REF(name) "{\"$ref\":\"#/components/schemas/" name "\"}"
#define ENTRY_REQUIRED                                                                             \
    "\"id\",\"effective_from\",\"name\",\"site\",\"price_per_hour_usd\",\"source\",\"added_at\""
#define ENTRY                                                                                      \
    "\"id\":{\"type\":[\"integer\",\"null\"]},\"effective_from\":" REF("Time") ",\"name\":"        \
    "{\"type\":\"string\"},\"site\":" TEXT ",\"price_per_hour_usd\":" REF("Usd") ",\"source\":"    \
    TEXT ",\"added_at\":" REF("Time")

static const char book_schema[] =
    "{\"type\":\"object\",\"required\":[\"items\",\"default_price_per_hour_usd\",\"unpriced\"],"
    "\"properties\":{\"items\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":["
    ENTRY_REQUIRED ",\"in_force\",\"gpus\"],\"properties\":{" ENTRY ",\"in_force\":" FLAG
    ",\"gpus\":" COUNT "}}},\"default_price_per_hour_usd\":" REF("Usd") ",\"unpriced\":{\"type\":"
    "\"array\",\"items\":{\"type\":\"object\",\"required\":[\"gpu\",\"name\",\"since\"],"
    "\"properties\":{\"gpu\":{\"type\":\"string\"},\"name\":" TEXT ",\"since\":" REF("Time")
    "}}}}}";

static const char order_schema[] =
    "{\"type\":\"object\",\"required\":[\"name\",\"price_per_hour_usd\"],"
    "\"additionalProperties\":false,\"properties\":{\"name\":{\"type\":\"string\",\"minLength\":1},"
    "\"price_per_hour_usd\":{\"type\":\"string\",\"pattern\":\"^[0-9]{1,6}(\\\\.[0-9]{1,9})?$\"},"
    "\"effective_from\":{\"type\":\"string\",\"format\":\"date-time\"},\"site\":{\"type\":"
    "\"string\"},\"source\":{\"type\":\"string\"},\"apply\":" FLAG "}}";

static const char change_schema[] =
    "{\"type\":\"object\",\"required\":[\"applied\",\"entry\",\"recompute\",\"command\"],"
    "\"properties\":{\"applied\":" FLAG ",\"entry\":{\"type\":\"object\",\"required\":["
    ENTRY_REQUIRED "],\"properties\":{" ENTRY "}},\"command\":" TEXT ",\"recompute\":{\"type\":["
    "\"object\",\"null\"],\"required\":[\"from\",\"until\",\"partial\",\"windows\","
    "\"rows_changed\",\"requests_changed\",\"bill_before_nusd\",\"bill_after_nusd\"],"
    "\"properties\":{\"from\":" REF("Time") ",\"until\":" REF("Time") ",\"partial\":" FLAG
    ",\"windows\":" COUNT ",\"rows_changed\":" COUNT ",\"requests_changed\":" COUNT
    ",\"bill_before_nusd\":" REF("Nusd") ",\"bill_after_nusd\":" REF("Nusd") "}}}}";
// clang-format on

const struct api_route route_prices = {
    .method = "GET",
    .path = "/api/v1/prices",
    .name = "prices",
    .summary = "The price book: every entry, which are in force, and GPUs without a price",
    .schema = book_schema,
    .answer = answer_book,
};

const struct api_route route_add_price = {
    .method = "POST",
    .path = "/api/v1/prices",
    .name = "add_price",
    .summary = "An entry for the price book: what recomputing by it would change, or, with apply, "
               "its addition",
    .body_max = BODY_MAX,
    .body = order_schema,
    .schema = change_schema,
    .flags = HTTP_GUARDED | HTTP_CORS,
    .created = true,
    .answer = answer_order,
};
