// A simulated cluster: continuous-batching inference servers on GPUs, which turn arrivals into
// requests that ran at some time on some GPUs, and into what the GPUs showed meanwhile. All times
// are integers; the same arrivals give the same events on every machine. The model:
//
// A server (instance) runs one model on `tp` GPUs. Arrivals wait in one queue, first come first
// served. It works in steps. At the beginning of a step it admits from the queue while the batch
// (batch_max sequences), the KV cache (prompt + completion tokens are reserved) and the step's
// token budget have room; a request too large for the cache runs alone. A step decodes one token of
// every running sequence and prefills what was admitted, a long prompt over several steps; it takes
//
//     step_ns + decoding sequences * sequence_ns + prefilled tokens * prefill_ps / 1000
//
// A request starts with its first prefill step: waiting costs no GPU. Its first token comes at the
// end of its last prefill step, then one a step; it ends with its last token. Steps that are alike
// are taken in one go, so the work is O(arrivals and completions), not O(tokens).
//
// Arrivals go to the instance of their model with the fewest requests, then the fewest tokens.
// (G.-I. Yu et al., "Orca", OSDI 2022; W. Kwon et al., "PagedAttention", SOSP 2023.) Not
// thread-safe.
#pragma once

#include <stdbool.h>

#include "input/hardware.h"

struct serve_request {
    int64_t arrival;        // ns, event time
    int64_t prompt, output; // tokens, >= 0
    uint32_t model;         // index into serve_config.speeds
    uint64_t tag;           // the caller's
};

struct serve_done {
    struct serve_request request;
    int64_t start, first, end; // start <= first <= end; first is meaningless without output
    uint32_t instance;
};

struct serve_sample {
    int64_t ts;
    uint32_t gpu;
    int64_t busy_permille; // of the time since its last sample
    int64_t memory_mb;
    int64_t power_mw;    // mean since its last sample
    int64_t energy_mj;   // since the beginning
    int64_t temperature; // thousandths of a degree Celsius
    int32_t clock_mhz;
};

struct serve_event {
    bool is_sample;
    union {
        struct serve_done done;
        struct serve_sample sample;
    };
};

struct serve_place {
    uint32_t model;     // index into speeds
    uint32_t first_gpu; // of tp consecutive ones
};

struct serve_config {
    const struct gpu_class *gpu;
    uint32_t n_gpus;
    const struct serve_speed *speeds; // one a model
    uint32_t n_models;
    const struct serve_place *places; // the instances; every model has one at least
    uint32_t n_places;
    int64_t epoch; // when the GPUs are switched on; no arrival before it
    int64_t every; // ns between two samples of a GPU, which take turns
};

struct serve;

struct serve *serve_new(const struct serve_config *c); // copies what it needs
void serve_free(struct serve *s);                      // accepts NULL

// Arrivals come in order of time, none before an event that serve_next() has given.
void serve_submit(struct serve *s, const struct serve_request *r);

// No more arrivals: the GPUs are sampled until all is done and `at_least` is reached.
void serve_close(struct serve *s, int64_t at_least);

// The next event before `until`, in order of time. False when there is none, or none any more.
bool serve_next(struct serve *s, int64_t until, struct serve_event *ret);

// When the next event will come, if nothing arrives before. INT64_MAX: never.
int64_t serve_due(const struct serve *s);
