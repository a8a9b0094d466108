#include "input/nvml_gpu.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "model/mig.h"

enum { BOARDS_MAX = 4096, SLICES_MAX = 64 };
#define MIB 1048576.0

void nvml_gpus_done(struct nvml_gpus *g)
{
    arena_done(&g->arena);
    free(g->boards);
    free(g->gpus);
    *g = (struct nvml_gpus){0};
}

static void clear(struct nvml_gpus *g)
{
    arena_reset(&g->arena);
    g->n = g->n_boards = 0;
    g->count = 0;
}

static struct str text_of(int (*get)(nvml_device, char *, unsigned), nvml_device d, struct arena *a)
{
    char text[NVML_TEXT_MAX + 1] = "";
    if (get == NULL || get(d, text, NVML_TEXT_MAX) != NVML_SUCCESS || text[0] == '\0') {
        return STR_NONE;
    }
    text[NVML_TEXT_MAX] = '\0';
    return arena_copy(a, str_of(text));
}

static bool mig_is_on(const struct nvml_lib *l, nvml_device board)
{
    unsigned current = 0, pending = 0;
    return l->mig_mode && l->mig_by_index && l->gpu_instance &&
           l->mig_mode(board, &current, &pending) == NVML_SUCCESS && current == NVML_MIG_ENABLED;
}

static struct nvml_gpu *add_gpu(struct nvml_gpus *g, const struct nvml_board *board)
{
    ARRAY_RESERVE(g->gpus, g->n, g->cap);
    struct nvml_gpu *gpu = &g->gpus[g->n++];
    *gpu = (struct nvml_gpu){.device = board->device,
                             .board = board->device,
                             .index = board->index,
                             .instance = GPU_INSTANCE_NONE};
    return gpu;
}

// The compute instances of one slice share its memory and its price: they are one GPU.
static bool listed(const struct nvml_gpus *g, int32_t index, unsigned instance)
{
    size_t i = 0;
    while (i < g->n && (g->gpus[i].index != index || g->gpus[i].instance != (int32_t)instance)) {
        i++;
    }
    return i < g->n;
}

// What it is called comes from its own name, else from its attributes.
static void describe_slice(const struct nvml_lib *l, struct nvml_gpu *s, uint32_t of,
                           struct arena *a)
{
    struct nvml_attributes has = {0};
    struct str gpu = STR_NONE;
    bool told = l->attributes && l->attributes(s->device, &has) == NVML_SUCCESS &&
                has.gpu_instance_slices > 0;
    s->uuid = text_of(l->uuid, s->device, a);
    if (!mig_split(text_of(l->name, s->device, a), &gpu, &s->profile)) {
        gpu = text_of(l->name, s->board, a);
        s->profile = told ? mig_profile(a, has.gpu_instance_slices, has.memory_mib) : STR_NONE;
    }
    s->name = mig_name(a, s->profile, gpu);
    s->slices = told ? has.gpu_instance_slices : mig_profile_slices(s->profile);
    s->of = of;
    if (s->slices > s->of) {
        s->slices = s->of = 0;
    }
}

// How many slices a GPU has is how many devices it can be cut into: 7 for an A100 or H100.
static size_t add_slices(const struct nvml_lib *l, const struct nvml_board *board,
                         struct nvml_gpus *g)
{
    unsigned most = 0, instance;
    size_t before = g->n;
    nvml_device slice;
    bool told = l->mig_count_max && l->mig_count_max(board->device, &most) == NVML_SUCCESS;
    uint32_t of = told ? MIN(most, (unsigned)SLICES_MAX) : 0;
    for (unsigned i = 0; i < (told ? of : SLICES_MAX); i++) {
        if (l->mig_by_index(board->device, i, &slice) != NVML_SUCCESS ||
            l->gpu_instance(slice, &instance) != NVML_SUCCESS ||
            instance > RECORD_GPU_INSTANCE_MAX || listed(g, board->index, instance)) {
            continue;
        }
        struct nvml_gpu *s = add_gpu(g, board);
        s->device = slice;
        s->instance = (int32_t)instance;
        describe_slice(l, s, of, &g->arena);
    }
    return g->n - before;
}

