// nvml: this machine's GPUs, by the library that comes with their driver; see docs/inputs/nvml.md.
//
// NVML is called on the input's own thread alone. A driver that hangs holds up this input, and the
// end of the run, but no other input.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "input/backoff.h"
#include "input/gpu_source.h"
#include "input/input_impl.h"
#include "input/nvml_gpu.h"
#include "input/origin.h"
#include "input/wait.h"

#define SCAN_EVERY_NS (10 * NS_PER_S) // slices come and go without changing anything else

struct nvml_input {
    struct input base;
    struct arena arena;
    struct gpu_options options;
    const char *path; // of the library
    struct nvml_lib lib;
    bool started; // the library is open and initialised
    bool trouble; // some GPU that should be there is not: started anew once backoff says so
    struct nvml_gpus gpus;
    struct mono scanned, due; // the last listing, the next round of samples
    struct backoff backoff;
    struct uuid7 ids;
    int64_t position;
};

static void stop(struct nvml_input *n)
{
    if (n->started && n->lib.shutdown) {
        (void)n->lib.shutdown();
    }
    nvml_lib_close(&n->lib);
    nvml_gpus_done(&n->gpus);
    n->started = false;
}

static void fail(struct nvml_input *n, struct mono now, const struct error *err)
{
    n->trouble = true;
    backoff_fail(&n->backoff, now);
    input_report(&n->base, err);
}

// "8 x NVIDIA H100 80GB HBM3", when they are all of one kind.
static void describe(struct nvml_input *n)
{
    const struct nvml_gpus *g = &n->gpus;
    bool alike = g->n > 0 && str_present(g->gpus[0].name);
    for (size_t i = 1; i < g->n; i++) {
        alike = alike && str_eq(g->gpus[i].name, g->gpus[0].name);
    }
    if (alike) {
        input_describe(&n->base, "%zu x %.*s by NVML, on %.60s", g->n, STR_ARG(g->gpus[0].name),
                       n->options.placement.host.p);
    } else {
        input_describe(&n->base, "%zu GPUs by NVML, on %.60s", g->n, n->options.placement.host.p);
    }
}

static int list(struct nvml_input *n, struct mono now, struct error *err)
{
    n->scanned = now;
    int r = nvml_gpus_scan(&n->lib, &n->options, &n->gpus, err);
    if (r == NVML_SUCCESS) {
        describe(n);
    }
    return r;
}

static int start_library(struct nvml_input *n, struct error *err)
{
    int r = nvml_lib_open(n->path, &n->lib, err);
    if (r < 0) {
        return r;
    }
    int code = n->lib.init();
    if (code != NVML_SUCCESS) {
        return error_set(err, -ENODEV, "NVML does not start: %s", nvml_code_words(&n->lib, code));
    }
    n->started = true;
    return 0;
}

// The library is loaded anew too: after an update of the driver, the one that is loaded no longer
// fits it. GPUs that are there are read from now on, whatever became of the others.
static void start(struct nvml_input *n, struct mono now)
{
    struct error err = {0};
    stop(n);
    if (start_library(n, &err) < 0) {
        stop(n);
        fail(n, now, &err);
        return;
    }
    n->due = now;
    if (list(n, now, &err) != NVML_SUCCESS) {
        fail(n, now, &err);
        return;
    }
    n->trouble = false;
}

static void add_sample(struct nvml_input *n, struct batch *b, const struct nvml_gpu *gpu,
                       struct gpu_sample *s)
{
    struct record *r;
    struct error err;
    char id[UUID_TEXT];
    int64_t now = clock_wall(n->base.env->clock);
    gpu_options_price(&n->options, gpu->instance != GPU_INSTANCE_NONE, gpu->slices, gpu->of, s);
    if (gpu_source_add(&n->options, s, STR("nvml"), now, b, &r, &err) < 0) {
        input_report(&n->base, &err);
        return;
    }
    uuid7_next(&n->ids, now, id);
    r->event_id = arena_copy(&b->arena, (struct str){id, UUID_TEXT});
    r->position = ++n->position;
}

