// /openapi.json: OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0), made from the route table.
#include "api/api_impl.h"

#define REF(name) "{\"$ref\":\"#/components/schemas/" name "\"}"
#define NUMBER "{\"type\":[\"number\",\"null\"]}"
#define TEXT "{\"type\":[\"string\",\"null\"]}"
#define COUNT "{\"type\":\"integer\",\"minimum\":0}"
#define SUMS                                                                                           \
    "\"requests\":" COUNT ",\"prompt_tokens\":" COUNT ",\"completion_tokens\":" COUNT                  \
    ",\"cached_prompt_tokens\":" COUNT ",\"cost_nusd\":" REF("Nusd") ",\"cost_usd\":" REF(             \
        "Usd") ","                                                                                     \
               "\"cost_in_nusd\":" REF("Nusd") ",\"cost_in_usd\":" REF(                                \
                   "Usd") ",\"cost_out_nusd\":" REF("Nusd") ",\"cost_out_usd\":" REF("Usd") ",\"b"     \
                                                                                            "usy_"     \
                                                                                            "ns\""     \
                                                                                            ":" COUNT  \
                                                                                            ",\"u"     \
                                                                                            "npri"     \
                                                                                            "ced_"     \
                                                                                            "ns\""     \
                                                                                            ":" COUNT  \
                                                                                            ",\"u"     \
                                                                                            "npri"     \
                                                                                            "ced_"     \
                                                                                            "requ"     \
                                                                                            "ests"     \
                                                                                            "\""       \
                                                                                            ":" COUNT  \
                                                                                            ",\"e"     \
                                                                                            "nerg"     \
                                                                                            "y_"       \
                                                                                            "j\""      \
                                                                                            ":" NUMBER \
                                                                                            ",\"f"     \
                                                                                            "inal"     \
                                                                                            "\":{"     \
                                                                                            "\"ty"     \
                                                                                            "pe\""     \
                                                                                            ":\"b"     \
                                                                                            "oole"     \
                                                                                            "an\""     \
                                                                                            "},"       \
                                                                                            "\"us"     \
                                                                                            "d_"       \
                                                                                            "per_"     \
                                                                                            "mtok"     \
                                                                                            "\""       \
                                                                                            ":" NUMBER \
                                                                                            ",\"u"     \
                                                                                            "sd_"      \
                                                                                            "per_"     \
                                                                                            "mtok"     \
                                                                                            "_in"      \
                                                                                            "\""       \
                                                                                            ":" NUMBER \
                                                                                            ",\"u"     \
                                                                                            "sd_"      \
                                                                                            "per_"     \
                                                                                            "mtok"     \
                                                                                            "_out"     \
                                                                                            "\""       \
                                                                                            ":" NUMBER
#define SUMS_NAMES                                                                                 \
    "\"requests\",\"prompt_tokens\",\"completion_tokens\",\"cached_prompt_tokens\",\"cost_nusd\"," \
    "\"cost_usd\",\"cost_in_nusd\",\"cost_out_nusd\",\"busy_ns\",\"unpriced_ns\",\"energy_j\","    \
    "\"final\",\"usd_per_mtok\",\"usd_per_mtok_in\",\"usd_per_mtok_out\""

