// OTLP as JSON. The names of members are those of the definition named in otlp_body.h, in
// lowerCamelCase; members that are null are taken as not there. What a text says is decoded by
// Jansson where it has escapes or bytes that are not ASCII; structure is walked without a tree, so
// that a body takes no memory beside its own.
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "base/decimal.h"
#include "input/otlp_body.h"

static int refuse(struct error *err, const char *what)
{
    return error_set(err, -EINVAL, "not an ExportTraceServiceRequest: %s", what);
}

// ---- single values -----------------------------------------------------------------------------

static bool is_plain(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < ' ' || text.p[i] == '\\' || text.p[i] == '\x7f') {
            return false;
        }
    }
    return true;
}

static bool is_text(struct str token)
{
    return token.n >= 2 && token.p[0] == '"';
}

static bool is_null(struct str token)
{
    return str_eq(token, STR("null"));
}

static int read_text(struct str token, struct arena *a, struct str *ret, struct error *err)
{
    if (!is_text(token)) {
        return refuse(err, "a text is expected where another value is");
    }
    *ret = (struct str){token.p + 1, token.n - 2};
    if (is_plain(*ret)) {
        return 0;
    }
    json_t *decoded = json_loadb(token.p, token.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!decoded) {
        return refuse(err, "a text is not JSON or not UTF-8");
    }
    *ret = arena_copy(a, (struct str){json_string_value(decoded), json_string_length(decoded)});
    json_decref(decoded);
    return 0;
}

// An integer, as a number or in quotes. -ERANGE beyond 64 bits, -EINVAL for anything else.
static int read_integer(struct str token, int64_t *ret)
{
    struct str digits = is_text(token) ? (struct str){token.p + 1, token.n - 2} : token;
    for (size_t i = digits.n > 0 && digits.p[0] == '-'; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9') {
            return -EINVAL;
        }
    }
    return decimal_parse(digits, 0, ret);
}

