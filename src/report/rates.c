#include "report/rates.h"

#include "report/digits.h"

static struct rate rate(bool priced, i128 cost_nusd, i128 tokens)
{
    struct rate r = {0};
    r.known = digits_per_mtok(cost_nusd, tokens, &r.usd_per_mtok) && priced;
    return r;
}

struct rates rates_of(const struct sums *s, i128 cost_nusd, i128 in_nusd, i128 out_nusd)
{
    bool priced = sums_priced(s);
    return (struct rates){
        .all = rate(priced, cost_nusd, sums_tokens(s)),
        .in = rate(priced, in_nusd, s->prompt_tokens),
        .out = rate(priced, out_nusd, s->completion_tokens),
    };
}
