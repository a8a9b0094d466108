// MIG slices (NVIDIA's Multi-Instance GPU): what a slice is called, and its share of its GPU.
//
// A slice is a GPU of its own, and its name must say so in front: the price book's "NVIDIA H100*"
// is the price of a whole GPU and must not match a seventh of one. So a slice is never priced by
// mistake seven times over; it has no price until it is given one.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

// "MIG 1g.10gb of NVIDIA H100 80GB HBM3". An absent profile or GPU is left out ("MIG of ...").
struct str mig_name(struct arena *a, struct str profile, struct str gpu);

// Takes apart what the driver calls a slice, "NVIDIA H100 80GB HBM3 MIG 1g.10gb". False: it is no
// slice's name, and nothing is set. Of "1c.3g.40gb", one of several compute instances in a slice,
// the slice's profile is "3g.40gb". The results point into `name`.
bool mig_split(struct str name, struct str *ret_gpu, struct str *ret_profile);

// "3g.40gb" from its slices and its memory, as the driver rounds it: 40448 MiB are 40 GB.
struct str mig_profile(struct arena *a, uint32_t slices, uint64_t memory_mib);

// Slices of a profile: 3 of "3g.40gb"; 0: not told.
uint32_t mig_profile_slices(struct str profile);

// v * slices / of, rounded half up; v >= 0, 0 < slices <= of.
int64_t mig_share(int64_t v, uint32_t slices, uint32_t of);
