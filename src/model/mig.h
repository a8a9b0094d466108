// MIG slices (NVIDIA's Multi-Instance GPU): what a slice is called, and its share of its GPU.
//
// A slice is a GPU of its own, and the name that its price goes by says so in front: "MIG 1g.10gb
// of NVIDIA H100 80GB HBM3". The price book's "NVIDIA H100*" is the price of a whole GPU, of which
// a slice costs its share (see cost/price.h), never all of it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "model/record.h"

// "MIG 1g.10gb of NVIDIA H100 80GB HBM3". An absent profile or GPU is left out ("MIG of ...").
struct str mig_name(struct arena *a, struct str profile, struct str gpu);

// Takes apart what the driver calls a slice, "NVIDIA H100 80GB HBM3 MIG 1g.10gb". False: it is no
// slice's name, and nothing is set. Of "1c.3g.40gb", one of several compute instances in a slice,
// the slice's profile is "3g.40gb". The results point into `name`.
bool mig_split(struct str name, struct str *ret_gpu, struct str *ret_profile);

// "3g.40gb" from its slices and its memory, as the driver rounds it: 40448 MiB are 40 GB.
struct str mig_profile(struct arena *a, uint32_t slices, uint64_t memory_mib);

// Compute slices of a profile: 3 of "3g.40gb"; 0: not told.
uint32_t mig_profile_slices(struct str profile);

// Into how many compute slices a GPU of this name can be cut: 7, 4 or 2 by the table of NVIDIA's
// MIG user guide, "Supported GPUs"; 0: not known.
uint32_t mig_gpu_slices(struct str gpu);

// v * slices / of, rounded half up; v >= 0, 0 < slices <= of.
int64_t mig_share(int64_t v, uint32_t slices, uint32_t of);

// What a sample's price goes by: its name; of a slice, whatever its source calls it, the name as
// of mig_name(), put together in `room` where it is not that already. A slice is what has a GPU
// instance, a profile, or a slice's name.
enum { MIG_NAME_MAX = 2 * RECORD_TEXT_MAX + 16 };
struct str mig_sample_name(const struct gpu_sample *s, char room[MIG_NAME_MAX]);

// A name as of mig_name(), taken apart; the GPU is absent when not told. slices of `of` are its
// share of the GPU; both are 0 when that is not known. False: it is no slice's.
struct mig_slice {
    struct str gpu;
    uint32_t slices, of;
};
bool mig_slice_of(struct str name, struct mig_slice *ret);
