// The GPUs of a seed file: JSON, an array of objects shaped as gpu.metrics.v1 (or an object with
// such an array under "gpus"), of which ts, event_id, host and gpu_index may be left out; see
// docs/inputs/seed.md.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "model/record.h"

enum { INVENTORY_GPUS_MAX = 4096, INVENTORY_BYTES_MAX = 1 << 20 };

struct inventory {
    struct gpu_sample *gpus; // as they stand in the file, ts 0; strings in the arena
    uint32_t n;
};

// What is used when there is no file.
extern const char inventory_built_in[];

// `host` stands in where a GPU names none. A GPU that another one of its host has the index of, as
// two of the mission's first seed file do, gets the next free index. -EINVAL with a message that
// says which GPU and what is wrong with it.
int inventory_parse(struct arena *a, struct str json, struct str host, struct inventory *ret,
                    struct error *err) GTAP_CHECK;

// The same from a file.
int inventory_read(struct arena *a, const char *path, struct str host, struct inventory *ret,
                   struct error *err) GTAP_CHECK;
