// The GPUs and models that trace: and synthetic: know, and how fast one serves the other: the
// parameters of serve.h. Sources and rationale: docs/inputs/trace.md.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

struct gpu_class {
    const char *key;   // "h100"
    const char *name;  // as NVML names the board
    int64_t memory_mb; // MiB
    int64_t tflops;    // dense BF16
    int64_t bandwidth_gbs;
    int64_t idle_mw, limit_mw;
    int32_t idle_mhz, boost_mhz;
    bool fp8; // arithmetic in 8 bits, at twice the pace
};

// By key, ignoring case. NULL when unknown; gpu_class_list() names all, for messages.
const struct gpu_class *gpu_class_find(struct str key);
const char *gpu_class_list(void);
extern const struct gpu_class *const gpu_class_default; // h100

struct model_class {
    const char *name;                         // "llama-3-70b"
    int64_t params_m;                         // millions of parameters
    int64_t active_m;                         // of them used for one token (mixture of experts)
    int32_t bits;                             // per parameter, as usually served
    int64_t kv_bytes;                         // KV cache per token, all layers
    int32_t tp;                               // GPUs of one instance on 80 GB boards
    int64_t prompt_median, completion_median; // tokens of a typical request
};

// The class of a model by its name; for an unknown one, by a size in its name ("phi-5-14b"), else
// as llama-3-8b. ret->name is not set for these.
void model_class_find(struct str name, struct model_class *ret);
const struct model_class *model_class_at(size_t i); // NULL behind the last

// How one instance of a model on tp GPUs behaves.
struct serve_speed {
    int32_t tp;
    int64_t step_ns;     // every step: launch, communication, reading the weights
    int64_t sequence_ns; // and for every sequence that decodes
    int64_t prefill_ps;  // and for every prompt token, picoseconds
    int64_t weights_mb;  // on each GPU
    int64_t kv_bytes;    // per token on each GPU
    int64_t kv_tokens;   // that fit
    int32_t batch_max;   // sequences
    int32_t step_tokens; // decoded and prefilled in one step
};

// -EINVAL with a message when the weights do not fit.
int serve_speed_of(const struct model_class *m, struct str name, const struct gpu_class *gpu,
                   int32_t tp, struct serve_speed *ret, struct error *err) GTAP_CHECK;

// The same on as few GPUs as it fits, doubling from the model's usual number up to `most`.
int serve_speed_fit(const struct model_class *m, struct str name, const struct gpu_class *gpu,
                    int32_t most, struct serve_speed *ret, struct error *err) GTAP_CHECK;
