// A libnvidia-ml.so.1 for tests: no GPU, no driver, only what a file says.
//
// FAKE_NVML names the file, read anew at every call, so that a test changes what happens next by
// writing it: lines "key=value", all of which may be missing.
//
//     gpus=2            how many are counted (default 1)
//     init=9            what nvmlInit answers (default 0, success)
//     lost=1            this GPU answers every question with GPU_IS_LOST; by index, -1: none
//     lost_after=5      GPU 0 is lost from the sixth question on, until the library is loaded anew
//     all=18            what every question but init is answered with
//     power=3           what the power question is answered with
//     memory_v2=25      likewise; v1 works
//     temperature=26    likewise; the versioned question works
//     utilization=100   percent; over 100 is what broken drivers say
//     mig=1             GPU 0 is cut into the slices of a real H100, see slices[]
//     slices=4          how many of them there are now
//     slice_error=2     what a slice's memory question is answered with
//     plain_names=1     slices answer with the board's name, as old drivers do
//     no_permission=1   this GPU may not be used
//
// Each nvmlInit adds a byte to the file of that name with ".inits" behind it.
//
// FAKE_NVML_GPUS=8, without a file: so many GPUs, nothing wrong with them, and no file is opened at
// every question, which would be what a benchmark measures.
//
// Which symbols it has is decided by the export lists in fake_nvml/: old drivers lack the new ones.
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input/nvml_abi.h"

#define EXPORT __attribute__((visibility("default")))
#define MIB UINT64_C(1048576)

enum { BOARDS = 16, SLICES = 4 };

struct nvml_device {
    int board, slice; // slice -1: the board itself
};

// The slices of the public H100 capture: nvidia-smi of driver 590.48.01.
static const struct {
    unsigned instance, slices;
    uint64_t used, total; // MiB
    const char *profile;
} slices[SLICES] = {
    {2, 3, 11091, 40448, "3g.40gb"},
    {3, 2, 17, 20096, "2g.20gb"},
    {9, 1, 9, 9984, "1g.10gb"},
    {10, 1, 9, 9984, "1g.10gb"},
};

static struct nvml_device devices[BOARDS][SLICES + 1];
static long questions;
static const char *path, *gpus; // looked up by nvmlInit: a question asks for many settings

static long setting(const char *key, long otherwise)
{
    if (!path && gpus && strcmp(key, "gpus") == 0) {
        return (long)strtoll(gpus, NULL, 10);
    }
    FILE *f = path ? fopen(path, "re") : NULL;
    char line[128];
    size_t n = strlen(key);
    long value = otherwise;
    while (f && fgets(line, sizeof(line), f)) {
        char *end;
        long v =
            strncmp(line, key, n) == 0 && line[n] == '=' ? strtoll(line + n + 1, &end, 10) : value;
        value = v;
    }
    if (f) {
        fclose(f);
    }
    return value;
}

static void note_init(void)
{
    char name[4096];
    snprintf(name, sizeof(name), "%s.inits", path ? path : "");
    FILE *f = path ? fopen(name, "ae") : NULL;
    if (f) {
        fputc('x', f);
        fclose(f);
    }
}

// What every question about a device goes through.
static int ask(nvml_device d, const char *key)
{
    long all = setting("all", NVML_SUCCESS), after = setting("lost_after", -1);
    questions++;
    if (all != NVML_SUCCESS) {
        return (int)all;
    }
    if (d->board == setting("lost", -1) || (d->board == 0 && after >= 0 && questions > after)) {
        return NVML_GPU_IS_LOST;
    }
    return key ? (int)setting(key, NVML_SUCCESS) : NVML_SUCCESS;
}

EXPORT int nvmlInit_v2(void);
EXPORT int nvmlInit_v2(void)
{
    path = getenv("FAKE_NVML");
    gpus = getenv("FAKE_NVML_GPUS");
    note_init();
    return (int)setting("init", NVML_SUCCESS);
}

EXPORT int nvmlInit(void);
EXPORT int nvmlInit(void)
{
    return nvmlInit_v2();
}

