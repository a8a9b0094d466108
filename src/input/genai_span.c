#include "input/genai_span.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>

#include "base/decimal.h"
#include "base/time.h"
#include "input/json_scan.h"
#include "input/placement.h"
#include "model/fields.h"
#include "model/validate.h"

// What an attribute can mean.
enum meaning {
    PROMPT,
    COMPLETION,
    CACHED,
    MODEL,
    TENANT,
    REQUEST_ID,
    OPERATION,
    FIRST_CHUNK, // s from the span's start
    // Of vLLM, in seconds. It measures from the arrival of the request; the queue is behind that.
    E2E,
    QUEUE,
    FIRST_TOKEN, // from the arrival
    PREFILL,     // from scheduling to the first token
    INFERENCE,   // from scheduling to the last
    // Of gtap itself, also on the resource.
    HOST,
    GPUS,
    INSTANCE,
    SITE,
    MEANINGS,
};

// Of several that mean the same, the first here counts.
static const struct {
    const char *name;
    enum meaning means;
} attributes[] = {
    {"gen_ai.usage.input_tokens", PROMPT},
    {"gen_ai.usage.prompt_tokens", PROMPT},
    {"llm.usage.prompt_tokens", PROMPT},
    {"llm.token_count.prompt", PROMPT},
    {"gen_ai.usage.output_tokens", COMPLETION},
    {"gen_ai.usage.completion_tokens", COMPLETION},
    {"llm.usage.completion_tokens", COMPLETION},
    {"llm.token_count.completion", COMPLETION},
    {"gen_ai.usage.cache_read.input_tokens", CACHED},
    {"gen_ai.usage.cache_read_input_tokens", CACHED},
    {"gen_ai.usage.input_tokens.cached", CACHED},
    {"gen_ai.usage.cached_tokens", CACHED},
    {"llm.usage.cache_read_input_tokens", CACHED},
    {"llm.token_count.prompt_details.cache_read", CACHED},
    {"gen_ai.response.model", MODEL},
    {"gen_ai.request.model", MODEL},
    {"llm.response.model", MODEL},
    {"llm.request.model", MODEL},
    {"llm.model_name", MODEL},
    {"gtap.tenant", TENANT},
    {"metadata.user_api_key_team_alias", TENANT},
    {"metadata.user_api_key_team_id", TENANT},
    {"user.id", TENANT},
    {"enduser.id", TENANT},
    {"gen_ai.user", TENANT},
    {"llm.user", TENANT},
    {"gen_ai.request.id", REQUEST_ID},
    {"gen_ai.response.id", REQUEST_ID},
    {"gen_ai.operation.name", OPERATION},
    {"llm.request.type", OPERATION},
    {"openinference.span.kind", OPERATION},
    {"gen_ai.response.time_to_first_chunk", FIRST_CHUNK},
    {"gen_ai.server.time_to_first_token", FIRST_CHUNK},
    {"gen_ai.latency.e2e", E2E},
    {"gen_ai.latency.time_in_queue", QUEUE},
    {"gen_ai.latency.time_to_first_token", FIRST_TOKEN},
    {"gen_ai.latency.time_in_model_prefill", PREFILL},
    {"gen_ai.latency.time_in_model_inference", INFERENCE},
    {"gtap.host", HOST},
    {"gtap.gpus", GPUS},
    {"gtap.gpu_instance", INSTANCE},
    {"gtap.site", SITE},
};

// What goes on around calls of models, and sums them up where it says tokens at all.
static const char *const around[] = {
    "create_agent",  "invoke_agent",  "invoke_workflow", "execute_tool",  "retrieval",
    "create_memory", "search_memory", "update_memory",   "delete_memory", "AGENT",
    "CHAIN",         "TOOL",          "RETRIEVER",       "RERANKER",      "GUARDRAIL",
    "EVALUATOR",     "PROMPT",
};

// That have no output.
static const char *const embeddings[] = {
    "embeddings",
    "embedding",
    "aembedding",
    "EMBEDDING",
};

// Events at the first token of an answer: OpenLLMetry's (one a chunk) and OpenInference's.
static const char *const first_token_events[] = {
    "llm.content.completion.chunk",
    "First Token Stream Event",
};

