// One server of serve.h: its queue, its batch, and the run of equal steps it is in.
#pragma once

#include "input/serve.h"

struct sequence {
    struct serve_request request;
    int64_t start, first;
    int64_t to_prefill; // prompt tokens left before this run
    int64_t chunk;      // of them, in each step of this run
    int64_t finish_at;  // count of steps after which it is done
    uint64_t order;     // of admission
};

struct instance {
    struct serve_speed speed;
    struct serve_request *queue; // a ring
    size_t queue_first, queue_n, queue_cap;
    struct sequence *prefilling; // only the last may need another run
    struct sequence *decoding;   // a heap: soonest done first
    int32_t n_prefilling, n_decoding;
    uint64_t admitted;
    int64_t requests, tokens; // here, waiting or running
    int64_t kv_reserved;      // tokens
    int64_t kv_offset;        // tokens held by `decoding`, less steps * n_decoding
    int64_t steps;            // before this run
    // The run; n_steps 0: idle, and with a queue about to begin one.
    int64_t begin, step_ns, prefill_ns, n_steps;
    // Up to begin: time at work, and the same weighted with load in thousandths; wraps around.
    uint64_t busy_ns, work;
};

void instance_init(struct instance *in, const struct serve_speed *speed, int64_t now);
void instance_done(struct instance *in);

void instance_submit(struct instance *in, const struct serve_request *r);
int64_t instance_due(const struct instance *in); // the end of its run; INT64_MAX: idle

// At instance_due(): ends the run and begins the next. Up to batch_max requests are done: calls
// done() for each, in order.
void instance_advance(struct instance *in,
                      void (*done)(void *ctx, const struct sequence *s, int64_t end), void *ctx);

struct instance_state {
    uint64_t busy_ns, work;
    int64_t kv_tokens; // held
};
// At a time within the run.
struct instance_state instance_at(const struct instance *in, int64_t t);