EXPORT int nvmlShutdown(void);
EXPORT int nvmlShutdown(void)
{
    return NVML_SUCCESS;
}

EXPORT const char *nvmlErrorString(int code);
EXPORT const char *nvmlErrorString(int code)
{
    return code == NVML_GPU_IS_LOST ? "GPU is lost" : code == 9 ? "Driver Not Loaded" : NULL;
}

EXPORT int nvmlDeviceGetCount_v2(unsigned *ret);
EXPORT int nvmlDeviceGetCount_v2(unsigned *ret)
{
    *ret = (unsigned)setting("gpus", 1);
    return (int)setting("all", NVML_SUCCESS);
}

EXPORT int nvmlDeviceGetCount(unsigned *ret);
EXPORT int nvmlDeviceGetCount(unsigned *ret)
{
    return nvmlDeviceGetCount_v2(ret);
}

EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned index, nvml_device *ret);
EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned index, nvml_device *ret)
{
    if (index >= (unsigned)setting("gpus", 1)) {
        return NVML_INVALID_ARGUMENT;
    }
    *ret = &devices[index][SLICES];
    **ret = (struct nvml_device){(int)index, -1};
    return (long)index == setting("no_permission", -1) ? NVML_NO_PERMISSION : ask(*ret, NULL);
}

EXPORT int nvmlDeviceGetHandleByIndex(unsigned index, nvml_device *ret);
EXPORT int nvmlDeviceGetHandleByIndex(unsigned index, nvml_device *ret)
{
    return nvmlDeviceGetHandleByIndex_v2(index, ret);
}

EXPORT int nvmlDeviceGetName(nvml_device d, char *text, unsigned n);
EXPORT int nvmlDeviceGetName(nvml_device d, char *text, unsigned n)
{
    bool named = d->slice >= 0 && !setting("plain_names", 0);
    snprintf(text, n, "NVIDIA H100 80GB HBM3%s%s", named ? " MIG " : "",
             named ? slices[d->slice].profile : "");
    return ask(d, NULL);
}

EXPORT int nvmlDeviceGetUUID(nvml_device d, char *text, unsigned n);
EXPORT int nvmlDeviceGetUUID(nvml_device d, char *text, unsigned n)
{
    snprintf(text, n, "%s-%08x-0000-0000-0000-%012x", d->slice < 0 ? "GPU" : "MIG",
             (unsigned)(d->slice < 0 ? d->board : d->slice), (unsigned)d->board);
    return ask(d, NULL);
}

EXPORT int nvmlDeviceGetUtilizationRates(nvml_device d, struct nvml_utilization *ret);
EXPORT int nvmlDeviceGetUtilizationRates(nvml_device d, struct nvml_utilization *ret)
{
    *ret = (struct nvml_utilization){.gpu = (uint32_t)setting("utilization", 87), .memory = 11};
    int code = ask(d, NULL);
    return code == NVML_SUCCESS && setting("mig", 0) && d->board == 0 ? NVML_NOT_SUPPORTED : code;
}

EXPORT int nvmlDeviceGetMemoryInfo_v2(nvml_device d, struct nvml_memory_v2 *ret);
EXPORT int nvmlDeviceGetMemoryInfo_v2(nvml_device d, struct nvml_memory_v2 *ret)
{
    int code = ask(d, d->slice < 0 ? "memory_v2" : "slice_error");
    if (ret->version != NVML_MEMORY_V2) {
        return NVML_ARGUMENT_VERSION_MISMATCH;
    }
    if (d->slice < 0) {
        ret->total = 81559 * MIB;
        ret->reserved = 479 * MIB;
        ret->used = 19818 * MIB;
    } else {
        ret->total = slices[d->slice].total * MIB;
        ret->reserved = 0;
        ret->used = slices[d->slice].used * MIB;
    }
    ret->free = ret->total - ret->reserved - ret->used;
    return code;
}

