// /api/v1/requests: single requests, newest first, and /api/v1/requests/{event_id}: one of them
// with where its cost came from.
#include <errno.h>
#include <stdlib.h>

#include "api/api_impl.h"
#include "api/cursor.h"
#include "report/request_json.h"
#include "report/search.h"

#define RANGE_MAX (3660 * NS_PER_DAY)
// One page reads at most so many records; then it ends early, and `next` goes on.
enum { READ_MAX = 8000 };

struct params {
    struct time_spec since, until;
    const struct zone *zone;
    struct texts models, tenants, gpus, hosts, sites;
    int filter;
    int64_t min_nusd, limit;
    struct str cursor;
};

// In the order of enum record_filter.
static const char *const filters[] = {"all", "unplaced", "unpriced", "late", "open", NULL};

#define AT(member) offsetof(struct params, member)

static const struct param params[] = {
    {.name = "since",
     .type = PARAM_TIME,
     .offset = AT(since),
     .help =
         "the oldest start: 24h or 7d (before now), today, a date, or a time as RFC 3339 has it"},
    {.name = "until", .type = PARAM_TIME, .offset = AT(until), .help = "the end, not included"},
    {.name = "tz",
     .type = PARAM_ZONE,
     .offset = AT(zone),
     .fallback = "UTC",
     .help = "the time zone of dates and of today: UTC, +02:00 or Europe/Berlin"},
    {.name = "model",
     .type = PARAM_TEXTS,
     .offset = AT(models),
     .help = "of this model; again for others"},
    {.name = "tenant",
     .type = PARAM_TEXTS,
     .offset = AT(tenants),
     .help = "of this tenant; empty: of none; again for others"},
    {.name = "gpu",
     .type = PARAM_TEXTS,
     .offset = AT(gpus),
     .help = "on this GPU: gpu-01/0, or gpu-01/0:3 for a MIG slice; again for others"},
    {.name = "host",
     .type = PARAM_TEXTS,
     .offset = AT(hosts),
     .help = "on this host; again for others"},
    {.name = "site",
     .type = PARAM_TEXTS,
     .offset = AT(sites),
     .help = "whose own record names this site; again for others"},
    {.name = "filter",
     .type = PARAM_CHOICE,
     .offset = AT(filter),
     .fallback = "all",
     .choices = filters,
     .help = "all, unplaced (on no known GPU), unpriced, late, or open (not final)"},
    {.name = "min_usd",
     .type = PARAM_MONEY,
     .offset = AT(min_nusd),
     .help = "that cost at least so much"},
    PARAMS_OF_PAGES(struct params),
    {0},
};

// clang-format off
#define TEXT "{\"type\":[\"string\",\"null\"]}"
#define NUMBER "{\"type\":[\"number\",\"null\"]}"
#define COUNT "{\"type\":\"integer\",\"minimum\":0}"
#define FLAG "{\"type\":\"boolean\"}"
#define REF(name) "{\"$ref\":\"#/components/schemas/" name "\"}"
#define MONEY(name) "\"" name "_nusd\":" REF("Nusd") ",\"" name "_usd\":" REF("Usd")
#define TEXTS "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"
#define REQUEST_REQUIRED                                                                           \
    "\"event_id\",\"request_id\",\"ts\",\"start\",\"model\",\"tenant\",\"host\",\"gpus\","         \
    "\"site\",\"requests\",\"prompt_tokens\",\"completion_tokens\",\"cached_prompt_tokens\","      \
    "\"latency_ms\",\"ttft_ms\",\"cost_nusd\",\"cost_usd\",\"cost_in_nusd\",\"cost_out_nusd\","    \
    "\"cost_per_token\",\"energy_j\",\"unpriced_ns\",\"final\",\"late\",\"revision\",\"method\""
#define REQUEST_PROPERTIES                                                                         \
    "\"event_id\":{\"type\":\"string\"},\"request_id\":" TEXT ",\"ts\":" REF("Time")               \
    ",\"start\":" REF("Time") ",\"model\":{\"type\":\"string\"},\"tenant\":" TEXT ",\"host\":"     \
    TEXT ",\"gpus\":" TEXTS ",\"site\":" TEXT ",\"requests\":" COUNT ",\"prompt_tokens\":" COUNT   \
    ",\"completion_tokens\":" COUNT ",\"cached_prompt_tokens\":" COUNT ",\"latency_ms\":" NUMBER   \
    ",\"ttft_ms\":" NUMBER "," MONEY("cost") "," MONEY("cost_in") "," MONEY("cost_out")            \
    ",\"cost_per_token\":" NUMBER ",\"energy_j\":" NUMBER ",\"unpriced_ns\":" COUNT ",\"final\":"  \
    FLAG ",\"late\":" FLAG ",\"revision\":" COUNT ",\"method\":" TEXT