// One value by meaning; NULL: not said.
struct said {
    const struct otel_value *by[MEANINGS];
};

static bool is_one_of(struct str s, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(s, str_of(list[i]))) {
            return true;
        }
    }
    return false;
}

// Empty text is how some exporters write what is not there.
static bool says_something(const struct otel_value *v)
{
    return v->type != OTEL_NONE && v->type != OTEL_OTHER &&
           !(v->type == OTEL_TEXT && v->text.n == 0);
}

static void hear(struct otel_attributes list, struct said *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
        enum meaning means = attributes[i].means;
        if (!ret->by[means]) {
            const struct otel_value *v = otel_find(list, str_of(attributes[i].name));
            ret->by[means] = v && says_something(v) ? v : NULL;
        }
    }
}

// Of the span, and what it leaves open of the resource.
static void listen_to(const struct otel_span *s, struct said *ret)
{
    *ret = (struct said){0};
    hear(s->attributes, ret);
    hear(s->resource, ret);
}

static struct str text_of(const struct otel_value *v)
{
    return v && v->type == OTEL_TEXT ? v->text : STR_NONE;
}

static int count_of_text(struct str text, int64_t *ret)
{
    int64_t thousandths;
    if (decimal_parse(text, 3, &thousandths) < 0 || thousandths % 1000 != 0) {
        return -EINVAL;
    }
    *ret = thousandths / 1000;
    return 0;
}

// A count, which some exporters write as a real number or as text. -EINVAL: it is none.
static int count_of(const struct otel_value *v, int64_t *ret)
{
    switch (v->type) {
    case OTEL_INT:
        *ret = v->integer;
        return 0;
    case OTEL_REAL:
        *ret = v->real >= -1 && v->real < 1e18 ? (int64_t)v->real : -1;
        return *ret >= 0 && (double)*ret < v->real ? -EINVAL : 0;
    case OTEL_TEXT:
        return count_of_text(v->text, ret);
    default:
        return -EINVAL;
    }
}

static bool is_zero(const struct otel_value *v)
{
    int64_t n = 0;
    return !v || (count_of(v, &n) == 0 && n == 0);
}

static bool kind_counts(enum otel_kind kind, enum otel_kind only)
{
    if (kind == OTEL_KIND_PRODUCER || kind == OTEL_KIND_CONSUMER) {
        return false;
    }
    return only == OTEL_KIND_UNSPECIFIED ||
           (only == OTEL_KIND_SERVER) == (kind == OTEL_KIND_SERVER);
}

// LiteLLM's span says of an answer from its cache no more than the key under which it was found.
static bool from_cache(const struct otel_span *s)
{
    const struct otel_value *v = otel_find(s->attributes, STR("hidden_params"));
    struct json_walk w;
    struct str key, value;
    bool found = false;
    if (v && json_walk_begin(&w, text_of(v), '{')) {
        while (!found && json_walk_member(&w, &key, &value)) {
            found = str_eq(key, STR("cache_key")) && value.n > 2 && value.p[0] == '"';
        }
    }
    return found;
}

bool genai_span_counts(const struct otel_span *span, const struct genai_options *o)
{
    struct said said = {0};
    if (!kind_counts(span->kind, o->only)) {
        return false;
    }
    hear(span->attributes, &said);
    if (!said.by[PROMPT] && !said.by[COMPLETION]) {
        return false;
    }
    if (is_one_of(text_of(said.by[OPERATION]), around, ARRAY_LEN(around)) || from_cache(span)) {
        return false;
    }
    bool nothing = is_zero(said.by[PROMPT]) && is_zero(said.by[COMPLETION]);
    return !(nothing && span->status == OTEL_STATUS_ERROR);
}

// ---- the record --------------------------------------------------------------------------------

static int take_count(const struct otel_value *v, const char *field, int64_t *ret,
                      struct error *err)
{
    if (!v) {
        return error_set(err, -EINVAL, "%s: missing", field);
    }
    return count_of(v, ret) == 0 ? 0 : error_set(err, -EINVAL, "%s: is not an integer", field);
}

