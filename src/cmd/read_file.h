// A whole small file at once.
#pragma once

#include "base/arena.h"
#include "base/error.h"

// The text is owned by the arena and NUL-terminated. path "-" is standard input. -EFBIG beyond
// `limit` bytes; errors name the path.
int read_file(const char *path, size_t limit, struct arena *a, struct str *ret, struct error *err)
    GTAP_CHECK;