// What several routes' schemas refer to.
static const struct {
    const char *name, *schema;
} components[] = {
    {"Nusd", "{\"type\":[\"integer\",\"string\",\"null\"],\"pattern\":\"^-?[0-9]+$\","
             "\"description\":\"nano-USD; text from 2^53 on; null: unknown\"}"},
    {"Usd", "{\"type\":[\"string\",\"null\"],\"pattern\":\"^-?[0-9]+\\\\.[0-9]{9}$\","
            "\"description\":\"USD, exact; null: unknown\"}"},
    {"Time", "{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}"},
    {"Cursor",
     "{\"type\":[\"string\",\"null\"],\"description\":\"for the next page; null: that was "
     "all\"}"},
    {"Problem",
     "{\"type\":\"object\",\"required\":[\"type\",\"title\",\"status\",\"detail\"],\"properties\":{"
     "\"type\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},\"status\":{\"type\":"
     "\"integer\"},\"detail\":{\"type\":\"string\"},\"parameter\":{\"type\":\"string\"}}}"},
    {"Sums", "{\"type\":\"object\",\"required\":[" SUMS_NAMES "],\"properties\":{" SUMS "}}"},
    {"CostRow",
     "{\"type\":\"object\",\"required\":[\"kind\",\"loaded_nusd\",\"loaded_usd\","
     "\"others\"," SUMS_NAMES "],\"properties\":{\"time\":" REF(
         "Time") ",\"kind\":{\"enum\":[\"usage\",\"idle\","
                 "\"unattributed\",\"unplaced\"]},\"model\":" TEXT ",\"tenant\":" TEXT
                 ",\"gpu\":" TEXT ",\"host\":" TEXT ",\"site\":" TEXT ",\"loaded_nusd\":" REF(
                     "Nusd") ",\"loaded_usd\":" REF("Usd") ",\"others\":" COUNT "," SUMS "}}"},
    {"Gpu",
     "{\"type\":\"object\",\"required\":[\"gpu\",\"host\",\"gpu_index\",\"gpu_instance\",\"state\","
     "\"last_seen\",\"first_seen\",\"price_per_hour_usd\",\"price_source\",\"price_entry\","
     "\"today\","
     "\"models\"],\"properties\":{\"gpu\":{\"type\":\"string\"},\"host\":{\"type\":\"string\"},"
     "\"gpu_index\":" COUNT ",\"gpu_instance\":{\"type\":[\"integer\",\"null\"]},\"name\":" TEXT
     ",\"uuid\":" TEXT ",\"site\":" TEXT ",\"mig_profile\":" TEXT ",\"state\":{\"enum\":[\"busy\","
     "\"idle\",\"silent\",\"unpriced\"]},\"last_seen\":" REF("Time") ",\"first_seen\":" REF(
         "Time") ",\"utilization\":" NUMBER ",\"mem_used_mb\":" NUMBER ",\"mem_total_mb\":" NUMBER
                 ",\"power_w\":" NUMBER ",\"temperature_c\":" NUMBER ",\"price_per_hour_usd\":" REF(
                     "Usd") ",\"price_source\":{\"enum\":[\"sample\",\"book\",\"default\",null]},"
                            "\"price_entry\":{\"type\":[\"integer\",\"null\"]},\"today\":{\"type\":"
                            "\"object\",\"required\":["
                            "\"cost_nusd\",\"cost_usd\",\"idle_nusd\",\"unattributed_nusd\",\"idle_"
                            "share\",\"requests\","
                            "\"tokens\",\"usd_per_mtok\"]},\"models\":{\"type\":\"array\","
                            "\"items\":{\"type\":\"string\"}}}}"},
    {"DeadLetter",
     "{\"type\":\"object\",\"required\":[\"at\",\"origin\",\"position\",\"reason\",\"payload\","
     "\"truncated\"],\"properties\":{\"at\":" REF(
         "Time") ",\"origin\":" TEXT ",\"position\":{"
                 "\"type\":\"integer\"},\"reason\":{\"type\":\"string\"},\"payload\":{\"type\":"
                 "\"string\"},"
                 "\"truncated\":{\"type\":\"boolean\"}}}"},
};

// ---- parameters --------------------------------------------------------------------------------

static void put_raw(struct json *j, const char *name, const char *text)
{
    json_name(j, name);
    buf_cstr(j->b, text);
}

static void put_choices(struct json *j, const char *const *choices)
{
    json_open(j, "enum", '[');
    for (size_t i = 0; choices[i]; i++) {
        json_str(j, NULL, str_of(choices[i]));
    }
    json_close(j, ']');
}

static void put_limits(struct json *j, const struct param *p)
{
    json_str(j, "type", STR("integer"));
    json_int(j, "minimum", p->least);
    json_int(j, "maximum", p->most);
    if (p->fallback) {
        put_raw(j, "default", p->fallback);
    }
}

static void put_schema_of(struct json *j, const struct param *p)
{
    json_open(j, "schema", '{');
    if (p->type == PARAM_INT) {
        put_limits(j, p);
    } else if (p->type == PARAM_FLAG) {
        json_str(j, "type", STR("boolean"));
        put_raw(j, "default", p->fallback ? p->fallback : "false");
    } else if (p->type == PARAM_TEXTS) {
        json_str(j, "type", STR("array"));
        json_int(j, "maxItems", PARAM_TEXTS_MAX);
        put_raw(j, "items", "{\"type\":\"string\",\"maxLength\":256}");
    } else {
        json_str(j, "type", STR("string"));
        if (p->type == PARAM_CHOICE) {
            put_choices(j, p->choices);
        }
        if (p->fallback) {
            json_str(j, "default", str_of(p->fallback));
        }
    }
    json_close(j, '}');
}

static void put_param(struct json *j, const struct param *p)
{
    json_open(j, NULL, '{');
    json_str(j, "name", str_of(p->name));
    json_str(j, "in", STR("query"));
    json_str(j, "description", str_of(p->help));
    if (p->type == PARAM_TEXTS) {
        json_str(j, "style", STR("form"));
        json_bool(j, "explode", true);
    }
    put_schema_of(j, p);
    json_close(j, '}');
}

// "{event_id}" of the path.
static void put_path_param(struct json *j, const char *path)
{
    const char *open = strchr(path, '{'), *close = open ? strchr(open, '}') : NULL;
    if (!close) {
        return;
    }
    json_open(j, NULL, '{');
    json_str(j, "name", (struct str){open + 1, (size_t)(close - open) - 1});
    json_str(j, "in", STR("path"));
    json_bool(j, "required", true);
    put_raw(j, "schema", "{\"type\":\"string\",\"minLength\":1}");
    json_close(j, '}');
}

