// The simulated cluster's shape: which GPUs, on which hosts, who may use them. Plain data; texts
// are borrowed from the URI.
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/uri.h"
#include "input/hardware.h"

enum { FLEET_HOST_MAX = 200 };

// From the options gpus=, hosts=, host=, gpu=, price=, every=. GPU g is index g % per_host of its
// host.
struct fleet {
    const struct gpu_class *gpu;
    uint32_t n_gpus, n_hosts, per_host; // the last host may have fewer
    int64_t price_nusd;                 // an hour; -1: samples state none
    int64_t every;                      // ns between two samples of a GPU
    struct str host;                    // what hosts are called, before their number
};

// -EINVAL with a message that names the option.
int fleet_read(const struct uri *uri, struct fleet *ret, struct error *err) GTAP_CHECK;

struct str fleet_host(const struct fleet *f, uint32_t gpu, struct arena *a); // "gpu-01"

// Takes `tp` GPUs of one host, the first host that has them free. `used` counts the GPUs taken of
// each host. False when no host has so many; *ret_first is the first of them otherwise.
bool fleet_take(const struct fleet *f, uint32_t *used, int32_t tp, uint32_t *ret_first);

// The help texts of these options.
#define FLEET_OPTIONS                                                                              \
    {"gpus", "N", "simulated GPUs (default 8)"},                                                   \
        {"hosts", "N", "hosts they are on (default: 8 GPUs a host)"},                              \
        {"host", "NAME", "what the hosts are called: NAME-01, ... (default gpu)"},                 \
        {"gpu", "CLASS", "h100, h200, b200, a100, a100-40, l40s, a10g, l4, t4, rtx3090, rtx4090"}, \
        {"price", "USD", "what a GPU costs an hour; without it samples state no price"},           \
    {                                                                                              \
        "every", "TIME", "between two samples of a GPU (default 1s)"                               \
    }