static const char list_schema[] =
    "{\"type\":\"object\",\"required\":[\"items\",\"next\",\"since\",\"until\"],\"properties\":{"
    "\"items\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[" REQUEST_REQUIRED
    "],\"properties\":{" REQUEST_PROPERTIES "}}},\"next\":" REF("Cursor") ",\"since\":" REF("Time")
    ",\"until\":" REF("Time") "}}";

static const char one_schema[] =
    "{\"type\":\"object\",\"required\":[" REQUEST_REQUIRED ",\"explanation\"],\"properties\":{"
    REQUEST_PROPERTIES ",\"explanation\":{\"type\":\"object\",\"required\":[\"sentence\",\"notes\","
    "\"gpus\",\"method\",\"weight_in\",\"weight_out\",\"revision\",\"provisional\"],"
    "\"properties\":{\"sentence\":{\"type\":\"string\"},\"notes\":" TEXTS ",\"gpus\":{\"type\":"
    "\"array\",\"items\":{\"type\":\"object\",\"required\":[\"gpu\",\"from\",\"until\",\"beside\","
    "\"cost_nusd\",\"gpu_cost_nusd\",\"share\",\"energy_j\",\"windows\",\"prices\"],"
    "\"properties\":{\"gpu\":{\"type\":\"string\"},\"from\":" REF("Time") ",\"until\":"
    REF("Time") ",\"beside\":" COUNT "," MONEY("cost") "," MONEY("gpu_cost") ",\"share\":" NUMBER
    ",\"energy_j\":" NUMBER ",\"windows\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"required\":[\"window_start\",\"cost_nusd\",\"gpu_cost_nusd\",\"beside\",\"final\"],"
    "\"properties\":{\"window_start\":" REF("Time") "," MONEY("cost") "," MONEY("gpu_cost")
    ",\"beside\":" COUNT ",\"final\":" FLAG "}}},\"prices\":{\"type\":\"array\",\"items\":{"
    "\"type\":\"object\",\"required\":[\"from\",\"until\",\"price_per_hour_usd\",\"entry\","
    "\"source\"],\"properties\":{\"from\":" REF("Time") ",\"until\":" REF("Time")
    ",\"price_per_hour_usd\":" REF("Usd") ",\"entry\":{\"type\":[\"integer\",\"null\"]},"
    "\"source\":{\"enum\":[\"sample\",\"book\",\"default\",null]}}}}}}},\"method\":{\"type\":"
    "\"string\"},\"weight_in\":" COUNT ",\"weight_out\":" COUNT ",\"revision\":" COUNT
    ",\"provisional\":" FLAG "}}}}";
// clang-format on

// ---- the list ----------------------------------------------------------------------------------

// "gpu-01/0", "gpu-01/0:3": what report_gpu_name() writes.
static bool parse_gpu(struct str text, struct gpu_key *ret)
{
    size_t slash = text.n;
    while (slash > 0 && text.p[slash - 1] != '/') {
        slash--;
    }
    if (slash < 2 || slash == text.n) {
        return false;
    }
    int64_t n[2] = {0, GPU_INSTANCE_NONE};
    size_t part = 0, digits = 0;
    for (size_t i = slash; i < text.n; i++) {
        char c = text.p[i];
        if (c == ':' && part == 0 && digits > 0) {
            n[++part] = 0;
            digits = 0;
        } else if (c >= '0' && c <= '9' && ++digits <= 5) {
            n[part] = n[part] * 10 + (c - '0');
        } else {
            return false;
        }
    }
    *ret = (struct gpu_key){{text.p, slash - 1}, (int32_t)n[0], (int32_t)n[1]};
    return digits > 0;
}

