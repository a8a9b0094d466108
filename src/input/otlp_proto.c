// OTLP as protobuf. The numbers of fields are those of the definition named in otlp_body.h.
#include <errno.h>
#include <string.h>

#include "input/otlp_body.h"

enum {
    REQUEST_RESOURCE_SPANS = 1,
    RESOURCE_SPANS_RESOURCE = 1,
    RESOURCE_SPANS_SCOPE_SPANS = 2,
    SCOPE_SPANS_SPANS = 2,
    RESOURCE_ATTRIBUTES = 1,

    SPAN_TRACE_ID = 1,
    SPAN_SPAN_ID = 2,
    SPAN_PARENT_SPAN_ID = 4,
    SPAN_NAME = 5,
    SPAN_KIND = 6,
    SPAN_START = 7,
    SPAN_END = 8,
    SPAN_ATTRIBUTES = 9,
    SPAN_EVENTS = 11,
    SPAN_STATUS = 15,

    EVENT_TIME = 1,
    EVENT_NAME = 2,
    STATUS_CODE = 3,
    KEY_VALUE_KEY = 1,
    KEY_VALUE_VALUE = 2,

    ANY_STRING = 1,
    ANY_BOOL = 2,
    ANY_INT = 3,
    ANY_DOUBLE = 4,
    ANY_BYTES = 7, // ANY_DOUBLE to here: lists, maps, bytes

    RESPONSE_PARTIAL_SUCCESS = 1,
    PARTIAL_REJECTED = 1,
    PARTIAL_MESSAGE = 2,
    RPC_STATUS_CODE = 1,
    RPC_STATUS_MESSAGE = 2,
};

static int refuse(struct error *err, const char *what)
{
    return error_set(err, -EINVAL, "not an ExportTraceServiceRequest: broken %s", what);
}

static int read_any(struct str message, struct otel_value *ret, struct error *err)
{
    struct proto_reader r;
    struct proto_field f;
    proto_begin(&r, message);
    while (proto_next(&r, &f)) { // one of a set: the last counts
        if (proto_is(&f, ANY_STRING, PROTO_BYTES)) {
            *ret = (struct otel_value){.type = OTEL_TEXT, .text = f.bytes};
        } else if (proto_is(&f, ANY_BOOL, PROTO_VARINT)) {
            *ret = (struct otel_value){.type = OTEL_BOOL, .yes = f.value != 0};
        } else if (proto_is(&f, ANY_INT, PROTO_VARINT)) {
            *ret = (struct otel_value){.type = OTEL_INT, .integer = (int64_t)f.value};
        } else if (proto_is(&f, ANY_DOUBLE, PROTO_FIXED64)) {
            *ret = (struct otel_value){.type = OTEL_REAL};
            memcpy(&ret->real, &f.value, sizeof(ret->real));
        } else if (f.number > ANY_DOUBLE && f.number <= ANY_BYTES) {
            *ret = (struct otel_value){.type = OTEL_OTHER};
        }
    }
    return r.failed ? refuse(err, "value of an attribute") : 0;
}

static int read_attribute(struct str message, struct otlp_list *list, struct error *err)
{
    struct proto_reader r;
    struct proto_field f;
    struct otel_attribute a = {.key = STR("")};
    int result = 0;
    proto_begin(&r, message);
    while (result == 0 && proto_next(&r, &f)) {
        if (proto_is(&f, KEY_VALUE_KEY, PROTO_BYTES)) {
            a.key = f.bytes;
        } else if (proto_is(&f, KEY_VALUE_VALUE, PROTO_BYTES)) {
            result = read_any(f.bytes, &a.value, err);
        }
    }
    struct otel_attribute *added = result == 0 ? otlp_list_add(list) : NULL;
    if (added) {
        *added = a;
    }
    return r.failed ? refuse(err, "attribute") : result;
}

