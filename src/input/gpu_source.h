// What the live GPU sources (nvml:, nvidia-smi:) have in common: their options, and how what they
// measured becomes a record.
#pragma once

#include "base/uuid.h"
#include "input/input.h"
#include "input/placement.h"

struct gpu_options {
    struct placement placement; // host, site, and the GPUs picked
    int64_t every;              // ns between two samples of a GPU
    bool has_price;
    int64_t price_nusd_hour; // of a whole GPU
};

// host=, site=, gpus=, price=, every= (100ms to 30s, default 1s). Borrows as placement_read().
int gpu_options_read(const struct uri *uri, const struct input_env *env, struct arena *a,
                     struct gpu_options *ret, struct error *err) GTAP_CHECK;

// Whether gpus= picks this one, or nothing was picked.
bool gpu_options_pick(const struct gpu_options *o, int32_t index);

// States the price: of a slice its share (slices of `of`), none where that is not known. 0 of 0 is
// a whole GPU.
void gpu_options_price(const struct gpu_options *o, bool slice, uint32_t slices, uint32_t of,
                       struct gpu_sample *s);
// The same by what the name says: see mig_slice_of().
void gpu_options_price_named(const struct gpu_options *o, struct gpu_sample *s);

// Adds the sample at `ts` to the batch: host and site are the options', all texts are copied, the
// digest is made; event_id and position are the caller's to set. -EINVAL with a message, and
// nothing added, where the values break a rule of the record.
int gpu_source_add(const struct gpu_options *o, const struct gpu_sample *s, struct str source,
                   int64_t ts, struct batch *b, struct record **ret, struct error *err) GTAP_CHECK;

// The NVML library: lib=, else GTAP_NVML_LIBRARY, else the one that the loader finds. Borrowed.
const char *gpu_source_nvml(const struct uri *uri, const struct input_env *env);

// The help texts of these options, the same for all GPU sources.
#define GPU_OPTIONS                                                                                \
    {"every", "TIME", "between two samples of a GPU, 100ms to 30s (default 1s)"},                  \
        {"host", "NAME", "host of the GPUs (default HOSTNAME, else this machine's name)"},         \
        {"site", "NAME", "where the host stands"},                                                 \
        {"gpus", "LIST", "only these: 0-3 or 0,2 (default: all)"},                                 \
    {                                                                                              \
        "price", "USD", "what a GPU costs an hour; a MIG slice costs its share"                    \
    }
