// Sharing out an integer by largest remainder (cost-model.md, "Money is integer").
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/wide.h"

// One party: its real share going in, its whole part coming out.
struct share {
    struct dd quota; // > 0: a party without a share is no party
    int64_t part;
    uint32_t fraction; // of the quota, in 2^-32, cut off
};

// Sets every part so that they add up to `total`: the whole part of each quota, and what is left
// over one by one to the largest fractions, ties to the earlier party. 2^-46 is added before the
// fraction is cut off, so that equal fractions tie although they were computed along different
// ways. The quotas must add up to within 1 of total; n < 2^32, and n > 0 unless total is 0.
// scratch: room for n.
void apportion(struct share *shares, size_t n, int64_t total, uint64_t *scratch);