static bool read_gpus(struct api_task *t, const struct texts *texts, struct search_query *q)
{
    struct gpu_key *gpus = arena_alloc(&t->arena, texts->n * sizeof(*gpus));
    for (size_t i = 0; i < texts->n; i++) {
        if (!parse_gpu(texts->v[i], &gpus[i])) {
            http_refuse_parameter(t->x, "gpu",
                                  "gpu: '" STR_FMT "' is no GPU: write host/index, such as "
                                  "gpu-01/0, or gpu-01/0:3 for a MIG slice",
                                  STR_ARG(texts->v[i]));
            return false;
        }
    }
    q->gpus = gpus;
    q->n_gpus = texts->n;
    return true;
}

// Empty text stands for none at all.
static struct str_list list_of(struct texts *texts)
{
    for (size_t i = 0; i < texts->n; i++) {
        texts->v[i] = texts->v[i].n > 0 ? texts->v[i] : STR_NONE;
    }
    return (struct str_list){texts->v, texts->n};
}

// False: refused.
static bool read_query(struct api_task *t, struct params *p, struct search_query *q)
{
    *q = (struct search_query){.filter = (enum record_filter)p->filter,
                               .match = {list_of(&p->models), list_of(&p->tenants)},
                               .hosts = list_of(&p->hosts),
                               .sites = list_of(&p->sites),
                               .min_nusd = p->min_nusd,
                               .limit = (size_t)p->limit,
                               .most_read = READ_MAX};
    return api_range(t, &p->since, &p->until, p->zone, RANGE_MAX, &q->from, &q->to) &&
           read_gpus(t, &p->gpus, q);
}

static void put_page(struct api_task *t, const struct search_query *q,
                     const struct search_result *found)
{
    struct buf b;
    buf_init(&b, API_ANSWER_MAX);
    struct json j = {.b = &b};
    json_open(&j, NULL, '{');
    json_open(&j, "items", '[');
    for (size_t i = 0; i < found->n; i++) {
        json_request(&j, NULL, &found->items[i]);
    }
    json_close(&j, ']');
    if (found->more) {
        cursor_put(&j, "next", found->next_to, found->next_before);
    } else {
        json_null(&j, "next");
    }
    json_instant(&j, "since", q->from);
    json_instant(&j, "until", q->to);
    json_close(&j, '}');
    api_send(t, &b);
}

static void answer_list(struct api_task *t)
{
    struct params *p = t->params;
    struct search_query q, page;
    struct search_result found;
    struct error err = {0};
    if (!read_query(t, p, &q)) {
        return;
    }
    page = q;
    if (str_present(p->cursor) && !cursor_parse(p->cursor, &t->arena, &page.to, &page.before)) {
        http_refuse_parameter(t->x, "cursor",
                              "this is no cursor of /api/v1/requests: send the "
                              "`next` of the answer before, as it is");
        return;
    }
    page.to = MIN(page.to, q.to);
    page.before = page.to == q.to ? STR_NONE : page.before;
    if (api_unchanged(t, (uint64_t)q.from * 31 + (uint64_t)q.to)) {
        return;
    }
    if (search_requests(t->store, &page, &t->arena, &found, &err) < 0) {
        api_fail(t, &err);
        return;
    }
    put_page(t, &q, &found);
}

// ---- one of them -------------------------------------------------------------------------------

static void answer_one(struct api_task *t)
{
    struct explanation e;
    struct error err = {0};
    struct buf b;
    if (api_unchanged(t, 0)) {
        return;
    }
    int r = explain_request(t->store, t->rest, &t->arena, &e, &err);
    if (r < 0) {
        err.code = r == -ENOENT ? -ENODATA : r; // 404
        api_fail(t, &err);
        return;
    }
    buf_init(&b, API_ANSWER_MAX);
    struct json j = {.b = &b};
    json_explained(&j, NULL, &e);
    api_send(t, &b);
}

const struct api_route route_requests = {
    .method = "GET",
    .path = "/api/v1/requests",
    .name = "requests",
    .summary = "Requests with their costs, newest first; a page can end early, next goes on",
    .params = params,
    .size = sizeof(struct params),
    .schema = list_schema,
    .answer = answer_list,
};

const struct api_route route_request = {
    .method = "GET",
    .path = "/api/v1/requests/*",
    .open_path = "/api/v1/requests/{event_id}",
    .name = "request",
    .summary = "One request, and where its cost came from",
    .schema = one_schema,
    .missing = true,
    .answer = answer_one,
};
