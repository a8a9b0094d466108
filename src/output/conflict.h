// The dead letter of a record whose event_id is stored with another content.
#pragma once

#include "base/buf.h"
#include "output/store.h"

// Borrows from w, sr and *payload, which is initialised here and holds the record re-encoded when
// sr brought no payload; the caller frees it. The origin is
// the write's input when its positions are all of one, else absent.
struct dead_letter conflict_letter(const struct store_write *w, const struct store_record *sr,
                                   int64_t now, struct buf *payload);