static void add_board(const struct nvml_lib *l, nvml_device device, int32_t index,
                      struct nvml_gpus *g)
{
    ARRAY_RESERVE(g->boards, g->n_boards, g->cap_boards);
    struct nvml_board *board = &g->boards[g->n_boards++];
    *board = (struct nvml_board){device, index, mig_is_on(l, device)};
    if (board->mig && add_slices(l, board, g) > 0) {
        return;
    }
    struct nvml_gpu *gpu = add_gpu(g, board);
    gpu->name = text_of(l->name, device, &g->arena);
    gpu->uuid = text_of(l->uuid, device, &g->arena);
}

static int scan_index(const struct nvml_lib *l, int32_t index, bool must, struct nvml_gpus *g,
                      struct error *err)
{
    nvml_device device;
    int code = l->by_index((unsigned)index, &device);
    if (code == NVML_SUCCESS) {
        add_board(l, device, index, g);
    } else if (must || code != NVML_NO_PERMISSION) {
        error_set(err, -ENODEV, "GPU %d: %s", index, nvml_code_words(l, code));
        return code;
    }
    return NVML_SUCCESS;
}

static int find_missing(const struct gpu_options *only, unsigned count, struct error *err)
{
    for (uint32_t i = 0; i < only->placement.n_gpus; i++) {
        if ((unsigned)only->placement.gpus[i] >= count) {
            error_set(err, -ENODEV, "GPU %d is not there: NVML counts %u", only->placement.gpus[i],
                      count);
            return NVML_GPU_NOT_FOUND;
        }
    }
    return NVML_SUCCESS;
}

int nvml_gpus_scan(const struct nvml_lib *l, const struct gpu_options *only, struct nvml_gpus *ret,
                   struct error *err)
{
    clear(ret);
    int code = l->count(&ret->count);
    if (code != NVML_SUCCESS) {
        error_set(err, -ENODEV, "GPUs cannot be counted: %s", nvml_code_words(l, code));
        return code;
    }
    code = find_missing(only, ret->count, err);
    for (int32_t i = 0; i < (int32_t)MIN(ret->count, (unsigned)BOARDS_MAX); i++) {
        if (gpu_options_pick(only, i)) {
            int r = scan_index(l, i, only->placement.n_gpus > 0, ret,
                               code == NVML_SUCCESS ? err : NULL);
            code = code == NVML_SUCCESS ? r : code;
        }
    }
    if (code == NVML_SUCCESS && ret->n == 0) {
        error_set(err, -ENODEV, "NVML shows no GPU that may be used here");
        return NVML_GPU_NOT_FOUND;
    }
    return code;
}

bool nvml_gpus_changed(const struct nvml_lib *l, const struct nvml_gpus *g)
{
    unsigned count = 0;
    if (l->count(&count) != NVML_SUCCESS || count != g->count) {
        return true;
    }
    size_t i = 0;
    while (i < g->n_boards && mig_is_on(l, g->boards[i].device) == g->boards[i].mig) {
        i++;
    }
    return i < g->n_boards;
}

// One GPU while it is read: the first fatal code ends it.
struct reading {
    const struct nvml_lib *l;
    const struct nvml_gpu *gpu;
    struct gpu_sample *sample;
    int code;
};

static bool worked(struct reading *r, int code)
{
    if (r->code == NVML_SUCCESS && nvml_code_is_fatal(code)) {
        r->code = code;
    }
    return code == NVML_SUCCESS;
}

static bool is_slice(const struct nvml_gpu *g)
{
    return g->instance != GPU_INSTANCE_NONE;
}

// Not supported with MIG on, for slices as for the board.
static void read_utilization(struct reading *r)
{
    struct nvml_utilization u = {0};
    const struct nvml_gpu *g = r->gpu;
    if (!is_slice(g) && r->l->utilization && worked(r, r->l->utilization(g->device, &u)) &&
        u.gpu <= 100) {
        r->sample->utilization = u.gpu / 100.0;
        r->sample->has |= SAMPLE_UTILIZATION;
    }
}

