#include "report/sums.h"

// What the engine counts is far from this bound; what a damaged file says may not be.
static void count(int64_t *sum, int64_t n)
{
    if (__builtin_add_overflow(*sum, n, sum)) {
        *sum = n < 0 ? INT64_MIN : INT64_MAX;
    }
}

void sums_add_row(struct sums *s, const struct window_row *row)
{
    s->cost_nusd += row->cost_nusd;
    s->cost_in_nusd += row->cost_in_nusd;
    s->cost_out_nusd += row->cost_out_nusd;
    s->prompt_tokens += row->prompt_tokens;
    s->cached_prompt_tokens += row->cached_prompt_tokens;
    s->completion_tokens += row->completion_tokens;
    s->busy_ns += row->busy_ns;
    s->unpriced_ns += row->unpriced_ns;
    count(&s->requests, row->requests);
    count(&s->unpriced_requests, row->unpriced_requests);
    s->energy_j += row->has_energy ? row->energy_j : 0;
    s->has_energy |= row->has_energy;
    s->open |= !row->final;
}

void sums_add(struct sums *s, const struct sums *other)
{
    s->cost_nusd += other->cost_nusd;
    s->cost_in_nusd += other->cost_in_nusd;
    s->cost_out_nusd += other->cost_out_nusd;
    s->prompt_tokens += other->prompt_tokens;
    s->cached_prompt_tokens += other->cached_prompt_tokens;
    s->completion_tokens += other->completion_tokens;
    s->busy_ns += other->busy_ns;
    s->unpriced_ns += other->unpriced_ns;
    count(&s->requests, other->requests);
    count(&s->unpriced_requests, other->unpriced_requests);
    s->energy_j += other->has_energy ? other->energy_j : 0;
    s->has_energy |= other->has_energy;
    s->open |= other->open;
}
