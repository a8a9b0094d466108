// The dead letter of a record that a store does not take: its verdict says why.
#pragma once

#include "base/buf.h"
#include "output/store.h"

// Borrows from sr and *room, which is initialised here and holds what sr did not bring: the record
// re-encoded, and "event_id:ID" as its origin. The caller frees it.
struct dead_letter refusal_letter(const struct store_record *sr, int64_t now, struct buf *room);

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