static int read_event(struct str message, struct otlp_list *list, struct error *err)
{
    struct proto_reader r;
    struct proto_field f;
    struct otel_event e = {.name = STR("")};
    proto_begin(&r, message);
    while (proto_next(&r, &f)) {
        if (proto_is(&f, EVENT_TIME, PROTO_FIXED64)) {
            e.time = f.value > INT64_MAX ? INT64_MIN : (int64_t)f.value;
        } else if (proto_is(&f, EVENT_NAME, PROTO_BYTES)) {
            e.name = f.bytes;
        }
    }
    struct otel_event *added = r.failed ? NULL : otlp_list_add(list);
    if (added) {
        *added = e;
    }
    return r.failed ? refuse(err, "event") : 0;
}

static int read_status(struct str message, struct otel_span *ret, struct error *err)
{
    struct proto_reader r;
    struct proto_field f;
    proto_begin(&r, message);
    while (proto_next(&r, &f)) {
        if (proto_is(&f, STATUS_CODE, PROTO_VARINT)) {
            ret->status = f.value == OTEL_STATUS_ERROR ? OTEL_STATUS_ERROR
                          : f.value == OTEL_STATUS_OK  ? OTEL_STATUS_OK
                                                       : OTEL_STATUS_UNSET;
        }
    }
    return r.failed ? refuse(err, "status") : 0;
}

static void take_id(struct str bytes, uint8_t *ret, size_t n)
{
    if (bytes.n == n) {
        memcpy(ret, bytes.p, n);
    } else {
        memset(ret, 0, n);
    }
}

static void take_fixed(const struct proto_field *f, struct otel_span *s)
{
    int64_t time = f->value > INT64_MAX ? INT64_MIN : (int64_t)f->value;
    if (f->number == SPAN_START) {
        s->start = time;
    } else if (f->number == SPAN_END) {
        s->end = time;
    }
}

// What a span's attributes and events are gathered in.
struct span_lists {
    struct otlp_list attributes, events;
};

static int take_message(const struct proto_field *f, struct otel_span *s, struct span_lists *lists,
                        struct error *err)
{
    switch (f->number) {
    case SPAN_TRACE_ID:
        take_id(f->bytes, s->trace_id, sizeof(s->trace_id));
        break;
    case SPAN_SPAN_ID:
        take_id(f->bytes, s->span_id, sizeof(s->span_id));
        break;
    case SPAN_PARENT_SPAN_ID:
        take_id(f->bytes, s->parent_id, sizeof(s->parent_id));
        break;
    case SPAN_NAME:
        s->name = f->bytes;
        break;
    case SPAN_ATTRIBUTES:
        return read_attribute(f->bytes, &lists->attributes, err);
    case SPAN_EVENTS:
        return read_event(f->bytes, &lists->events, err);
    case SPAN_STATUS:
        return read_status(f->bytes, s, err);
    default:
        break;
    }
    return 0;
}

static int proto_span(struct otlp_walk *w, struct str message, struct otel_span *ret,
                      struct error *err)
{
    struct span_lists lists = {
        {&w->span_arena, .most = OTLP_ATTRIBUTES_MAX, .size = sizeof(struct otel_attribute)},
        {&w->span_arena, .most = OTLP_EVENTS_MAX, .size = sizeof(struct otel_event)},
    };
    struct proto_reader r;
    struct proto_field f;
    int result = 0;
    proto_begin(&r, message);
    while (result == 0 && proto_next(&r, &f)) {
        if (f.wire == PROTO_BYTES) {
            result = take_message(&f, ret, &lists, err);
        } else if (f.wire == PROTO_FIXED64) {
            take_fixed(&f, ret);
        } else if (proto_is(&f, SPAN_KIND, PROTO_VARINT) && f.value <= OTEL_KIND_CONSUMER) {
            ret->kind = (enum otel_kind)f.value;
        }
    }
    ret->attributes = (struct otel_attributes){lists.attributes.v, lists.attributes.n};
    ret->events = lists.events.v;
    ret->n_events = lists.events.n;
    return r.failed ? refuse(err, "span") : result;
}