// ---- routes ------------------------------------------------------------------------------------

static void put_answer(struct json *j, const char *status, const char *what, const char *type,
                       const char *schema)
{
    json_open(j, status, '{');
    json_str(j, "description", str_of(what));
    if (schema) {
        json_open(j, "content", '{');
        json_open(j, type, '{');
        put_raw(j, "schema", schema);
        json_close(j, '}');
        json_close(j, '}');
    }
    json_close(j, '}');
}

static void put_answers(struct json *j, const struct api_route *r)
{
    static const char problem[] = "application/problem+json", ref[] = REF("Problem");
    const char *type = r->type ? r->type : "application/json";
    json_open(j, "responses", '{');
    put_answer(j, "200", "the answer", type, r->schema);
    if (r->created) {
        put_answer(j, "201", "it is done", type, r->schema);
    }
    put_answer(j, "304", "the client has it already", NULL, NULL);
    put_answer(j, "400", "a parameter is wrong, or too much is asked for", problem, ref);
    put_answer(j, "401", "the bearer token is missing or wrong", problem, ref);
    if (r->flags & HTTP_GUARDED) {
        put_answer(j, "403", "only this host may, where no token is set", problem, ref);
        put_answer(j, "413", "the body is too large", problem, ref);
    }
    if (r->missing) {
        put_answer(j, "404", "there is no such thing", problem, ref);
    }
    put_answer(j, "414", "the address is longer than a header may be: choose fewer", NULL, NULL);
    put_answer(j, "431", "the header is too large", NULL, NULL);
    put_answer(j, "503", "the store is away, or too many ask: ask again", problem, ref);
    json_close(j, '}');
}

static void lower(const char *method, char *to, size_t n)
{
    size_t i = 0;
    for (; method[i] && i + 1 < n; i++) {
        to[i] = (char)(method[i] | 0x20);
    }
    to[i] = '\0';
}

static void put_operation(struct json *j, const struct api_route *r, const char *path)
{
    char method[16];
    lower(r->method, method, sizeof(method));
    json_open(j, method, '{');
    json_str(j, "operationId", str_of(r->name));
    json_str(j, "summary", str_of(r->summary));
    json_open(j, "parameters", '[');
    put_path_param(j, path);
    for (const struct param *p = r->params; p && p->name; p++) {
        put_param(j, p);
    }
    json_close(j, ']');
    if (r->body) {
        json_open(j, "requestBody", '{');
        json_bool(j, "required", true);
        json_open(j, "content", '{');
        json_open(j, "application/json", '{');
        put_raw(j, "schema", r->body);
        json_close(j, '}');
        json_close(j, '}');
        json_close(j, '}');
    }
    put_answers(j, r);
    json_close(j, '}');
}

static const char *path_of(const struct api_route *r)
{
    return r->open_path ? r->open_path : r->path;
}

// Routes of one path stand together.
static void put_paths(struct json *j)
{
    json_open(j, "paths", '{');
    for (size_t i = 0; i < n_api_routes; i++) {
        bool seen = false;
        for (size_t k = 0; k < i; k++) {
            seen |= strcmp(path_of(api_routes[k]), path_of(api_routes[i])) == 0;
        }
        if (seen) {
            continue;
        }
        json_open(j, path_of(api_routes[i]), '{');
        for (size_t k = i; k < n_api_routes; k++) {
            if (strcmp(path_of(api_routes[k]), path_of(api_routes[i])) == 0) {
                put_operation(j, api_routes[k], path_of(api_routes[i]));
            }
        }
        json_close(j, '}');
    }
    json_close(j, '}');
}

void openapi_write(struct buf *b, const char *version)
{
    struct json j = {.b = b};
    json_open(&j, NULL, '{');
    json_str(&j, "openapi", STR("3.1.0"));
    json_open(&j, "info", '{');
    json_str(&j, "title", STR("gtap"));
    json_str(&j, "version", str_of(version));
    json_str(&j, "summary", STR("What a token costs on your own GPUs"));
    json_close(&j, '}');
    put_paths(&j);
    json_open(&j, "components", '{');
    json_open(&j, "schemas", '{');
    for (size_t i = 0; i < ARRAY_LEN(components); i++) {
        put_raw(&j, components[i].name, components[i].schema);
    }
    json_close(&j, '}');
    put_raw(&j, "securitySchemes", "{\"token\":{\"type\":\"http\",\"scheme\":\"bearer\"}}");
    json_close(&j, '}');
    put_raw(&j, "security", "[{},{\"token\":[]}]");
    json_close(&j, '}');
}

static void answer(struct api_task *t)
{
    struct buf b;
    buf_init(&b, API_ANSWER_MAX);
    openapi_write(&b, t->api->config.version);
    api_send(t, &b);
}

const struct api_route route_openapi = {
    .method = "GET",
    .path = "/openapi.json",
    .name = "openapi",
    .summary = "This description",
    .schema = "{\"type\":\"object\"}",
    .at_once = true,
    .answer = answer,
};
