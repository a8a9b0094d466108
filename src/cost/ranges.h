// A set of disjoint, ascending time ranges (ns, [from, to)); ranges that touch are one. All zero
// is the empty set. Additions at the end, as late records mostly are, cost O(1). Not thread-safe.
#pragma once

#include "cost/engine.h"

struct ranges {
    struct time_range *v;
    size_t n, cap;
};

void ranges_done(struct ranges *r);
// Nothing, when from >= to.
void ranges_add(struct ranges *r, int64_t from, int64_t to);
void ranges_remove(struct ranges *r, int64_t from, int64_t to);
