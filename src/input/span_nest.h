// Which of several spans of one call counts: the innermost. A gateway's span around a client's span
// around a server's span are three reports of one call; a span is passed over when one that counts
// lies within it, at whatever depth, whether or not what is between them is about models.
//
// Within one request all spans are known before any is counted. Across requests the spans around
// those that counted are remembered, the last SPAN_NEST_REMEMBERED of them at least: a span ends,
// and so is sent, after those within it. What this cannot see is a span that comes before one
// within it, from another process; docs/inputs/otlp.md says what to do then.
#pragma once

#include "base/map.h"
#include "input/otel_span.h"

enum { SPAN_NEST_REMEMBERED = 1 << 16 };

struct nested_span {
    int64_t key, parent; // of trace and span; parent -1: none
    bool counts;         // it would, if it stood alone
};

// Zeroed, it is empty.
struct span_nest {
    struct map around[2]; // keys of spans around those that count: young and old
    struct nested_span *spans;
    size_t n, cap;
};

void span_nest_done(struct span_nest *n);

// One after the other, all spans of a request; then once the decision.
void span_nest_begin(struct span_nest *n);
void span_nest_add(struct span_nest *n, const struct otel_span *span, bool counts);
void span_nest_decide(struct span_nest *n);

// After that, of the i-th span that was added: whether it counts.
bool span_nest_counts(const struct span_nest *n, size_t i);
