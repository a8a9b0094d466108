// Records as wire-format JSON: what decoder_record() reads back as an equal record (same digest).
#pragma once

#include "base/buf.h"
#include "model/record.h"

// Appends one JSON object without a newline: ts as ISO 8601, present fields only, in the order of
// the schema, event_id when present, then the unknown fields as they came.
void record_encode(struct buf *b, const struct record *r);

// The same without the closing brace, for an exporter that adds computed fields; it then adds
// ,"name":value pairs and '}' itself. `skip_extra` leaves the unknown fields for it to add.
void record_encode_open(struct buf *b, const struct record *r, bool skip_extra);
