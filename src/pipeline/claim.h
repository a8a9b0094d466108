// Taking a shard that another process may have just left, or been killed with: for a while it looks
// alive.
#pragma once

#include "output/store.h"
#include "pipeline/patience.h"

struct claimant {
    struct store *store;
    int64_t claim_ns; // how long to wait; 0: 20 s
    struct patience *patience;
    void (*tell)(void *ctx, const char *text); // that it waits; may be NULL
    void *ctx;
};

// -EBUSY when it is still another's after that.
int claim_shard(const struct claimant *c, uint32_t shard, struct shard_hold *ret, struct error *err)
    GTAP_CHECK;
