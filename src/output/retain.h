// How much of the past raw records are still needed for: the rule of store_expire, in one place.
//
// What is not final or not settled in a shard begins at
//     base = min(frontier, oldest_pending, start of every unsettled range).
// Its requests reach back to T = min(base, start of each request that runs at base), because a
// request's cost is the sum over all its windows. What happens at T depends on nothing further away
// than gpu_timeout (cost-model.md, "Price") but the requests that run then. So every record that
// ends before T - margin may go, once the shard's engine has taken it in, and a request's cost is
// final. The margin is twice the longest gpu_timeout plus a window: neither alignment to windows
// nor an engine that is started a little early can come up short.
#pragma once

#include "output/store.h"

// The first instant of this shard that something open depends on; INT64_MIN: nothing may go.
int64_t retain_base(const struct shard_state *s, const struct unsettled_range *unsettled, size_t n);

// Records that end before this may go. `oldest_start`: T above.
int64_t retain_records_from(const struct settings_history *h, int64_t oldest_start);

// A record that begins before this comes too late: what it would change can no longer be computed,
// since records before raw_from were expired. INT64_MIN: none were. The margin is the same, so
// whatever begins after the frontier is in time.
int64_t retain_open_from(const struct settings_history *h, int64_t raw_from);

// Windows that begin before this may go: their hours are rolled up and nothing will replace them.
int64_t retain_windows_from(const struct shard_state *s, const struct unsettled_range *unsettled,
                            size_t n);