static int take_tokens(const struct said *said, struct usage_record *u, struct error *err)
{
    int r = take_count(said->by[PROMPT], "prompt_tokens", &u->prompt_tokens, err);
    bool embeds = is_one_of(text_of(said->by[OPERATION]), embeddings, ARRAY_LEN(embeddings));
    if (r == 0 && (said->by[COMPLETION] || !embeds)) {
        r = take_count(said->by[COMPLETION], "completion_tokens", &u->completion_tokens, err);
    }
    if (r == 0 && said->by[CACHED]) {
        u->has |= USAGE_CACHED;
        r = take_count(said->by[CACHED], "cached_prompt_tokens", &u->cached_prompt_tokens, err);
    }
    return r;
}

// The protocol has these measurements as doubles of seconds: they are rounded to whole ns here,
// once. False: not said, or nothing that a duration can be.
static bool seconds_of(const struct otel_value *v, int64_t *ret)
{
    double s = !v                     ? -1
               : v->type == OTEL_REAL ? v->real
               : v->type == OTEL_INT  ? (double)v->integer
                                      : -1;
    if (!(s >= 0 && s < (double)RECORD_LATENCY_MAX / 1e9)) {
        return false;
    }
    *ret = llrint(s * 1e9);
    return true;
}

static bool first_event(const struct otel_span *s, int64_t *ret)
{
    for (size_t i = 0; i < s->n_events; i++) {
        if (is_one_of(s->events[i].name, first_token_events, ARRAY_LEN(first_token_events)) &&
            s->events[i].time >= s->start && s->events[i].time <= s->end) {
            *ret = s->events[i].time - s->start;
            return true;
        }
    }
    return false;
}

// vLLM's: what the request waited in the queue costs no GPU.
static void time_by_server(const struct said *said, const struct otel_span *s,
                           struct usage_record *u, int64_t *ttft)
{
    int64_t e2e, queue = 0, inference;
    if (seconds_of(said->by[E2E], &e2e)) {
        u->ts = s->start + e2e;
        u->latency_ns = e2e;
    }
    (void)seconds_of(said->by[QUEUE], &queue);
    if (seconds_of(said->by[INFERENCE], &inference)) {
        u->latency_ns = inference;
    } else {
        u->latency_ns -= MIN(queue, u->latency_ns);
    }
    if (!seconds_of(said->by[PREFILL], ttft) && seconds_of(said->by[FIRST_TOKEN], ttft)) {
        *ttft -= queue;
    }
}

static int take_times(const struct said *said, const struct otel_span *s, struct usage_record *u,
                      struct error *err)
{
    int64_t ttft = -1;
    if (s->start < 0 || s->end < 0 || s->start >= TIME_MAX || s->end >= TIME_MAX) {
        return error_set(err, -EINVAL, "ts: the span does not say when it began and ended");
    }
    if (s->end < s->start) {
        return error_set(err, -EINVAL, "ts: the span ends before it begins");
    }
    u->ts = s->end;
    u->latency_ns = s->end - s->start;
    time_by_server(said, s, u, &ttft);
    if (ttft < 0 && !seconds_of(said->by[FIRST_CHUNK], &ttft)) {
        (void)first_event(s, &ttft);
    }
    if (ttft >= 0 && ttft <= u->latency_ns) { // else it cannot be of this call: not known
        u->has |= USAGE_TTFT;
        u->ttft_ns = ttft;
    }
    return 0;
}

// Of protobuf's texts nobody has said that they are UTF-8.
static int take_text(const struct otel_value *v, const char *field, struct arena *a,
                     struct str *ret, struct error *err)
{
    struct str text = text_of(v);
    json_t *checked = str_present(text) ? json_stringn(text.p, text.n) : NULL;
    if (str_present(text) && !checked) {
        return error_set(err, -EINVAL, "%s: is not UTF-8", field);
    }
    json_decref(checked);
    *ret = arena_copy(a, text);
    return 0;
}

static const struct otel_value *tenant_of(const struct otel_span *s, const struct said *said,
                                          const struct genai_options *o)
{
    if (!str_present(o->tenant_attribute)) {
        return said->by[TENANT];
    }
    const struct otel_value *v = otel_find(s->attributes, o->tenant_attribute);
    return v ? v : otel_find(s->resource, o->tenant_attribute);
}