static int read_resource(struct otlp_walk *w, struct str message, struct error *err)
{
    struct otlp_list list = {&w->resource_arena, .most = OTLP_ATTRIBUTES_MAX,
                             .size = sizeof(struct otel_attribute)};
    struct proto_reader r;
    struct proto_field f;
    int result = 0;
    proto_begin(&r, message);
    while (result == 0 && proto_next(&r, &f)) {
        if (proto_is(&f, RESOURCE_ATTRIBUTES, PROTO_BYTES)) {
            result = read_attribute(f.bytes, &list, err);
        }
    }
    w->resource = (struct otel_attributes){list.v, list.n};
    w->raw_resource = message;
    return r.failed ? refuse(err, "resource") : result;
}

// Fields may stand in any order: the whole ResourceSpans is looked through.
static int proto_resource(struct otlp_walk *w, struct str message, struct error *err)
{
    struct proto_reader r;
    struct proto_field f;
    int result = 0;
    proto_begin(&r, message);
    while (result == 0 && proto_next(&r, &f)) {
        if (proto_is(&f, RESOURCE_SPANS_RESOURCE, PROTO_BYTES)) {
            result = read_resource(w, f.bytes, err);
        }
    }
    return r.failed ? refuse(err, "ResourceSpans") : result;
}

static int proto_open(struct otlp_walk *w, int level, struct str message, struct error *err)
{
    (void)err;
    proto_begin(&w->level[level].proto, message);
    return 0;
}

static int proto_next_message(struct otlp_walk *w, int level, struct str *ret, struct error *err)
{
    static const struct {
        uint32_t field;
        const char *name;
    } levels[OTLP_LEVELS] = {
        {REQUEST_RESOURCE_SPANS, "message"},
        {RESOURCE_SPANS_SCOPE_SPANS, "ResourceSpans"},
        {SCOPE_SPANS_SPANS, "ScopeSpans"},
    };
    struct proto_reader *r = &w->level[level].proto;
    struct proto_field f;
    while (proto_next(r, &f)) {
        if (proto_is(&f, levels[level].field, PROTO_BYTES)) {
            *ret = f.bytes;
            return 1;
        }
    }
    return r->failed ? refuse(err, levels[level].name) : 0;
}

// ---- writing -----------------------------------------------------------------------------------

static void put_message(struct buf *b, uint32_t number, struct buf *message)
{
    proto_put_bytes(b, number, buf_view(message));
    b->failed = b->failed || message->failed;
    buf_done(message);
}

static void proto_quote(const struct otel_span *span, struct buf *b)
{
    struct buf scope_spans, resource_spans;
    buf_init(&scope_spans, b->limit);
    buf_init(&resource_spans, b->limit);
    proto_put_bytes(&scope_spans, SCOPE_SPANS_SPANS, span->raw);
    if (str_present(span->raw_resource)) {
        proto_put_bytes(&resource_spans, RESOURCE_SPANS_RESOURCE, span->raw_resource);
    }
    put_message(&resource_spans, RESOURCE_SPANS_SCOPE_SPANS, &scope_spans);
    put_message(b, REQUEST_RESOURCE_SPANS, &resource_spans);
}

static void proto_answer(int64_t rejected, struct str text, struct buf *b)
{
    if (rejected > 0) {
        struct buf partial;
        buf_init(&partial, b->limit);
        proto_put_varint(&partial, PARTIAL_REJECTED, (uint64_t)rejected);
        proto_put_bytes(&partial, PARTIAL_MESSAGE, text);
        put_message(b, RESPONSE_PARTIAL_SUCCESS, &partial);
    }
}

static void proto_status(int code, struct str text, struct buf *b)
{
    proto_put_varint(b, RPC_STATUS_CODE, (uint64_t)code);
    proto_put_bytes(b, RPC_STATUS_MESSAGE, text);
}

const struct otlp_format otlp_proto = {
    .content_type = "application/x-protobuf",
    .open = proto_open,
    .next = proto_next_message,
    .resource = proto_resource,
    .span = proto_span,
    .quote = proto_quote,
    .answer = proto_answer,
    .status = proto_status,
};