EXPORT int nvmlDeviceGetMemoryInfo(nvml_device d, struct nvml_memory_v1 *ret);
EXPORT int nvmlDeviceGetMemoryInfo(nvml_device d, struct nvml_memory_v1 *ret)
{
    struct nvml_memory_v2 v2 = {.version = NVML_MEMORY_V2};
    int code = ask(d, d->slice < 0 ? NULL : "slice_error");
    (void)nvmlDeviceGetMemoryInfo_v2(d, &v2);
    *ret = (struct nvml_memory_v1){v2.total, v2.free, v2.used + v2.reserved};
    return code;
}

EXPORT int nvmlDeviceGetPowerUsage(nvml_device d, unsigned *ret);
EXPORT int nvmlDeviceGetPowerUsage(nvml_device d, unsigned *ret)
{
    *ret = 631950 + (unsigned)d->board;
    return ask(d, "power");
}

EXPORT int nvmlDeviceGetTotalEnergyConsumption(nvml_device d, unsigned long long *ret);
EXPORT int nvmlDeviceGetTotalEnergyConsumption(nvml_device d, unsigned long long *ret)
{
    *ret = 257858316;
    return ask(d, "energy");
}

EXPORT int nvmlDeviceGetTemperature(nvml_device d, int sensor, unsigned *ret);
EXPORT int nvmlDeviceGetTemperature(nvml_device d, int sensor, unsigned *ret)
{
    *ret = sensor == NVML_SENSOR_GPU ? 59 : 0;
    return ask(d, "temperature");
}

EXPORT int nvmlDeviceGetTemperatureV(nvml_device d, struct nvml_temperature_v1 *ret);
EXPORT int nvmlDeviceGetTemperatureV(nvml_device d, struct nvml_temperature_v1 *ret)
{
    ret->celsius = 58;
    return ret->version == NVML_TEMPERATURE_V1 ? ask(d, NULL) : NVML_ARGUMENT_VERSION_MISMATCH;
}

EXPORT int nvmlDeviceGetClockInfo(nvml_device d, int domain, unsigned *ret);
EXPORT int nvmlDeviceGetClockInfo(nvml_device d, int domain, unsigned *ret)
{
    *ret = domain == NVML_CLOCK_SM ? 1980 : 0;
    return ask(d, NULL);
}

EXPORT int nvmlDeviceGetMigMode(nvml_device d, unsigned *current, unsigned *pending);
EXPORT int nvmlDeviceGetMigMode(nvml_device d, unsigned *current, unsigned *pending)
{
    *current = *pending = d->board == 0 ? (unsigned)setting("mig", 0) : 0;
    return ask(d, NULL);
}

EXPORT int nvmlDeviceGetMaxMigDeviceCount(nvml_device d, unsigned *ret);
EXPORT int nvmlDeviceGetMaxMigDeviceCount(nvml_device d, unsigned *ret)
{
    *ret = 7;
    return ask(d, NULL);
}

EXPORT int nvmlDeviceGetMigDeviceHandleByIndex(nvml_device d, unsigned index, nvml_device *ret);
EXPORT int nvmlDeviceGetMigDeviceHandleByIndex(nvml_device d, unsigned index, nvml_device *ret)
{
    if (index >= SLICES || (long)index >= setting("slices", SLICES)) {
        return NVML_NOT_FOUND;
    }
    *ret = &devices[d->board][index];
    **ret = (struct nvml_device){d->board, (int)index};
    return ask(*ret, NULL);
}

EXPORT int nvmlDeviceGetGpuInstanceId(nvml_device d, unsigned *ret);
EXPORT int nvmlDeviceGetGpuInstanceId(nvml_device d, unsigned *ret)
{
    *ret = slices[d->slice].instance;
    return ask(d, NULL);
}

EXPORT int nvmlDeviceGetAttributes_v2(nvml_device d, struct nvml_attributes *ret);
EXPORT int nvmlDeviceGetAttributes_v2(nvml_device d, struct nvml_attributes *ret)
{
    *ret = (struct nvml_attributes){.gpu_instance_slices = slices[d->slice].slices,
                                    .compute_instance_slices = slices[d->slice].slices,
                                    .memory_mib = slices[d->slice].total};
    return ask(d, "attributes");
}
