#include "input/dcgm_page.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/decimal.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/sort.h"
#include "input/exposition.h"
#include "model/mig.h"

#define INT64_BLANK 9223372036854775792.0
#define FP64_BLANK 140737488355328.0

enum metric {
    CLOCK,
    TEMPERATURE,
    POWER,
    ENERGY,
    UTILIZATION,
    ENGINE_ACTIVE,
    FB_USED,
    FB_FREE,
    FB_RESERVED,
    FB_TOTAL,
    METRICS,
};

static const char *const names[METRICS] = {
    [CLOCK] = "DCGM_FI_DEV_SM_CLOCK",          [TEMPERATURE] = "DCGM_FI_DEV_GPU_TEMP",
    [POWER] = "DCGM_FI_DEV_POWER_USAGE",       [ENERGY] = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
    [UTILIZATION] = "DCGM_FI_DEV_GPU_UTIL",    [ENGINE_ACTIVE] = "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
    [FB_USED] = "DCGM_FI_DEV_FB_USED",         [FB_FREE] = "DCGM_FI_DEV_FB_FREE",
    [FB_RESERVED] = "DCGM_FI_DEV_FB_RESERVED", [FB_TOTAL] = "DCGM_FI_DEV_FB_TOTAL",
};

// A GPU as it is put together from its lines.
struct gpu {
    struct gpu_sample sample;
    double value[METRICS];
    int64_t energy_mj; // exact, where value[ENERGY] is there
    uint32_t has;      // bits by enum metric
};

struct reader {
    const struct dcgm_config *config;
    struct arena *arena;
    struct gpu *gpus;
    size_t n, cap;
    struct map by_key; // hash of the key -> place, in the arena
    struct dcgm_page *page;
};

// ---- lines ----------------------------------------------------------------------------------

enum label { GPU, UUID, MODEL, HOST, PROFILE, INSTANCE, LABELS };

static const char *const label_names[LABELS] = {
    [GPU] = "gpu",
    [UUID] = "UUID",
    [MODEL] = "modelName",
    [HOST] = "Hostname",
    [PROFILE] = "GPU_I_PROFILE",
    [INSTANCE] = "GPU_I_ID",
};

// Into the arena, since names outlive the page; absent when not there or empty.
static void read_labels(struct reader *r, struct str labels, struct str *ret)
{
    for (struct exposition_label label; exposition_label(&labels, &label);) {
        for (size_t i = 0; i < LABELS; i++) {
            const char *name = label_names[i];
            if (label.value.n > 0 && label.name.n == strlen(name) &&
                strncasecmp(label.name.p, name, label.name.n) == 0) {
                char *room = label.has_escapes ? arena_alloc(r->arena, label.value.n) : NULL;
                ret[i] = exposition_value(&label, room);
            }
        }
    }
}

static bool read_number(struct str text, int32_t most, int32_t *ret)
{
    int64_t v;
    if (decimal_parse(text, 0, &v) < 0 || v < 0 || v > most) {
        return false;
    }
    *ret = (int32_t)v;
    return true;
}

static bool read_key(const struct reader *r, const struct str *labels, struct gpu_key *ret)
{
    bool named = str_present(labels[HOST]) && !r->config->host_wins;
    *ret = (struct gpu_key){
        .host = named ? labels[HOST] : r->config->host,
        .instance = GPU_INSTANCE_NONE,
    };
    return read_number(labels[GPU], RECORD_GPU_INDEX_MAX, &ret->index) &&
           (!str_present(labels[INSTANCE]) ||
            read_number(labels[INSTANCE], RECORD_GPU_INSTANCE_MAX, &ret->instance));
}

static int64_t key_hash(const struct gpu_key *key)
{
    const int32_t numbers[] = {key->index, key->instance};
    uint64_t hash = hash_str(key->host, hash_bytes(numbers, sizeof(numbers), 0));
    return (int64_t)(hash & INT64_MAX);
}

// NULL: a GPU too many.
static struct gpu *find_gpu(struct reader *r, const struct gpu_key *key, const struct str *labels)
{
    int64_t hash = key_hash(key);
    size_t *place = map_get(&r->by_key, hash);
    if (place) {
        return &r->gpus[*place];
    }
    if (r->n == DCGM_GPUS_MAX) {
        r->page->over++;
        return NULL;
    }
    ARRAY_RESERVE(r->gpus, r->n, r->cap);
    place = arena_alloc(r->arena, sizeof(*place));
    *place = r->n;
    map_put(&r->by_key, hash, place);
    struct gpu *g = &r->gpus[r->n++];
    *g = (struct gpu){
        .sample = {.gpu = *key,
                   .name = arena_copy(r->arena, labels[MODEL]),
                   .uuid = arena_copy(r->arena, labels[UUID]),
                   .mig_profile = arena_copy(r->arena, labels[PROFILE]),
                   .source = STR("dcgm")},
    };
    g->sample.gpu.host = arena_copy(r->arena, key->host);
    return g;
}

static bool is_blank(double v, enum metric m)
{
    bool fp64 = v >= FP64_BLANK && v < FP64_BLANK + 4 && m != ENERGY;
    return !isfinite(v) || v < 0 || v >= INT64_BLANK || fp64;
}

