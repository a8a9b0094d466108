// Rates of a row or a total, in USD for a million tokens: sums of nano-USD over sums of tokens,
// never a mean of rates.
#pragma once

#include "report/query.h"

struct rate {
    bool known; // false: no tokens, or some part has no price
    double usd_per_mtok;
};

// all: over prompt and completion tokens; in: in-cost over prompt tokens, cached ones included;
// out: out-cost over completion tokens.
struct rates {
    struct rate all, in, out;
};

// cost_nusd and its parts may be loaded ones; tokens and what is priced come from the sums.
struct rates rates_of(const struct sums *s, i128 cost_nusd, i128 in_nusd, i128 out_nusd);

static inline struct rates rates_busy(const struct sums *s)
{
    return rates_of(s, s->cost_nusd, s->cost_in_nusd, s->cost_out_nusd);
}

static inline struct rates rates_loaded(const struct report_row *row)
{
    return rates_of(&row->sums, row->loaded_nusd, row->loaded_in_nusd, row->loaded_out_nusd);
}

// False: nothing of it has a price, so its cost is unknown rather than 0.
static inline bool cost_known(enum row_kind kind, const struct sums *s)
{
    return kind != ROW_UNPLACED && (s->cost_nusd > 0 || sums_priced(s));
}
