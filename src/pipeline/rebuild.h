// The store is the state: engines are made from it anew at every start, by one mechanism for
// restart, crash and (later) rebalance. What the engine of a shard needs is
//   - its frontier, and the ranges that are not settled;
//   - the records within a gpu_timeout before the frontier, as neighbours;
//   - the requests that are not final, with what they were charged so far: found by computing the
//     windows they touch once more, without writing;
//   - the records stored after the engine last spoke (seq > seen): these are fed as new arrivals.
#pragma once

#include "base/error.h"
#include "cost/engine.h"
#include "output/store.h"

// Rebuilds the engine of state->shard into *ret. `arrived` is called for each record that the
// engine had not seen, after it was added, with engine_add's answer; it may be NULL. state->
// samples_seen and usage_seen move on.
int rebuild_engine(struct store *store, const struct settings_history *settings,
                   const struct price_book *prices, struct shard_state *state,
                   void (*arrived)(void *ctx, const struct record *r, int late), void *ctx,
                   struct engine **ret, struct error *err) GTAP_CHECK;
