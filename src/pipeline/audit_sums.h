// What an hour or a day of a shard should hold, added up from its windows by `verify`, apart from
// the code that rolls up (output/rollup.h).
#pragma once

#include "base/arena.h"
#include "cost/rows.h"

// In canonical order, by GPU, kind, model and tenant; all zero is the empty one.
struct audit_sums {
    struct window_row *rows;
    size_t n, cap;
    struct arena texts;
};

void audit_sum(struct audit_sums *s, const struct window_row *row);
// Where the sum of a row's GPU, kind, model and tenant is, or belongs.
size_t audit_find_sum(const struct audit_sums *s, const struct window_row *row, bool *ret_found);
void audit_sums_done(struct audit_sums *s);