static int read_time(struct str token, int64_t *ret, struct error *err)
{
    int r = read_integer(token, ret);
    if (r == -EINVAL || (r == 0 && *ret < 0)) {
        return refuse(err, "a time is expected to be a decimal number of nanoseconds");
    }
    if (r < 0) {
        *ret = INT64_MIN;
    }
    return 0;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static void read_id(struct str token, uint8_t *ret, size_t n)
{
    bool good = is_text(token) && token.n == 2 + 2 * n;
    for (size_t i = 0; good && i < n; i++) {
        int high = hex_digit(token.p[1 + 2 * i]), low = hex_digit(token.p[2 + 2 * i]);
        good = high >= 0 && low >= 0;
        ret[i] = good ? (uint8_t)(high << 4 | low) : 0;
    }
    if (!good) {
        memset(ret, 0, n);
    }
}

// An enum's number, or its name, which proto3's mapping has and OTLP's has not. 0: unknown.
static int read_enum(struct str token, const char *const *names, int n)
{
    int64_t number = 0;
    if (read_integer(token, &number) == 0) {
        return number >= 0 && number < n ? (int)number : 0;
    }
    struct str name = is_text(token) ? (struct str){token.p + 1, token.n - 2} : STR_NONE;
    int i = n - 1;
    while (i > 0 && !str_eq(name, str_of(names[i]))) {
        i--;
    }
    return i;
}

static int read_real(struct str token, struct otel_value *ret, struct error *err)
{
    if (is_text(token)) { // "NaN", "Infinity"
        *ret = (struct otel_value){.type = OTEL_OTHER};
        return 0;
    }
    json_t *decoded = json_loadb(token.p, token.n, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
    bool good = json_is_real(decoded);
    *ret = (struct otel_value){.type = OTEL_REAL, .real = json_real_value(decoded)};
    json_decref(decoded);
    return good ? 0 : refuse(err, "a doubleValue is no number");
}

// ---- messages ----------------------------------------------------------------------------------

static int next_member(struct json_walk *w, struct str *key, struct str *value, struct error *err)
{
    while (json_walk_member(w, key, value)) {
        if (!is_null(*value)) {
            return 1;
        }
    }
    return w->failed ? refuse(err, "not JSON") : 0;
}

static int begin_object(struct json_walk *w, struct str text, struct error *err)
{
    return json_walk_begin(w, text, '{') ? 0 : refuse(err, "an object is expected");
}

static int begin_array(struct json_walk *w, struct str text, struct error *err)
{
    return json_walk_begin(w, text, '[') ? 0 : refuse(err, "an array is expected");
}

static int read_any_member(struct str key, struct str value, struct arena *a,
                           struct otel_value *ret, struct error *err)
{
    if (str_eq(key, STR("stringValue"))) {
        *ret = (struct otel_value){.type = OTEL_TEXT};
        return read_text(value, a, &ret->text, err);
    }
    if (str_eq(key, STR("boolValue"))) {
        *ret = (struct otel_value){.type = OTEL_BOOL, .yes = str_eq(value, STR("true"))};
        return ret->yes || str_eq(value, STR("false")) ? 0 : refuse(err, "a boolValue is no bool");
    }
    if (str_eq(key, STR("intValue"))) {
        *ret = (struct otel_value){.type = OTEL_INT};
        return read_integer(value, &ret->integer) == 0 ? 0
                                                       : refuse(err, "an intValue is no integer");
    }
    if (str_eq(key, STR("doubleValue"))) {
        return read_real(value, ret, err);
    }
    *ret = (struct otel_value){.type = OTEL_OTHER};
    return 0;
}

static int read_any(struct str text, struct arena *a, struct otel_value *ret, struct error *err)
{
    struct json_walk w;
    struct str key, value;
    int r = begin_object(&w, text, err);
    while (r == 0 && (r = next_member(&w, &key, &value, err)) > 0) {
        r = read_any_member(key, value, a, ret, err);
    }
    return r;
}

static int read_attribute(struct str text, struct arena *a, struct otel_attribute *ret,
                          struct error *err)
{
    struct json_walk w;
    struct str key, value;
    int r = begin_object(&w, text, err);
    *ret = (struct otel_attribute){.key = STR("")};
    while (r == 0 && (r = next_member(&w, &key, &value, err)) > 0) {
        if (str_eq(key, STR("key"))) {
            r = read_text(value, a, &ret->key, err);
        } else {
            r = str_eq(key, STR("value")) ? read_any(value, a, &ret->value, err) : 0;
        }
    }
    return r;
}

static int read_attributes(struct str text, struct arena *a, struct otel_attributes *ret,
                           struct error *err)
{
    struct otlp_list list = {a, .most = OTLP_ATTRIBUTES_MAX, .size = sizeof(struct otel_attribute)};
    struct json_walk w;
    struct str element;
    int r = begin_array(&w, text, err);
    while (r == 0 && json_walk_element(&w, &element)) {
        struct otel_attribute one, *added;
        r = read_attribute(element, a, &one, err);
        if (r == 0 && (added = otlp_list_add(&list))) {
            *added = one;
        }
    }
    *ret = (struct otel_attributes){list.v, list.n};
    return r == 0 && w.failed ? refuse(err, "not JSON") : r;
}

static int read_event(struct str text, struct arena *a, struct otel_event *ret, struct error *err)
{
    struct json_walk w;
    struct str key, value;
    int r = begin_object(&w, text, err);
    *ret = (struct otel_event){.name = STR("")};
    while (r == 0 && (r = next_member(&w, &key, &value, err)) > 0) {
        if (str_eq(key, STR("timeUnixNano"))) {
            r = read_time(value, &ret->time, err);
        } else {
            r = str_eq(key, STR("name")) ? read_text(value, a, &ret->name, err) : 0;
        }
    }
    return r;
}

static int read_events(struct str text, struct arena *a, struct otel_span *s, struct error *err)
{
    struct otlp_list list = {a, .most = OTLP_EVENTS_MAX, .size = sizeof(struct otel_event)};
    struct json_walk w;
    struct str element;
    int r = begin_array(&w, text, err);
    while (r == 0 && json_walk_element(&w, &element)) {
        struct otel_event one, *added;
        r = read_event(element, a, &one, err);
        if (r == 0 && (added = otlp_list_add(&list))) {
            *added = one;
        }
    }
    s->events = list.v;
    s->n_events = list.n;
    return r == 0 && w.failed ? refuse(err, "not JSON") : r;
}

static int read_status(struct str text, struct otel_span *s, struct error *err)
{
    static const char *const codes[] = {"STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"};
    struct json_walk w;
    struct str key, value;
    int r = begin_object(&w, text, err);
    while (r == 0 && (r = next_member(&w, &key, &value, err)) > 0) {
        if (str_eq(key, STR("code"))) {
            s->status = (enum otel_status)read_enum(value, codes, ARRAY_LEN(codes));
        }
        r = 0;
    }
    return r;
}

enum member { TRACE_ID, SPAN_ID, PARENT_ID, NAME, KIND, START, END, ATTRIBUTES, EVENTS, STATUS };

static const char *const members[] = {
    [TRACE_ID] = "traceId",
    [SPAN_ID] = "spanId",
    [PARENT_ID] = "parentSpanId",
    [NAME] = "name",
    [KIND] = "kind",
    [START] = "startTimeUnixNano",
    [END] = "endTimeUnixNano",
    [ATTRIBUTES] = "attributes",
    [EVENTS] = "events",
    [STATUS] = "status",
};

static int take_member(enum member which, struct str value, struct arena *a, struct otel_span *s,
                       struct error *err)
{
    static const char *const kinds[] = {"SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL",
                                        "SPAN_KIND_SERVER",      "SPAN_KIND_CLIENT",
                                        "SPAN_KIND_PRODUCER",    "SPAN_KIND_CONSUMER"};
    switch (which) {
    case TRACE_ID:
        read_id(value, s->trace_id, sizeof(s->trace_id));
        break;
    case SPAN_ID:
        read_id(value, s->span_id, sizeof(s->span_id));
        break;
    case PARENT_ID:
        read_id(value, s->parent_id, sizeof(s->parent_id));
        break;
    case NAME:
        return read_text(value, a, &s->name, err);
    case KIND:
        s->kind = (enum otel_kind)read_enum(value, kinds, ARRAY_LEN(kinds));
        break;
    case START:
        return read_time(value, &s->start, err);
    case END:
        return read_time(value, &s->end, err);
    case ATTRIBUTES:
        return read_attributes(value, a, &s->attributes, err);
    case EVENTS:
        return read_events(value, a, s, err);
    case STATUS:
        return read_status(value, s, err);
    }
    return 0;
}

static int json_span(struct otlp_walk *w, struct str message, struct otel_span *ret,
                     struct error *err)
{
    struct json_walk walk;
    struct str key, value;
    int r = begin_object(&walk, message, err);
    while (r == 0 && (r = next_member(&walk, &key, &value, err)) > 0) {
        size_t i = 0;
        while (i < ARRAY_LEN(members) && !str_eq(key, str_of(members[i]))) {
            i++;
        }
        r = i < ARRAY_LEN(members) ? take_member((enum member)i, value, &w->span_arena, ret, err)
                                   : 0;
    }
    return r;
}

// The value of one member, absent when there is none. The whole object is looked through.
static int find_member(struct str message, struct str name, struct str *ret, struct error *err)
{
    struct json_walk w;
    struct str key, value;
    int r = begin_object(&w, message, err);
    *ret = STR_NONE;
    while (r == 0 && (r = next_member(&w, &key, &value, err)) > 0) {
        if (str_eq(key, name)) {
            *ret = value;
        }
        r = 0;
    }
    return r;
}

static int json_resource(struct otlp_walk *w, struct str message, struct error *err)
{
    struct str attributes = STR_NONE;
    int r = find_member(message, STR("resource"), &w->raw_resource, err);
    if (r == 0 && str_present(w->raw_resource)) {
        r = find_member(w->raw_resource, STR("attributes"), &attributes, err);
    }
    if (r == 0 && str_present(attributes)) {
        r = read_attributes(attributes, &w->resource_arena, &w->resource, err);
    }
    return r;
}

static int json_open(struct otlp_walk *w, int level, struct str message, struct error *err)
{
    static const char *const names[OTLP_LEVELS] = {"resourceSpans", "scopeSpans", "spans"};
    struct str list;
    int r = find_member(message, str_of(names[level]), &list, err);
    return r < 0 ? r
                 : begin_array(&w->level[level].json, str_present(list) ? list : STR("[]"), err);
}

static int json_next(struct otlp_walk *w, int level, struct str *ret, struct error *err)
{
    struct json_walk *walk = &w->level[level].json;
    if (json_walk_element(walk, ret)) {
        return 1;
    }
    return walk->failed ? refuse(err, "not JSON") : 0;
}

// ---- writing -----------------------------------------------------------------------------------

static void json_quote(const struct otel_span *span, struct buf *b)
{
    buf_cstr(b, "{\"resourceSpans\":[{");
    if (str_present(span->raw_resource)) {
        buf_cstr(b, "\"resource\":");
        buf_str(b, span->raw_resource);
        buf_char(b, ',');
    }
    buf_cstr(b, "\"scopeSpans\":[{\"spans\":[");
    buf_str(b, span->raw);
    buf_cstr(b, "]}]}]}");
}

static void json_answer(int64_t rejected, struct str message, struct buf *b)
{
    if (rejected == 0) {
        buf_cstr(b, "{}");
        return;
    }
    buf_printf(b, "{\"partialSuccess\":{\"rejectedSpans\":\"%lld\",\"errorMessage\":",
               (long long)rejected);
    buf_json_str(b, message);
    buf_cstr(b, "}}");
}

static void json_status(int code, struct str message, struct buf *b)
{
    buf_printf(b, "{\"code\":%d,\"message\":", code);
    buf_json_str(b, message);
    buf_char(b, '}');
}

const struct otlp_format otlp_json = {
    .content_type = "application/json",
    .open = json_open,
    .next = json_next,
    .resource = json_resource,
    .span = json_span,
    .quote = json_quote,
    .answer = json_answer,
    .status = json_status,
};
