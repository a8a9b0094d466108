#include "input/span_nest.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"

static char present; // what the maps hold: any address

void span_nest_done(struct span_nest *n)
{
    map_done(&n->around[0]);
    map_done(&n->around[1]);
    free(n->spans);
}

void span_nest_begin(struct span_nest *n)
{
    n->n = 0;
}

static int64_t key_of(const struct otel_span *s, const uint8_t *span_id)
{
    uint64_t trace = hash_bytes(s->trace_id, sizeof(s->trace_id), 0);
    return (int64_t)(hash_bytes(span_id, OTEL_SPAN_ID_BYTES, trace) & INT64_MAX);
}

static bool has_parent(const struct otel_span *s)
{
    static const uint8_t none[OTEL_SPAN_ID_BYTES];
    return memcmp(s->parent_id, none, sizeof(none)) != 0 &&
           memcmp(s->parent_id, s->span_id, sizeof(none)) != 0;
}

void span_nest_add(struct span_nest *n, const struct otel_span *span, bool counts)
{
    ARRAY_RESERVE(n->spans, n->n, n->cap);
    n->spans[n->n++] = (struct nested_span){
        .key = key_of(span, span->span_id),
        .parent = has_parent(span) ? key_of(span, span->parent_id) : -1,
        .counts = counts,
    };
}

static bool is_around(const struct span_nest *n, int64_t key)
{
    return map_get(&n->around[0], key) || map_get(&n->around[1], key);
}

// All that lies around a span, as far as this request tells; what is marked has been walked.
static void mark_around(struct span_nest *n, const struct map *by_key, const struct nested_span *s)
{
    while (s && s->parent >= 0 && !map_get(&n->around[0], s->parent)) {
        map_put(&n->around[0], s->parent, &present);
        s = map_get(by_key, s->parent);
    }
}

void span_nest_decide(struct span_nest *n)
{
    struct map by_key = {0};
    if (n->around[0].count >= SPAN_NEST_REMEMBERED) { // between requests: one is always whole
        map_done(&n->around[1]);
        n->around[1] = n->around[0];
        n->around[0] = (struct map){0};
    }
    for (size_t i = 0; i < n->n; i++) {
        map_put(&by_key, n->spans[i].key, &n->spans[i]);
    }
    for (size_t i = 0; i < n->n; i++) {
        if (n->spans[i].counts || is_around(n, n->spans[i].key)) {
            mark_around(n, &by_key, &n->spans[i]);
        }
    }
    map_done(&by_key);
}

bool span_nest_counts(const struct span_nest *n, size_t i)
{
    return n->spans[i].counts && !is_around(n, n->spans[i].key);
}