static void set_memory(struct gpu_sample *s, uint64_t used, uint64_t total)
{
    if (total > 0) { // unified memory: none of its own
        s->mem_used_mb = (double)used / MIB;
        s->mem_total_mb = (double)total / MIB;
        s->has |= SAMPLE_MEM_USED | SAMPLE_MEM_TOTAL;
    }
}

// A slice that has been taken apart no longer knows its handle.
static void note_gone(struct reading *r, int code)
{
    bool gone = code == NVML_INVALID_ARGUMENT || code == NVML_NOT_FOUND;
    if (is_slice(r->gpu) && gone && r->code == NVML_SUCCESS) {
        r->code = NVML_NOT_FOUND;
    }
}

static void read_memory(struct reading *r)
{
    struct nvml_memory_v2 v2 = {.version = NVML_MEMORY_V2};
    struct nvml_memory_v1 v1 = {0};
    if (r->l->memory_v2) {
        int code = r->l->memory_v2(r->gpu->device, &v2);
        note_gone(r, code);
        if (worked(r, code)) {
            set_memory(r->sample, v2.used, v2.total);
            return;
        }
    }
    if (r->l->memory_v1) {
        int code = r->l->memory_v1(r->gpu->device, &v1);
        note_gone(r, code);
        if (worked(r, code)) {
            set_memory(r->sample, v1.used, v1.total);
        }
    }
}

// The part of a board's figure that is this GPU's: all, a slice's share, or -1 when not known.
static int64_t part_of(const struct nvml_gpu *g, int64_t v)
{
    if (!is_slice(g)) {
        return v;
    }
    return g->slices > 0 ? mig_share(v, g->slices, g->of) : -1;
}

static void read_power(struct reading *r)
{
    unsigned mw = 0;
    if (!r->l->power || !worked(r, r->l->power(r->gpu->board, &mw))) {
        return;
    }
    int64_t part = part_of(r->gpu, mw);
    if (part >= 0) {
        r->sample->power_w = (double)part / 1000.0;
        r->sample->has |= SAMPLE_POWER;
    }
}

static void read_energy(struct reading *r)
{
    unsigned long long mj = 0;
    if (!r->l->energy || !worked(r, r->l->energy(r->gpu->board, &mj)) || mj > INT64_MAX) {
        return;
    }
    int64_t part = part_of(r->gpu, (int64_t)mj);
    if (part >= 0) {
        r->sample->energy_mj = part;
        r->sample->has |= SAMPLE_ENERGY;
    }
}

static void read_temperature(struct reading *r)
{
    unsigned celsius = 0;
    struct nvml_temperature_v1 v = {.version = NVML_TEMPERATURE_V1, .sensor = NVML_SENSOR_GPU};
    nvml_device d = r->gpu->board;
    const struct nvml_lib *l = r->l;
    if (l->temperature && worked(r, l->temperature(d, NVML_SENSOR_GPU, &celsius))) {
        r->sample->temperature_c = celsius;
    } else if (l->temperature_v && worked(r, l->temperature_v(d, &v)) && v.celsius >= 0) {
        r->sample->temperature_c = v.celsius;
    } else {
        return;
    }
    r->sample->has |= SAMPLE_TEMPERATURE;
}

static void read_clock(struct reading *r)
{
    unsigned mhz = 0;
    if (r->l->clock && worked(r, r->l->clock(r->gpu->board, NVML_CLOCK_SM, &mhz))) {
        r->sample->sm_clock_mhz = mhz;
        r->sample->has |= SAMPLE_SM_CLOCK;
    }
}

int nvml_gpu_read(const struct nvml_lib *l, const struct nvml_gpu *g, struct gpu_sample *ret)
{
    static void (*const steps[])(struct reading *) = {
        read_utilization, read_memory, read_power, read_energy, read_temperature, read_clock,
    };
    struct reading r = {l, g, ret, NVML_SUCCESS};
    *ret = (struct gpu_sample){
        .gpu = {.index = g->index, .instance = g->instance},
        .name = g->name,
        .uuid = g->uuid,
        .mig_profile = g->profile,
    };
    for (size_t i = 0; i < ARRAY_LEN(steps) && r.code == NVML_SUCCESS; i++) {
        steps[i](&r);
    }
    return r.code;
}
