// The dead letter of a record that a store does not take: its verdict says why.
#pragma once

#include "base/buf.h"
#include "output/store.h"

// Borrows from w, sr and *payload, which is initialised here and holds the record re-encoded when
// sr brought no payload; the caller frees it. The origin is the write's input when its positions
// are all of one, else absent.
struct dead_letter refusal_letter(const struct store_write *w, const struct store_record *sr,
                                  int64_t now, struct buf *payload);

// Whether the verdict puts a record into the dead letters.
static inline bool verdict_refuses(enum store_verdict v)
{
    return v == STORE_CONFLICT || v == STORE_EXPIRED || v == STORE_REFUSED;
}

// Whether it begins before `open_from` (output/retain.h).
static inline bool record_too_late(const struct record *r, int64_t open_from)
{
    int64_t begin = r->kind == RECORD_USAGE ? usage_start(&r->usage) : r->sample.ts;
    return begin < open_from;
}