static int take_names(const struct otel_span *s, const struct said *said,
                      const struct genai_options *o, struct arena *a, struct usage_record *u,
                      struct error *err)
{
    const struct otel_value *tenant = tenant_of(s, said, o);
    int r = take_text(said->by[MODEL], "model", a, &u->model, err);
    r = r < 0 ? r : take_text(said->by[REQUEST_ID], "request_id", a, &u->request_id, err);
    r = r < 0 ? r : take_text(said->by[SITE], "site", a, &u->site, err);
    if (r == 0 && tenant && says_something(tenant)) {
        r = take_text(tenant, "tenant", a, &u->tenant, err);
    }
    if (r == 0 && !str_present(u->model)) {
        u->model = arena_copy(a, o->model);
    }
    if (r == 0 && !str_present(u->model)) {
        return error_set(err, -EINVAL, "model: missing; the input's option model= names it");
    }
    return r;
}

// A client's host.name is where the client runs: only a server's says where the GPUs are.
static int take_place(const struct otel_span *s, const struct said *said, struct arena *a,
                      struct usage_record *u, struct error *err)
{
    const struct otel_value *host = said->by[HOST], *gpus = said->by[GPUS];
    if (!host && s->kind == OTEL_KIND_SERVER) {
        host = otel_find(s->resource, STR("host.name"));
        host = host && says_something(host) ? host : NULL;
    }
    int r = take_text(host, "host", a, &u->host, err);
    if (r == 0 && gpus) {
        int32_t *list = arena_alloc(a, RECORD_GPUS_MAX * sizeof(list[0]));
        struct str text = text_of(gpus);
        if (gpus->type == OTEL_INT && gpus->integer >= 0 && gpus->integer <= RECORD_GPU_INDEX_MAX) {
            list[0] = (int32_t)gpus->integer;
            u->n_gpus = 1;
        } else if (!str_present(text) || gpu_list_read(text, list, &u->n_gpus) < 0) {
            return error_set(err, -EINVAL, "gtap.gpus: is no list of GPUs such as 0-3");
        }
        u->gpus = list;
    }
    if (r == 0 && said->by[INSTANCE]) {
        int64_t instance = -1;
        r = take_count(said->by[INSTANCE], "gpu_instance", &instance, err);
        bool good = instance >= 0 && instance <= RECORD_GPU_INSTANCE_MAX;
        u->gpu_instance = good ? (int32_t)instance : GPU_INSTANCE_NONE;
        r = r == 0 && !good ? error_set(err, -EINVAL, "gpu_instance: is no slice's number") : r;
    }
    return r;
}

static bool put_hex(const uint8_t *id, size_t n, char *ret)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t any = 0;
    for (size_t i = 0; i < n; i++) {
        any |= id[i];
        ret[2 * i] = digits[id[i] >> 4];
        ret[2 * i + 1] = digits[id[i] & 15];
    }
    return any != 0;
}

static int take_id(const struct otel_span *s, struct arena *a, struct record *r, struct error *err)
{
    enum { TRACE_DIGITS = 2 * OTEL_TRACE_ID_BYTES };
    char *id = arena_alloc(a, GENAI_ID_BYTES);
    bool trace = put_hex(s->trace_id, sizeof(s->trace_id), id);
    bool span = put_hex(s->span_id, sizeof(s->span_id), id + TRACE_DIGITS + 1);
    if (!trace || !span) {
        return error_set(err, -EINVAL, "event_id: the span has no valid id");
    }
    id[TRACE_DIGITS] = '-';
    r->event_id = (struct str){id, GENAI_ID_BYTES};
    if (!str_present(r->usage.request_id)) {
        r->usage.request_id = r->event_id;
    }
    return 0;
}

int genai_span_record(const struct otel_span *span, const struct genai_options *o, struct arena *a,
                      struct record *ret, struct error *err)
{
    struct said said;
    struct usage_record *u = &ret->usage;
    listen_to(span, &said);
    record_clear(ret, RECORD_USAGE);
    int r = take_tokens(&said, u, err);
    r = r < 0 ? r : take_times(&said, span, u, err);
    r = r < 0 ? r : take_names(span, &said, o, a, u, err);
    r = r < 0 ? r : take_place(span, &said, a, u, err);
    r = r < 0 ? r : take_id(span, a, ret, err);
    r = r < 0 ? r : record_check(ret, err);
    ret->digest = r < 0 ? 0 : record_digest(ret);
    return r;
}
