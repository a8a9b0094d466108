// The body of an OTLP/HTTP request for traces, an ExportTraceServiceRequest, taken apart into its
// spans one after the other, and the answers to it. In both encodings: binary protobuf, and JSON.
//
// Field numbers, names and the JSON mapping (ids as hex, 64-bit integers as decimal text, enums as
// numbers, bytes as base64) are those of the protocol's definition:
// open-telemetry/opentelemetry-proto, opentelemetry/proto/{collector/trace,trace,resource,common}/
// v1/*.proto, and https://opentelemetry.io/docs/specs/otlp/#otlphttp.
//
// Pure, and bounded: besides the body itself a walk holds one span's and one resource's attributes,
// at most OTLP_ATTRIBUTES_MAX and OTLP_EVENTS_MAX of each (the rest are passed over), however many
// spans there are.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "input/json_scan.h"
#include "input/otel_span.h"
#include "input/protobuf.h"

enum otlp_encoding { OTLP_PROTO, OTLP_JSON, OTLP_ENCODINGS };

enum { OTLP_ATTRIBUTES_MAX = 1024, OTLP_EVENTS_MAX = 1024 };

// The messages around a span, from the outside: request, ResourceSpans, ScopeSpans.
enum { OTLP_LEVELS = 3 };

struct otlp_walk {
    enum otlp_encoding encoding;
    struct str body; // absent once it is taken up
    union {
        struct proto_reader proto;
        struct json_walk json;
    } level[OTLP_LEVELS]; // each over the messages of the next level
    int depth;            // of the innermost that is open; -1: none
    struct arena span_arena, resource_arena;
    struct otel_attributes resource;
    struct str raw_resource;
};

// Borrows the body.
void otlp_walk_begin(struct otlp_walk *w, enum otlp_encoding encoding, struct str body);
void otlp_walk_done(struct otlp_walk *w);

// The next span: its attributes and texts live until the next call, its `raw` as long as the body.
// 1: *ret is set; 0: that was the last; -EINVAL: the body is no such request, with a message. What
// came before it stands.
int otlp_walk_next(struct otlp_walk *w, struct otel_span *ret, struct error *err) GTAP_CHECK;

// A request that holds only this span, as text that can be kept and sent again: JSON, or the
// protobuf message in base64.
void otlp_quote(enum otlp_encoding encoding, const struct otel_span *span, struct buf *b);
// Bytes that were no request, as text: JSON as it is, anything else in base64.
void otlp_quote_body(enum otlp_encoding encoding, struct str body, struct buf *b);

// An ExportTraceServiceResponse: empty when none was rejected.
void otlp_answer(enum otlp_encoding encoding, int64_t rejected, struct str message, struct buf *b);
// A google.rpc.Status, as OTLP wants it in answers other than 200.
void otlp_answer_status(enum otlp_encoding encoding, int code, struct str message, struct buf *b);
const char *otlp_content_type(enum otlp_encoding encoding);

// ---- what an encoding brings along; internal to otlp_*.c ---------------------------------------

struct otlp_format {
    const char *content_type;
    // Opens a level over a message: its field 1 (request) or 2, which repeats.
    int (*open)(struct otlp_walk *w, int level, struct str message, struct error *err);
    // The next message of that field: 1, 0 at the end.
    int (*next)(struct otlp_walk *w, int level, struct str *ret, struct error *err);
    // Of a ResourceSpans: its resource and the attributes of it.
    int (*resource)(struct otlp_walk *w, struct str message, struct error *err);
    int (*span)(struct otlp_walk *w, struct str message, struct otel_span *ret, struct error *err);
    void (*quote)(const struct otel_span *span, struct buf *b);
    void (*answer)(int64_t rejected, struct str message, struct buf *b);
    void (*status)(int code, struct str message, struct buf *b);
};

extern const struct otlp_format otlp_proto, otlp_json;

// A list that grows in an arena, up to a bound.
struct otlp_list {
    struct arena *arena;
    void *v;
    size_t n, cap, most, size;
};
void *otlp_list_add(struct otlp_list *list); // zeroed; NULL when it is full
