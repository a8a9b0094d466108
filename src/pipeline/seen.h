// Which stored records an engine has taken in, as the state of its shard tells it: those up to the
// highest seq, but for the gaps. A former owner that has not noticed that it was shut out gives
// seqs of its own epoch, above those that were read at the takeover and below all of the new
// owner's.
#pragma once

#include "model/record.h"
#include "output/store_read.h"

int64_t seen_highest(const struct shard_state *s, enum record_kind kind);
bool seen_has(const struct shard_state *s, enum record_kind kind, int64_t seq);
bool seen_in_gap(const struct shard_state *s, enum record_kind kind, int64_t seq);

// It was read from the store, in the order of seqs: a gap that it is in begins behind it.
void seen_read(struct shard_state *s, enum record_kind kind, int64_t seq);
// It came in, in any order.
void seen_fed(struct shard_state *s, enum record_kind kind, int64_t seq);

// At a takeover: from the highest that was read, or the `first` of the shard, up to the first `own`
// one, exclusive. The oldest gap makes room.
void seen_open_gap(struct shard_state *s, enum record_kind kind, int64_t first, int64_t own);
