// Which rows a range of time is read from: days where whole days fit, hours beside them, windows at
// the ragged edges, so that a year costs about what an hour does. Times are ns, UTC.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "output/store.h"

struct range_part {
    enum window_level level;
    int64_t from, to;
};

enum { RANGE_PARTS_MAX = 5 };

// Cuts [from, to) into parts, ascending, without gaps or overlaps. Hours and days are used up to
// `rolled`, where everything before is final, and never a level coarser than `coarsest`.
size_t range_split(int64_t from, int64_t to, int64_t rolled, enum window_level coarsest,
                   struct range_part parts[RANGE_PARTS_MAX]);
