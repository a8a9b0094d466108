#include "pipeline/claim.h"

#include <errno.h>
#include <stdio.h>

#include "base/time.h"

#define CLAIM_NS (20 * NS_PER_S)
#define AGAIN_NS (100 * NS_PER_MS)

static void tell(const struct claimant *c, const struct error *err, int64_t wait)
{
    char text[ERROR_MSG_MAX + 64];
    if (c->tell) {
        snprintf(text, sizeof(text), "%s; waiting up to %d s for it", err->msg,
                 (int)(wait / NS_PER_S));
        c->tell(c->ctx, text);
    }
}

int claim_shard(const struct claimant *c, uint32_t shard, struct shard_hold *ret, struct error *err)
{
    const struct clock *clock = c->patience->config->env.clock;
    int64_t wait = c->claim_ns > 0 ? c->claim_ns : CLAIM_NS;
    int64_t until = clock_mono(clock).ns + wait;
    bool told = false;
    for (;;) {
        int r = store_take_shard(c->store, shard, SHARD_EXCLUSIVE, ret, err);
        if (r != -EBUSY || clock_mono(clock).ns >= until || patience_told_to_stop(c->patience)) {
            return r;
        }
        if (!told) {
            tell(c, err, wait);
        }
        told = true;
        patience_wait(c->patience, AGAIN_NS);
    }
}