static void take_line(struct reader *r, const struct exposition_sample *s)
{
    struct str labels[LABELS] = {{NULL, 0}};
    struct gpu_key key;
    enum metric m = (enum metric)s->id;
    if (is_blank(s->value, m)) {
        return;
    }
    read_labels(r, s->labels, labels);
    if (!read_key(r, labels, &key)) {
        r->page->bad++;
        return;
    }
    struct gpu *g = find_gpu(r, &key, labels);
    if (g == NULL || (g->has & 1U << m)) {
        return; // once for each pod that it serves
    }
    if (m == ENERGY && decimal_parse(s->number, 0, &g->energy_mj) < 0) {
        r->page->bad++;
        return;
    }
    g->value[m] = s->value;
    g->has |= 1U << m;
}

// ---- samples --------------------------------------------------------------------------------

static bool has(const struct gpu *g, enum metric m)
{
    return g->has & 1U << m;
}

static void set(struct gpu_sample *s, uint32_t bit, double *at, double v)
{
    s->has |= bit;
    *at = v;
}

static void set_memory(struct gpu *g)
{
    struct gpu_sample *s = &g->sample;
    double sum = g->value[FB_USED] + g->value[FB_FREE] + g->value[FB_RESERVED];
    if (has(g, FB_USED)) {
        set(s, SAMPLE_MEM_USED, &s->mem_used_mb, g->value[FB_USED]);
    }
    if (has(g, FB_TOTAL)) {
        set(s, SAMPLE_MEM_TOTAL, &s->mem_total_mb, g->value[FB_TOTAL]);
    } else if (has(g, FB_USED) && has(g, FB_FREE)) {
        set(s, SAMPLE_MEM_TOTAL, &s->mem_total_mb, sum);
    }
}

static void set_measured(struct gpu *g)
{
    struct gpu_sample *s = &g->sample;
    if (has(g, UTILIZATION)) {
        set(s, SAMPLE_UTILIZATION, &s->utilization, fmin(g->value[UTILIZATION] / 100.0, 1.0));
    } else if (has(g, ENGINE_ACTIVE)) {
        set(s, SAMPLE_UTILIZATION, &s->utilization, fmin(g->value[ENGINE_ACTIVE], 1.0));
    }
    if (has(g, TEMPERATURE)) {
        set(s, SAMPLE_TEMPERATURE, &s->temperature_c, g->value[TEMPERATURE]);
    }
    if (has(g, CLOCK)) {
        set(s, SAMPLE_SM_CLOCK, &s->sm_clock_mhz, g->value[CLOCK]);
    }
    set_memory(g);
}

// A slice's share of what is told of the whole GPU.
static struct mig_slice share_of(const struct gpu_sample *s)
{
    char room[MIG_NAME_MAX];
    struct mig_slice share = {.slices = 1, .of = 1};
    if (s->gpu.instance != GPU_INSTANCE_NONE) {
        (void)mig_slice_of(mig_sample_name(s, room), &share);
    }
    return share;
}

static void set_shared(struct gpu *g, int64_t price_nusd)
{
    struct gpu_sample *s = &g->sample;
    struct mig_slice share = share_of(s);
    if (share.of == 0) {
        return;
    }
    if (has(g, POWER)) {
        set(s, SAMPLE_POWER, &s->power_w,
            g->value[POWER] * (double)share.slices / (double)share.of);
    }
    if (has(g, ENERGY)) {
        s->has |= SAMPLE_ENERGY;
        s->energy_mj = (int64_t)((__int128)g->energy_mj * share.slices / share.of);
    }
    if (price_nusd >= 0) {
        s->has |= SAMPLE_PRICE;
        s->price_nusd_hour = mig_share(price_nusd, share.slices, share.of);
    }
}

static bool stands_before(const struct gpu *a, const struct gpu *b)
{
    return gpu_key_cmp(&a->sample.gpu, &b->sample.gpu) < 0;
}

DEFINE_SORT(sort_gpus, struct gpu, stands_before);

// A GPU's slices stand right behind it.
static bool is_cut_up(const struct reader *r, size_t i)
{
    const struct gpu_key *key = &r->gpus[i].sample.gpu;
    if (key->instance != GPU_INSTANCE_NONE || i + 1 == r->n) {
        return false;
    }
    const struct gpu_key *next = &r->gpus[i + 1].sample.gpu;
    return next->index == key->index && str_eq(next->host, key->host);
}

static void give_samples(struct reader *r)
{
    struct dcgm_page *page = r->page;
    struct gpu *scratch = x_array(r->n + 1, sizeof(*scratch));
    sort_gpus(r->gpus, r->n, scratch);
    free(scratch);
    page->gpus = arena_alloc(r->arena, r->n * sizeof(page->gpus[0]));
    for (size_t i = 0; i < r->n; i++) {
        struct gpu *g = &r->gpus[i];
        if (g->has == 0 || is_cut_up(r, i)) {
            continue;
        }
        set_measured(g);
        set_shared(g, r->config->price_nusd);
        if (g->sample.has & ~(uint32_t)SAMPLE_PRICE) {
            page->gpus[page->n++] = g->sample;
        }
    }
}

void dcgm_page_read(struct str page, const struct dcgm_config *c, struct arena *a,
                    struct dcgm_page *ret)
{
    struct exposition_names wanted = {0};
    struct reader r = {.config = c, .arena = a, .page = ret};
    struct exposition e;
    *ret = (struct dcgm_page){0};
    for (uint32_t i = 0; i < METRICS; i++) {
        ret->bad += exposition_want(&wanted, names[i], i) < 0; // never: they differ and are few
    }
    exposition_init(&e, page, &wanted);
    for (struct exposition_sample s; exposition_next(&e, &s);) {
        take_line(&r, &s);
    }
    ret->bad += e.bad;
    give_samples(&r);
    free(r.gpus);
    map_done(&r.by_key);
}
