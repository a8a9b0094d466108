// Event ids for records that came without one: they say where the record stands, so reading the
// same thing again makes the same ids: "day.ndjson#5f0c21aa93e1:000000041204".
#pragma once

#include <stdint.h>

#include "base/arena.h"

// Long enough for any file name (NAME_MAX is 255) and short of RECORD_TEXT_MAX with the number.
enum { ORIGIN_PREFIX_MAX = 300 };

struct origin {
    char prefix[ORIGIN_PREFIX_MAX]; // "day.ndjson#5f0c21aa93e1:"
    size_t n;
};

// Bytes of `name` that are not printable ASCII become '_': ids are text, file names need not be.
// Of the fingerprint 48 bits are used.
void origin_init(struct origin *o, struct str name, uint64_t fingerprint);

// The part of a path that names the file.
struct str origin_file_name(struct str path);

// The id of record `number` (> 0), at least 12 digits, so that ids sort as records stand.
struct str origin_id(const struct origin *o, int64_t number, struct arena *a);

// What stands in for a fingerprint where reading again is impossible (stdin): never twice the same.
uint64_t origin_random(void);
