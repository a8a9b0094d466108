// JSON text to records, by simdjson (https://simdjson.org), behind a C ABI: decode.cpp is the only
// C++ file. Field names and rules are those of schemas/gpu.metrics.v1.json and
// schemas/token.usage.v1.json; numbers that are money or time are read exactly, from their text.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "model/record.h"

#ifdef __cplusplus
extern "C" {
#endif

struct decoder;

struct decoder *decoder_new(void);
void decoder_free(struct decoder *d); // accepts NULL

// Bytes that must be readable (not initialised) behind the text given to decoder_record.
enum { DECODER_PADDING = 64 };

// Decodes one JSON object of either kind. The kind is told by its fields: one with a token or
// latency field (prompt_tokens, completion_tokens, latency_ms) is usage, one with a GPU
// measurement is a sample. Strings are copied to the arena, so `text` may be reused at once.
// Unknown fields are kept as they are, but for those that gtap adds in an export
// (model/computed.h). Sets all of *ret but shard, seq and position; event_id is absent when the
// producer gave none; the digest is set.
//
// -EINVAL with a message "field: what is wrong" for a bad record: not JSON, not an object, a
// wrong type, a missing field, a negative or non-finite number, a field given twice, cached >
// prompt, ttft > latency, a time outside [1970, 2200), text over its limit, trailing bytes. The
// decoder stays usable. Not thread-safe: one decoder a thread.
int decoder_record(struct decoder *d, struct str text, struct arena *a, struct record *ret,
                   struct error *err) GTAP_CHECK;

#ifdef __cplusplus
}
#endif