// Reads all that are listed. What cannot be read leaves the list until the library is started anew;
// a slice that is gone, until the next listing.
static int read_all(struct nvml_input *n, struct batch *b, struct error *err)
{
    int worst = NVML_SUCCESS;
    size_t kept = 0;
    for (size_t i = 0; i < n->gpus.n; i++) {
        struct nvml_gpu gpu = n->gpus.gpus[i];
        struct gpu_sample s;
        int code = nvml_gpu_read(&n->lib, &gpu, &s);
        if (code == NVML_SUCCESS) {
            add_sample(n, b, &gpu, &s);
            n->gpus.gpus[kept++] = gpu;
        } else if (code == NVML_NOT_FOUND) {
            n->scanned.ns = INT64_MIN;
        } else if (worst == NVML_SUCCESS) {
            worst = code;
            error_set(err, -ENODEV, "GPU %d: %s", gpu.index, nvml_code_words(&n->lib, code));
        }
    }
    n->gpus.n = kept;
    return worst;
}

static bool out_of_date(const struct nvml_input *n, struct mono now)
{
    return n->scanned.ns == INT64_MIN || now.ns - n->scanned.ns >= SCAN_EVERY_NS ||
           nvml_gpus_changed(&n->lib, &n->gpus);
}

// While there is trouble the list stands: a lost GPU would only be found lost again.
static void take_round(struct nvml_input *n, struct mono now, struct batch *b)
{
    struct error err = {0};
    n->due.ns += n->options.every;
    if (n->due.ns <= now.ns) {
        n->due.ns = now.ns + n->options.every; // rounds that were missed stay missed
    }
    int code = NVML_SUCCESS;
    if (!n->trouble && out_of_date(n, now)) {
        code = list(n, now, &err);
    }
    int read = read_all(n, b, code == NVML_SUCCESS ? &err : NULL);
    if (code != NVML_SUCCESS || read != NVML_SUCCESS) {
        fail(n, now, &err);
    } else if (!n->trouble) {
        backoff_succeed(&n->backoff);
        input_report(&n->base, NULL);
    }
}

static int nvml_next(struct input *in, struct batch *b, struct error *err)
{
    struct nvml_input *n = (struct nvml_input *)in;
    struct mono now = clock_mono(in->env->clock);
    (void)err;
    if ((n->trouble || !n->started) && backoff_left(&n->backoff, now) == 0) {
        start(n, now);
    }
    if (n->started && n->due.ns <= now.ns) {
        take_round(n, now, b);
    }
    b->position = n->position;
    b->offset = -1;
    if (b->n_records == 0) {
        int64_t wait = n->started ? n->due.ns - now.ns : INT64_MAX;
        if (n->trouble || !n->started) {
            wait = MIN(wait, backoff_left(&n->backoff, now));
        }
        (void)input_wait(in->env, -1, wait);
    }
    return INPUT_MORE;
}

static int nvml_seek(struct input *in, int64_t records, int64_t offset, struct error *err)
{
    struct nvml_input *n = (struct nvml_input *)in;
    (void)offset;
    (void)err;
    n->position = records; // live: only the numbers go on
    return 0;
}

static void nvml_close(struct input *in)
{
    struct nvml_input *n = (struct nvml_input *)in;
    stop(n);
    arena_done(&n->arena);
    free(n);
}

static int nvml_open(const struct uri *uri, const struct input_env *env, struct input **ret,
                     struct error *err)
{
    struct nvml_input *n = x_zalloc(sizeof(*n));
    n->base = (struct input){.driver = &input_nvml, .env = env, .uri = uri};
    n->path = gpu_source_nvml(uri, env);
    int r = gpu_options_read(uri, env, &n->arena, &n->options, err);
    if (r == 0 && uri->path.n > 0) {
        r = error_set(err, -EINVAL, "nvml: takes no path; the library is option lib=FILE");
    }
    if (r < 0) {
        nvml_close(&n->base);
        return r;
    }
    n->base.info = (struct input_info){.name = uri->text.p, .total = -1};
    snprintf(n->base.info.about, sizeof(n->base.info.about), "GPUs of %.60s by NVML (%.60s)",
             n->options.placement.host.p, n->path);
    n->scanned.ns = INT64_MIN;
    backoff_init(&n->backoff, origin_random());
    *ret = &n->base;
    return 0;
}

static const struct input_option options[] = {
    GPU_OPTIONS,
    {"lib", "FILE", "the NVML library (default GTAP_NVML_LIBRARY, else " NVML_LIBRARY ")"},
    {NULL, NULL, NULL},
};

const struct input_driver input_nvml = {
    .scheme = "nvml",
    .synopsis = "nvml:",
    .help = "this machine's NVIDIA GPUs, live, by the driver's library; MIG slices each on its own",
    .options = options,
    .open = nvml_open,
    .seek = nvml_seek,
    .next = nvml_next,
    .close = nvml_close,
};
