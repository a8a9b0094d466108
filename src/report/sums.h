// What a group of cost rows adds up to. Only sums: rates are made from them at the very end. Money
// is nano-USD, time is ns of GPU time. All zero is the empty sum.
#pragma once

#include "base/wide.h"
#include "cost/rows.h"

struct sums {
    i128 cost_nusd, cost_in_nusd, cost_out_nusd; // of the priced time
    i128 prompt_tokens, cached_prompt_tokens, completion_tokens;
    i128 busy_ns, unpriced_ns; // GPU time, and what of it has no price
    int64_t requests, unpriced_requests;
    double energy_j; // of what is known, when has_energy
    bool has_energy;
    bool open; // some row of it is not final
};

void sums_add_row(struct sums *s, const struct window_row *row);
void sums_add(struct sums *s, const struct sums *other);

static inline i128 sums_tokens(const struct sums *s)
{
    return s->prompt_tokens + s->completion_tokens;
}

// False: a part of it has no price, so its cost is only the priced part, and no rate follows.
static inline bool sums_priced(const struct sums *s)
{
    return s->unpriced_ns == 0 && s->unpriced_requests == 0;
}
