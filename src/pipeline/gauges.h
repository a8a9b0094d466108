// What a run measures of itself while it goes on; see base/metric.h. Each member has one thread
// that writes it, any may read.
#pragma once

#include <stdatomic.h>

#include "base/metric.h"
#include "base/time.h"

struct meter;

// Time that passed, and what with. Real time, whatever the clock of the run says.
enum stage {
    STAGE_COMMIT,  // the writer: encoding and the store
    STAGE_LETTERS, // the writer: publishing dead letters
    STAGE_UPKEEP,  // the writer: prices, expiring
    STAGE_RETRY,   // the writer: waiting to try again
    STAGE_IDLE,    // the writer: nothing to do
    STAGE_METER,   // the meter: engines
    STAGE_SETTLE,  // the meter: settling, and taking shards
    STAGE_WAIT,    // the meter: nothing to do
    STAGES
};

struct gauges {
    struct histogram commit_seconds, commit_records;
    _Atomic int64_t stage_ns[STAGES];
};

void gauges_init(struct gauges *g);

// Time since *since goes to this stage; *since becomes now.
void gauges_spent(struct gauges *g, enum stage stage, struct mono *since);
static inline struct mono gauges_now(void)
{
    return clock_mono(&clock_system);
}

// All that there is to say of a meter and its inputs, anew into *to. On the meter's thread.
void gauges_list(const struct meter *m, struct metric_list *to);
