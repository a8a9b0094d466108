// Where a live input's records run, when they do not say so themselves: the options host=, gpus=,
// tenant= and site= of servers and of requests that are sent in.
#pragma once

#include "input/input.h"

struct placement {
    struct str host;                // host=, else HOSTNAME, else this machine's name
    int32_t gpus[RECORD_GPUS_MAX];  // gpus=0-3,6: ascending, distinct
    uint32_t n_gpus;                // 0: not said, so a record without GPUs is unplaced
    int32_t instance;               // instance=, the MIG slice of the one GPU, or GPU_INSTANCE_NONE
    struct str tenant, site, model; // absent when not said
};

// Borrows from uri, env and the arena, which outlive the input. -EINVAL with a message.
int placement_read(const struct uri *uri, const struct input_env *env, struct arena *a,
                   struct placement *ret, struct error *err) GTAP_CHECK;

// Fills in what a usage record does not say: the host when it names none, the GPUs when it names
// none and is of this host; tenant and site each. Texts are copied to the arena, the digest is made
// anew. Without gpus= a record stays without a place.
void placement_apply(const struct placement *p, struct record *r, struct arena *a);

// GPU indices in ascending order, "0-3,6", into room for RECORD_GPUS_MAX. -EINVAL: no such list.
int gpu_list_read(struct str text, int32_t *ret, uint32_t *ret_n) GTAP_CHECK;

// The host's name alone, as in placement_read, for GPU sources.
struct str placement_host(const struct uri *uri, const struct input_env *env, struct arena *a);

// The help texts of these options, the same for all inputs.
#define PLACEMENT_OPTIONS                                                                          \
    {"host", "NAME", "host of the GPUs (default HOSTNAME, else this machine's name)"},             \
        {"gpus", "LIST", "GPUs of the host that serve: 0-3 or 0,2 (default: not known)"},          \
        {"instance", "N", "MIG slice, when gpus= names one GPU"},                                  \
        {"tenant", "NAME", "tenant of requests that name none"},                                   \
        {"site", "NAME", "site of records that name none"},                                        \
    {                                                                                              \
        "model", "NAME", "model of requests that name none"                                        \
    }
