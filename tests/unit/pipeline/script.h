// An input that owns shards for a time and does what a test tells it to: "script:NAME".
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "input/input_impl.h"

enum { SCRIPT_SHARDS = 8 };

struct script {
    const char *name;
    uint32_t n_shards;
    atomic_bool current;
    atomic_uint behind[SCRIPT_SHARDS];
    atomic_llong told, answered; // positions: of what was put in, and of what came back as stored
    atomic_int idle;             // so often it was told that nobody takes its batches
    pthread_mutex_t lock;        // of what follows
    struct script_step *first, *last;
};

extern const struct input_driver script_driver; // for input_env.extra

void script_init(struct script *s, const char *name, uint32_t n_shards);
void script_done(struct script *s);

// NDJSON lines as records; each goes to the shard of its GPU's number.
void script_put(struct script *s, const struct buf *lines);
// shards: -1 ends them.
void script_change(struct script *s, enum batch_change change, ...);
bool script_answered(const struct script *s); // all that was put in is stored
void script_wait(struct script *s);           // until it is; ends the test process when it is not
