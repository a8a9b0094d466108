// A page of NVIDIA's DCGM exporter as GPU samples: pure. Names, labels and pitfalls are those of
// NVIDIA/dcgm-exporter (etc/default-counters.csv, internal/pkg/rendermetrics/render_metrics.go) and
// of captured pages.
//
// - Labels are written `Hostname` or `hostname`, `UUID` or `uuid`: any case is taken.
// - 9223372036854775792 and more is no value (DCGM's INT64 blanks); so is 140737488355328..331 but
//   in energy (its FP64 blanks).
// - Utilization is GPU_UTIL, else the ratio GR_ENGINE_ACTIVE; memory is in MiB, the total
//   FB_TOTAL, else the sum of used, free and reserved.
// - A GPU that serves several pods is on the page once for each; it is one GPU.
// - MIG: slices (GPU_I_ID) are GPUs of their own, and the GPU that they are cut from is none then.
//   POWER_USAGE and TOTAL_ENERGY_CONSUMPTION are the whole GPU's, repeated for each slice: a slice
//   gets the share that its profile states (1g of 7 on most, of 4 on an A30), and none where there
//   is no profile. The price is shared in the same way.
#pragma once

#include "base/arena.h"
#include "model/record.h"

enum { DCGM_GPUS_MAX = 4096 };

struct dcgm_config {
    struct str host;    // of GPUs whose lines name none
    bool host_wins;     // ... and of those that do
    int64_t price_nusd; // USD per hour of a whole GPU, in nano-USD; -1: not stated
};

struct dcgm_page {
    struct gpu_sample *gpus; // by host, index, instance; ts 0
    size_t n;
    uint64_t bad;  // lines that could not be read, or whose GPU has no number
    uint64_t over; // lines of GPUs beyond DCGM_GPUS_MAX
};

// Everything in *ret lives in the arena.
void dcgm_page_read(struct str page, const struct dcgm_config *c, struct arena *a,
                    struct dcgm_page *ret);
