// gpu: the best source of GPU samples that this machine has, or the one that GPU_METRICS_SOURCE
// names; see docs/inputs/gpu.md. What is opened is the chosen input itself.
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "input/gpu_source.h"
#include "input/nvidia_smi.h"
#include "input/nvml_lib.h"

struct choice {
    const struct input_driver *driver;
    const char *why;
};

// Loads it and looks at its symbols, but calls nothing: a driver that hangs must not hang the
// start, and one that is not loaded now may be later.
static bool has_nvml(const struct uri *uri, const struct input_env *env)
{
    struct nvml_lib lib;
    struct error ignored;
    bool has = nvml_lib_open(gpu_source_nvml(uri, env), &lib, &ignored) == 0;
    nvml_lib_close(&lib);
    return has;
}

static bool is_program(const char *folder, size_t n, const char *name)
{
    AUTO_FREE char *path = x_asprintf("%.*s/%s", (int)n, folder, name);
    return access(path, X_OK) == 0;
}

static bool has_smi(const struct uri *uri, const struct input_env *env)
{
    const char *program = smi_program(uri);
    const char *path = env->getenv ? env->getenv("PATH") : NULL;
    struct str rest = str_of(path), folder;
    if (strchr(program, '/')) {
        return access(program, X_OK) == 0;
    }
    bool found = false;
    while (!found && str_split(&rest, ':', &folder)) {
        found = folder.n > 0 && is_program(folder.p, folder.n, program);
    }
    return found;
}

static int choose_named(const char *name, struct choice *ret, struct error *err)
{
    static const struct input_driver *const drivers[] = {&input_nvml, &input_nvidia_smi,
                                                         &input_seed};
    for (size_t i = 0; i < ARRAY_LEN(drivers); i++) {
        if (strcmp(drivers[i]->scheme, name) == 0) {
            *ret = (struct choice){drivers[i], "GPU_METRICS_SOURCE says so"};
            return 0;
        }
    }
    return error_set(err, -EINVAL, "GPU_METRICS_SOURCE must be nvml, nvidia-smi or seed, not '%s'",
                     name);
}

static int choose(const struct uri *uri, const struct input_env *env, struct choice *ret,
                  struct error *err)
{
    const char *name = env->getenv ? env->getenv("GPU_METRICS_SOURCE") : NULL;
    if (name && *name) {
        return choose_named(name, ret, err);
    }
    if (has_nvml(uri, env)) {
        *ret = (struct choice){&input_nvml, "NVML is there"};
        return 0;
    }
    if (has_smi(uri, env)) {
        *ret = (struct choice){&input_nvidia_smi, "the program is there, NVML is not"};
        return 0;
    }
    return error_set(
        err, -ENODEV,
        "no NVIDIA GPU source is on this machine: neither %s nor %s. Where the driver "
        "is elsewhere, name it by lib= or path=; without a GPU, GPU_METRICS_SOURCE=seed "
        "makes samples up",
        gpu_source_nvml(uri, env), smi_program(uri));
}

static bool takes(const struct input_driver *driver, struct str name)
{
    const struct input_option *o = driver->options;
    while (o->name && !str_eq(name, str_of(o->name))) {
        o++;
    }
    return o->name != NULL;
}

// Where to find a source that was not chosen does no harm; any other option that would be passed
// over in silence is refused.
static int check_options(const struct uri *uri, const struct choice *c, struct error *err)
{
    for (size_t i = 0; i < uri->n_options; i++) {
        struct str key = uri->options[i].key;
        bool finds = str_eq(key, STR("lib")) || str_eq(key, STR("path"));
        if (!finds && !takes(c->driver, key)) {
            return error_set(err, -EINVAL,
                             "gpu: has chosen %s: (%s), which takes no option " STR_FMT "=",
                             c->driver->scheme, c->why, STR_ARG(key));
        }
    }
    return 0;
}

static int gpu_open(const struct uri *uri, const struct input_env *env, struct input **ret,
                    struct error *err)
{
    struct choice c = {0};
    if (uri->path.n > 0) {
        return error_set(err, -EINVAL,
                         "gpu: takes no path; a file is read by seed: or nvidia-smi:");
    }
    int r = choose(uri, env, &c, err);
    r = r < 0 ? r : check_options(uri, &c, err);
    r = r < 0 ? r : c.driver->open(uri, env, ret, err);
    if (r == 0) {
        char *about = (*ret)->info.about;
        size_t n = strlen(about);
        snprintf(about + n, sizeof((*ret)->info.about) - n, "; %s: %s", c.driver->scheme, c.why);
    }
    return r;
}

static const struct input_option options[] = {
    GPU_OPTIONS,
    {"lib", "FILE", "the NVML library (default GTAP_NVML_LIBRARY, else " NVML_LIBRARY ")"},
    {"path", "FILE", "the program nvidia-smi (default: looked for in PATH)"},
    {NULL, NULL, NULL},
};

const struct input_driver input_gpu = {
    .scheme = "gpu",
    .synopsis = "gpu:",
    .help = "this machine's GPUs by GPU_METRICS_SOURCE (nvml, nvidia-smi, seed), else the best "
            "there is",
    .options = options,
    .open = gpu_open,
};
