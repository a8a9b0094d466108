// How far things got, as a store keeps it for the next run: inputs, and the engines of shards.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

// How far an input got: the next run goes on behind it.
struct input_position {
    struct str input;     // its name: stable over restarts
    int64_t records;      // records and dead letters taken from it so far
    int64_t offset;       // bytes of it consumed; -1 where that means nothing
    uint64_t fingerprint; // of its beginning, to tell another input under the same name; 0: none
};

// What an engine must know to go on: see pipeline/rebuild.h.
// Seqs that an engine may not have taken in although it has taken in higher ones: those that former
// owners could still give when others had the shard. Of the last few former owners.
enum { SHARD_GAPS_MAX = 4 };
struct shard_gaps {
    size_t n;
    struct {
        int64_t from, to; // [from, to)
    } v[SHARD_GAPS_MAX];  // ascending
};

struct shard_state {
    uint32_t shard;
    int64_t frontier;          // everything before is final; INT64_MIN: nothing yet
    int64_t newest;            // newest evidence; INT64_MIN: none
    int64_t oldest_pending;    // start of the oldest request not final; INT64_MAX: none
    int64_t samples_seen;      // highest seq of gpu_metrics that the engine has taken in
    int64_t usage_seen;        // the same of token_usage
    struct shard_gaps gaps[2]; // below these, by enum record_kind; only where a store has several
                               // writers
};

// Computed time that must be settled: [from, to) of a shard.
struct unsettled_range {
    uint32_t shard;
    int64_t from, to;
};
