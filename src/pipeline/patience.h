// How long to go on trying. A store that is away is no reason to end a run: what may help to try
// again (error.retryable) is tried for ever, 1 s after the first failure, then at growing distances
// up to 10 s, each up to a quarter longer, so that many do not come back at the same moment. Once
// the run is told to stop there is a deadline. Shared by the meter's thread and the writer's.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "input/random.h"
#include "pipeline/run.h"

struct patience {
    const struct run_config *config;
    pthread_mutex_t lock; // of `store`
    struct run_store store;
    // Held by the one who uses the store while the other might say "I am still here": see
    // writer.h.
    pthread_mutex_t use;
    _Atomic int64_t stopped_at; // monotonic; INT64_MAX: nobody has said so
    atomic_bool gave_up;
};

// Of one thread.
struct attempts {
    struct random random;
    int64_t delay; // ns, of the last wait; 0: the last attempt went well
};

void patience_init(struct patience *p, const struct run_config *c); // c is borrowed
void patience_done(struct patience *p);
void attempts_init(struct attempts *a, uint64_t seed);

bool patience_told_to_stop(struct patience *p);
void patience_stop(struct patience *p);          // as if it were told to
int64_t patience_left(const struct patience *p); // ns for what a stop may take; INT64_MAX: no limit

// After a failure: whether to try again, once it has waited. `meanwhile` is called about ten times
// a second; may be NULL.
bool patience_again(struct patience *p, struct attempts *a, const struct error *err,
                    void (*meanwhile)(void *ctx), void *ctx);
void patience_well(struct patience *p, struct attempts *a); // it went well

// Only notes how it went. NULL: well.
void patience_note(struct patience *p, const struct error *err);
void patience_state(struct patience *p, struct run_store *ret);

// Waits for at most so long; less when the run is told to stop.
void patience_wait(struct patience *p, int64_t ns);
