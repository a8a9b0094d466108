// Having a store sum an hour or a day up again: `recompute`, where what is rolled up is not the sum
// of windows that are right.
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "output/store.h"

// Commits the first window of a shard in [from, to), which is final, once more as it is: a store
// rolls up whatever a commit touches. Where no window has rows, one without rows at `from`.
int roll_up_again(struct store *s, uint32_t shard, int64_t from, int64_t to, struct error *err)
    GTAP_CHECK;

// Hours and days whose copies say something else than their rows: one of both was changed, and only
// the windows, where they are still there, can tell which.
struct rerolls {
    struct reroll {
        int64_t from, to;
        uint32_t shard;
    } * v;
    size_t n, cap;
};
void rerolls_add(struct rerolls *r, const struct store_copy *copy);
int rerolls_run(const struct rerolls *r, struct store *s, struct error *err) GTAP_CHECK;
void rerolls_done(struct rerolls *r);
