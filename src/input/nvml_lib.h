// NVML loaded at run time: libnvidia-ml.so.1 comes with the driver, and what it exports differs
// from driver to driver. Every symbol is looked up before the first call, since a missing one
// called through lazy binding would end the process.
//
// Not thread-safe: one thread opens, calls and closes. Any call may block while a driver hangs.
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "input/nvml_abi.h"

#define NVML_LIBRARY "libnvidia-ml.so.1"

// The newest of each function that the library has. NULL: it has none, and what the function would
// tell is absent. Only init, count and by_index are always there. Results are enum nvml_code.
struct nvml_lib {
    void *handle; // of dlopen; NULL: closed
    int (*init)(void);
    int (*shutdown)(void);
    const char *(*error_string)(int code);
    int (*count)(unsigned *ret);
    int (*by_index)(unsigned index, nvml_device *ret);
    int (*name)(nvml_device d, char *text, unsigned n);
    int (*uuid)(nvml_device d, char *text, unsigned n);
    int (*utilization)(nvml_device d, struct nvml_utilization *ret);
    int (*memory_v2)(nvml_device d, struct nvml_memory_v2 *ret);
    int (*memory_v1)(nvml_device d, struct nvml_memory_v1 *ret);
    int (*power)(nvml_device d, unsigned *ret_mw);
    int (*energy)(nvml_device d, unsigned long long *ret_mj); // since the driver was loaded
    int (*temperature)(nvml_device d, int sensor, unsigned *ret_celsius);
    int (*temperature_v)(nvml_device d, struct nvml_temperature_v1 *ret);
    int (*clock)(nvml_device d, int domain, unsigned *ret_mhz);
    int (*mig_mode)(nvml_device d, unsigned *ret_current, unsigned *ret_pending);
    int (*mig_count_max)(nvml_device d, unsigned *ret);
    int (*mig_by_index)(nvml_device d, unsigned index, nvml_device *ret);
    int (*gpu_instance)(nvml_device slice, unsigned *ret);
    int (*attributes)(nvml_device slice, struct nvml_attributes *ret);
};

// Loads and looks up; calls nothing. -ENOENT: no such library, or it cannot be loaded; -ENOSYS: it
// lacks what gtap cannot do without. Both with a message that names the library.
int nvml_lib_open(const char *path, struct nvml_lib *ret, struct error *err) GTAP_CHECK;
// Unloads without a shutdown. Accepts a closed one.
void nvml_lib_close(struct nvml_lib *l);

// Whether the library must be shut down and started anew (a GPU fell off the bus, the driver was
// reloaded or exchanged): anything else is the absence of the one thing that was asked for.
// Source: internal/nvmlnative of utkuozdemir/nvidia_gpu_exporter @e656cd8.
bool nvml_code_is_fatal(int code);

// In the library's own words where it has some, else ours; never NULL.
const char *nvml_code_words(const struct nvml_lib *l, int code);
