// nvidia-smi: GPUs by NVIDIA's program, live or from a file; see docs/inputs/nvidia-smi.md.
#include "input/nvidia_smi.h"

#include <errno.h>

#include "input/gpu_source.h"

// Options of one half mean nothing to the other; silence about that would mislead.
static int check_half(const struct uri *uri, bool file, struct error *err)
{
    static const char *const of_files[] = {"tz", NULL}, *const of_live[] = {"path", "every", NULL};
    for (const char *const *name = file ? of_live : of_files; *name; name++) {
        if (str_present(uri_option(uri, *name))) {
            return error_set(err, -EINVAL, "option %s= is for nvidia-smi: %s", *name,
                             file ? "without a file" : "with a file");
        }
    }
    return 0;
}

static int open_half(const struct uri *uri, const struct input_env *env, struct input **ret,
                     struct error *err)
{
    bool file = uri->path.n > 0;
    int r = check_half(uri, file, err);
    if (r < 0) {
        return r;
    }
    return file ? smi_file_open(uri, env, ret, err) : smi_live_open(uri, env, ret, err);
}

static const struct input_option options[] = {
    GPU_OPTIONS,
    {"path", "FILE", "the program (default nvidia-smi, looked for in PATH)"},
    {"tz", "ZONE", "zone of a file's times: UTC or +02:00 (default: this machine's)"},
    {NULL, NULL, NULL},
};

// What is opened has the driver of its half.
const struct input_driver input_nvidia_smi = {
    .scheme = "nvidia-smi",
    .synopsis = "nvidia-smi: | nvidia-smi:FILE",
    .help = "GPUs as nvidia-smi shows them, live, or from a file of its CSV",
    .options = options,
    .open = open_half,
};
