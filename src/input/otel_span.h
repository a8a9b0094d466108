// A span of OpenTelemetry as gtap needs it, whatever encoding it came in
// (https://opentelemetry.io/docs/specs/otel/trace/api/#span). Texts are borrowed.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum otel_type {
    OTEL_NONE, // no value, which the protocol allows
    OTEL_TEXT,
    OTEL_BOOL,
    OTEL_INT,
    OTEL_REAL,
    OTEL_OTHER, // bytes, lists, maps: not read any further
};

struct otel_value {
    enum otel_type type;
    union {
        struct str text;
        bool yes;
        int64_t integer;
        double real;
    };
};

struct otel_attribute {
    struct str key;
    struct otel_value value;
};

struct otel_attributes {
    const struct otel_attribute *v;
    size_t n;
};

struct otel_event {
    int64_t time; // ns since the epoch
    struct str name;
};

// The numbers are the protocol's.
enum otel_kind {
    OTEL_KIND_UNSPECIFIED,
    OTEL_KIND_INTERNAL,
    OTEL_KIND_SERVER,
    OTEL_KIND_CLIENT,
    OTEL_KIND_PRODUCER,
    OTEL_KIND_CONSUMER,
};
enum otel_status { OTEL_STATUS_UNSET, OTEL_STATUS_OK, OTEL_STATUS_ERROR };

enum { OTEL_TRACE_ID_BYTES = 16, OTEL_SPAN_ID_BYTES = 8 };

// Ids are absent (all zero, as the protocol calls an invalid id) when they were not sent or had
// another length.
struct otel_span {
    uint8_t trace_id[OTEL_TRACE_ID_BYTES];
    uint8_t span_id[OTEL_SPAN_ID_BYTES], parent_id[OTEL_SPAN_ID_BYTES];
    struct str name;
    enum otel_kind kind;
    enum otel_status status;
    int64_t start, end; // ns since the epoch; INT64_MIN: not sent, or after 2262
    struct otel_attributes attributes, resource;
    const struct otel_event *events;
    size_t n_events;
    struct str raw, raw_resource; // as they came, for dead letters; raw_resource may be absent
};

// Of the last with this key; NULL when there is none.
const struct otel_value *otel_find(struct otel_attributes attributes, struct str key);
