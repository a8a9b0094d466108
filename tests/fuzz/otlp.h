// Takes a body apart as the input otlp: does, in either encoding, and checks what comes out: spans
// are the same in both passes, a record is one that is read back as it was written, and a span
// quoted in a dead letter is that span.
#pragma once

#include <assert.h>

#include "input/genai_span.h"
#include "input/otlp_body.h"
#include "input/span_nest.h"
#include "model/decode.h"
#include "model/encode.h"
#include "model/validate.h"

enum { OTLP_QUOTE_MAX = 8 << 20 };

static inline void otlp_same_again(struct decoder *decoder, const struct record *r)
{
    struct arena a = {0};
    struct record again;
    struct error err = {0};
    struct buf text;
    buf_init(&text, RECORD_BYTES_MAX);
    record_encode(&text, r);
    size_t n = text.n;
    assert(buf_reserve(&text, DECODER_PADDING));
    assert(decoder_record(decoder, (struct str){text.p, n}, &a, &again, &err) == 0);
    assert(again.digest == r->digest);
    assert(str_eq(again.event_id, r->event_id));
    buf_done(&text);
    arena_done(&a);
}

// The digest of what a span says; 0: it is no record.
static inline uint64_t otlp_record(struct decoder *decoder, const struct otel_span *span)
{
    static const struct genai_options options = {.model = STR("m")};
    struct arena a = {0};
    struct record r;
    struct error err = {0};
    uint64_t digest = 0;
    if (genai_span_counts(span, &options)) {
        if (genai_span_record(span, &options, &a, &r, &err) == 0) {
            assert(record_check(&r, &err) == 0);
            digest = r.digest;
            otlp_same_again(decoder, &r);
        } else {
            assert(err.code < 0 && err.msg[0] != '\0');
        }
    }
    arena_done(&a);
    return digest;
}

// JSON is quoted as it is; of protobuf the text is base64, which is checked elsewhere.
static inline void otlp_quoted(enum otlp_encoding encoding, struct decoder *decoder,
                               const struct otel_span *span, uint64_t digest)
{
    struct otlp_walk w;
    struct otel_span again;
    struct error err = {0};
    struct buf text;
    buf_init(&text, OTLP_QUOTE_MAX);
    if (encoding == OTLP_PROTO) {
        otlp_proto.quote(span, &text);
    } else {
        otlp_quote(encoding, span, &text);
    }
    assert(buf_ok(&text));
    otlp_walk_begin(&w, encoding, buf_view(&text));
    assert(otlp_walk_next(&w, &again, &err) == 1);
    assert(otlp_record(decoder, &again) == digest);
    assert(otlp_walk_next(&w, &again, &err) == 0);
    otlp_walk_done(&w);
    buf_done(&text);
}

static inline int otlp_body(enum otlp_encoding encoding, struct str body)
{
    enum { QUOTED_MAX = 4 };
    struct span_nest nest = {0};
    static struct decoder *decoder; // making one takes longer than using it
    decoder = decoder ? decoder : decoder_new();
    struct otlp_walk w;
    struct otel_span span;
    struct error err = {0};
    int r;
    otlp_walk_begin(&w, encoding, body);
    while ((r = otlp_walk_next(&w, &span, &err)) > 0) {
        assert(span.attributes.n <= OTLP_ATTRIBUTES_MAX && span.n_events <= OTLP_EVENTS_MAX);
        uint64_t digest = otlp_record(decoder, &span);
        span_nest_add(&nest, &span, digest != 0);
        if (nest.n <= QUOTED_MAX) {
            otlp_quoted(encoding, decoder, &span, digest);
        }
    }
    assert(r == 0 || (r < 0 && err.msg[0] != '\0'));
    otlp_walk_done(&w);
    span_nest_decide(&nest);
    for (size_t i = 0; i < nest.n; i++) {
        assert(nest.spans[i].counts || !span_nest_counts(&nest, i));
    }
    span_nest_done(&nest);
    return 0;
}
