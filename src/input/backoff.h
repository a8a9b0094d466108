// How long a live input waits before it tries again: 1 s, twice as long after each failure, 30 s at
// most, each time up to a quarter longer, so that many producers do not try at the same moment.
#pragma once

#include <stdint.h>

#include "base/time.h"
#include "input/random.h"

struct backoff {
    struct random random;
    int64_t delay;    // ns, of the next failure; 0: there was none
    struct mono then; // when to try again
};

void backoff_init(struct backoff *b, uint64_t seed); // may be tried at once
void backoff_fail(struct backoff *b, struct mono now);
void backoff_succeed(struct backoff *b);
int64_t backoff_left(const struct backoff *b, struct mono now); // ns; 0: try now
