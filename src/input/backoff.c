#include "input/backoff.h"

#define DELAY_MIN NS_PER_S
#define DELAY_MAX (24 * NS_PER_S) // and a quarter of it

void backoff_init(struct backoff *b, uint64_t seed)
{
    *b = (struct backoff){.then = {INT64_MIN}};
    random_init(&b->random, seed);
}

void backoff_fail(struct backoff *b, struct mono now)
{
    b->delay = b->delay == 0 ? DELAY_MIN : MIN(2 * b->delay, DELAY_MAX);
    int64_t jitter = (int64_t)random_below(&b->random, (uint64_t)b->delay / 4 + 1);
    b->then.ns = now.ns + b->delay + jitter;
}

void backoff_succeed(struct backoff *b)
{
    b->delay = 0;
    b->then.ns = INT64_MIN;
}

int64_t backoff_left(const struct backoff *b, struct mono now)
{
    return b->then.ns > now.ns ? b->then.ns - now.ns : 0;
}
