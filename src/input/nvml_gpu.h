// The GPUs that NVML shows, MIG slices each on its own, and what they measure.
//
// A GPU that is cut into slices is not in the list itself: its slices are, or it would be billed
// twice. With MIG on and no slice made it is there as a whole, since it costs what it costs.
#pragma once

#include "base/arena.h"
#include "input/gpu_source.h"
#include "input/nvml_lib.h"

// What is sampled.
struct nvml_gpu {
    nvml_device device, board; // the same but for slices
    int32_t index;             // the board's, NVML's count
    int32_t instance;          // the slice's GPU instance, or GPU_INSTANCE_NONE
    uint32_t slices, of;       // of a slice: 3 of 7; 0: not told
    struct str name, uuid;     // absent where not told; in the list's arena, as is the profile
    struct str profile;        // "3g.40gb"; absent for a whole GPU
};

struct nvml_board {
    nvml_device device;
    int32_t index;
    bool mig;
};

struct nvml_gpus {
    struct arena arena;
    struct nvml_board *boards;
    size_t n_boards, cap_boards;
    struct nvml_gpu *gpus; // by index, then as NVML numbers slices
    size_t n, cap;
    unsigned count; // boards that NVML counts, picked or not
};

void nvml_gpus_done(struct nvml_gpus *g);

// Lists them anew, all or those that gpus= picks. The library is started. NVML_SUCCESS, or the
// code of the first GPU that should be there and is not, with a message; the others are in the
// list. A GPU that this process may not use is no failure, unless it was picked.
int nvml_gpus_scan(const struct nvml_lib *l, const struct gpu_options *only, struct nvml_gpus *ret,
                   struct error *err) GTAP_CHECK;

// Whether the list is out of date: another number of GPUs, MIG switched on or off.
bool nvml_gpus_changed(const struct nvml_lib *l, const struct nvml_gpus *g);

// Fills in everything but ts, host, source, site and price; texts are borrowed from the list. What
// cannot be measured is absent. A slice's power and energy are its share of the board's, its
// temperature and clock the board's. Otherwise a fatal code, or NVML_NOT_FOUND: the slice is gone.
int nvml_gpu_read(const struct nvml_lib *l, const struct nvml_gpu *g, struct gpu_sample *ret)
    GTAP_CHECK;
