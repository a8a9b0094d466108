#include "input/nvml_lib.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

enum { NAMES_MAX = 2 };

struct symbol {
    size_t offset; // of the pointer in struct nvml_lib
    bool required;
    const char *names[NAMES_MAX]; // newest first
};

#define AT(member) offsetof(struct nvml_lib, member)

// nvmlDeviceGetAttributes without _v2 has another, shorter struct: it is no fall-back.
static const struct symbol symbols[] = {
    {AT(init), true, {"nvmlInit_v2", "nvmlInit"}},
    {AT(shutdown), false, {"nvmlShutdown"}},
    {AT(error_string), false, {"nvmlErrorString"}},
    {AT(count), true, {"nvmlDeviceGetCount_v2", "nvmlDeviceGetCount"}},
    {AT(by_index), true, {"nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex"}},
    {AT(name), false, {"nvmlDeviceGetName"}},
    {AT(uuid), false, {"nvmlDeviceGetUUID"}},
    {AT(utilization), false, {"nvmlDeviceGetUtilizationRates"}},
    {AT(memory_v2), false, {"nvmlDeviceGetMemoryInfo_v2"}},
    {AT(memory_v1), false, {"nvmlDeviceGetMemoryInfo"}},
    {AT(power), false, {"nvmlDeviceGetPowerUsage"}},
    {AT(energy), false, {"nvmlDeviceGetTotalEnergyConsumption"}},
    {AT(temperature), false, {"nvmlDeviceGetTemperature"}},
    {AT(temperature_v), false, {"nvmlDeviceGetTemperatureV"}},
    {AT(clock), false, {"nvmlDeviceGetClockInfo"}},
    {AT(mig_mode), false, {"nvmlDeviceGetMigMode"}},
    {AT(mig_count_max), false, {"nvmlDeviceGetMaxMigDeviceCount"}},
    {AT(mig_by_index), false, {"nvmlDeviceGetMigDeviceHandleByIndex"}},
    {AT(gpu_instance), false, {"nvmlDeviceGetGpuInstanceId"}},
    {AT(attributes), false, {"nvmlDeviceGetAttributes_v2"}},
};

_Static_assert(sizeof(void *) == sizeof(void (*)(void)), "POSIX: dlsym() gives functions too");

static void *look_up(void *handle, const struct symbol *s)
{
    void *found = NULL;
    for (size_t i = 0; i < NAMES_MAX && s->names[i] && !found; i++) {
        found = dlsym(handle, s->names[i]);
    }
    return found;
}

static int look_up_all(struct nvml_lib *l, const char *path, struct error *err)
{
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        void *found = look_up(l->handle, &symbols[i]);
        if (found == NULL && symbols[i].required) {
            return error_set(err, -ENOSYS, "%s is no NVML that can be used: it lacks %s", path,
                             symbols[i].names[0]);
        }
        memcpy((char *)l + symbols[i].offset, &found, sizeof(found));
    }
    return 0;
}

int nvml_lib_open(const char *path, struct nvml_lib *ret, struct error *err)
{
    *ret = (struct nvml_lib){.handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL)};
    if (ret->handle == NULL) {
        const char *why = dlerror();
        return error_set(err, -ENOENT, "NVML cannot be loaded: %s", why ? why : path);
    }
    int r = look_up_all(ret, path, err);
    if (r < 0) {
        nvml_lib_close(ret);
    }
    return r;
}

void nvml_lib_close(struct nvml_lib *l)
{
    if (l->handle) {
        dlclose(l->handle);
    }
    *l = (struct nvml_lib){0};
}

bool nvml_code_is_fatal(int code)
{
    switch (code) {
    case NVML_UNINITIALIZED:
    case NVML_DRIVER_NOT_LOADED:
    case NVML_GPU_IS_LOST:
    case NVML_RESET_REQUIRED:
    case NVML_LIB_RM_VERSION_MISMATCH:
    case NVML_GPU_NOT_FOUND:
        return true;
    default:
        return false;
    }
}

const char *nvml_code_words(const struct nvml_lib *l, int code)
{
    static const struct {
        int code;
        const char *words;
    } known[] = {
        {NVML_UNINITIALIZED, "uninitialized"},
        {NVML_NO_PERMISSION, "insufficient permissions"},
        {NVML_DRIVER_NOT_LOADED, "driver not loaded"},
        {NVML_GPU_IS_LOST, "GPU is lost"},
        {NVML_RESET_REQUIRED, "GPU requires reset"},
        {NVML_LIB_RM_VERSION_MISMATCH, "the library and the driver are of different versions"},
    };
    const char *own = l->error_string ? l->error_string(code) : NULL;
    if (own && *own) {
        return own;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].code == code) {
            return known[i].words;
        }
    }
    return "unknown error";
}
