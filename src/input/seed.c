// seed: samples of an inventory of GPUs, where there are none; see docs/inputs/seed.md.
#include <errno.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "input/input_impl.h"
#include "input/inventory.h"
#include "input/origin.h"
#include "input/pace.h"
#include "model/validate.h"

#define EVERY_MIN (10 * NS_PER_MS)
#define EVERY_MAX (30 * NS_PER_S)
#define ROUND_MAX NS_PER_S

struct seed_input {
    struct input base;
    struct arena arena;
    struct inventory inventory;
    struct pace pace;
    struct origin origin;
    int64_t start, duration, every; // ns; duration 0: for ever
    int64_t position;               // samples given: all about the next one follows from it
    int64_t total;                  // -1: for ever
    uint64_t seed;
};

// GPUs take turns within the interval, the last one at its end.
static int64_t sample_time(const struct seed_input *s, int64_t number)
{
    int64_t n = s->inventory.n, round = number / n, turn = number % n + 1;
    return s->start + round * s->every + s->every * turn / n;
}

// A number in [-1, 1] that is this GPU's at this time, and always the same.
static double wobble(const struct seed_input *s, int64_t number, int64_t what)
{
    const int64_t key[] = {number, what};
    uint64_t u = hash_bytes(key, sizeof(key), s->seed);
    return (double)(int64_t)(u >> 44) / 0x1p19 - 1.0;
}

// To a multiple of 1 / steps. Numbers beyond 2^53 are none but integers, and most of them are too
// large for an int64_t.
static double rounded(double v, double steps)
{
    double many = v * steps + 0.5;
    return many < 0x1p53 ? (double)(int64_t)many / steps : v;
}

static double within(double v, double most)
{
    return v < 0 ? 0 : v > most ? most : v;
}

// A GPU that is idle, or flat out, stays about so; memory and price stand.
static void vary(const struct seed_input *s, int64_t number, struct gpu_sample *g)
{
    double load = wobble(s, number, 0);
    if (g->has & SAMPLE_UTILIZATION && g->utilization > 0) {
        g->utilization = rounded(within(g->utilization + 0.04 * load, 1.0), 100);
    }
    if (g->has & SAMPLE_POWER) {
        double power = g->power_w * (1.0 + 0.03 * load + 0.005 * wobble(s, number, 1));
        g->power_w = rounded(within(power, DBL_MAX), 100);
    }
    if (g->has & SAMPLE_TEMPERATURE) {
        g->temperature_c = rounded(within(g->temperature_c + wobble(s, number, 2), DBL_MAX), 1);
    }
}

static void add_energy(const struct gpu_sample *seed, int64_t since_start, struct gpu_sample *g)
{
    if (seed->has & SAMPLE_ENERGY && seed->has & SAMPLE_POWER) {
        double millijoules = seed->power_w * ((double)since_start / (double)NS_PER_S) * 1000.0;
        int64_t drawn = millijoules < 0x1p63 ? (int64_t)millijoules : INT64_MAX;
        bool over = __builtin_add_overflow(seed->energy_mj, drawn, &g->energy_mj);
        g->energy_mj = over ? INT64_MAX : g->energy_mj;
    }
}

static void add_sample(struct seed_input *s, struct batch *b)
{
    int64_t number = s->position++;
    const struct gpu_sample *seed = &s->inventory.gpus[number % s->inventory.n];
    struct record *r = batch_add(b);
    struct gpu_sample *g = &r->sample;
    r->kind = RECORD_SAMPLE;
    *g = *seed;
    g->ts = sample_time(s, number);
    vary(s, number, g);
    add_energy(seed, g->ts - s->start, g);
    struct str *texts[] = {&g->gpu.host, &g->name, &g->uuid, &g->mig_profile, &g->source, &g->site};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        *texts[i] = arena_copy(&b->arena, *texts[i]);
    }
    r->position = s->position;
    r->event_id = origin_id(&s->origin, s->position, &b->arena);
    r->digest = record_digest(r);
}

static int seed_next(struct input *in, struct batch *b, struct error *err)
{
    struct seed_input *s = (struct seed_input *)in;
    (void)err;
    int64_t due = sample_time(s, s->position), horizon = pace_horizon(&s->pace, due);
    while (b->n_records < BATCH_RECORDS && s->position != s->total && due <= horizon) {
        add_sample(s, b);
        due = sample_time(s, s->position);
    }
    b->position = s->position;
    b->offset = -1;
    if (s->position == s->total) {
        return INPUT_END;
    }
    if (b->n_records == 0) {
        pace_wait(&s->pace, due);
    }
    return INPUT_MORE;
}

static int seed_seek(struct input *in, int64_t records, int64_t offset, struct error *err)
{
    struct seed_input *s = (struct seed_input *)in;
    (void)offset;
    if (s->total >= 0 && records > s->total) {
        return error_set(err, -ESTALE, "'" STR_FMT "' gives only %lld samples, not %lld",
                         STR_ARG(in->uri->text), (long long)s->total, (long long)records);
    }
    s->position = records;
    return 0;
}

static int read_options(struct seed_input *s, struct error *err)
{
    const struct uri *uri = s->base.uri;
    const struct input_env *env = s->base.env;
    int64_t seed = 1;
    s->every = NS_PER_S;
    int r = uri_option_duration(uri, "duration", &s->duration, err);
    r = r < 0 ? r : uri_option_duration(uri, "every", &s->every, err);
    r = r < 0 ? r : uri_option_i64(uri, "seed", 0, INT64_MAX, &seed, err);
    bool live = s->duration == 0;
    s->seed = (uint64_t)seed;
    s->start = live ? env->now_start : PACE_START_DEFAULT;
    r = r < 0 ? r : pace_start(uri, env, &s->start, err);
    r = r < 0 ? r : pace_init(&s->pace, uri, env, live ? 1 : 0, err);
    if (r == 0 && s->pace.speed > 0) { // a round comes as one, as it does from GPUs that are real
        double round = (double)s->every / s->pace.speed;
        s->pace.interval = round < (double)ROUND_MAX ? (int64_t)round : ROUND_MAX;
    }
    if (r == 0 && (s->every < EVERY_MIN || s->every > EVERY_MAX)) {
        return error_set(err, -EINVAL, "option every= must be from 10ms to 30s");
    }
    return r < 0 ? r : pace_check_end(&s->pace, uri, s->start, s->duration, err);
}

static const char *variable(const struct input_env *env, const char *name)
{
    const char *value = env->getenv ? env->getenv(name) : NULL;
    return value && *value ? value : NULL;
}

static struct str host_name(const struct input *in)
{
    struct str host = uri_option(in->uri, "host");
    const char *own = variable(in->env, "HOSTNAME");
    return str_present(host) ? host : own ? str_of(own) : STR("gpu-01");
}

// The path, else GPU_SEED's file, else what is built in.
static int read_inventory(struct seed_input *s, const char **ret_from, struct error *err)
{
    const struct input *in = &s->base;
    const char *path = in->uri->path.n > 0 ? in->uri->path.p : variable(in->env, "GPU_SEED");
    *ret_from = path;
    if (path) {
        return inventory_read(&s->arena, path, host_name(in), &s->inventory, err);
    }
    return inventory_parse(&s->arena, str_of(inventory_built_in), host_name(in), &s->inventory,
                           err);
}

static void describe(struct seed_input *s, const char *from)
{
    struct input_info *info = &s->base.info;
    uint64_t hash = hash_str(s->base.uri->text, (uint64_t)s->start);
    for (uint32_t i = 0; i < s->inventory.n; i++) {
        struct record r = {.kind = RECORD_SAMPLE, .sample = s->inventory.gpus[i]};
        const uint64_t parts[] = {hash, record_digest(&r)};
        hash = hash_bytes(parts, sizeof(parts), 0);
    }
    *info = (struct input_info){
        .name = s->base.uri->text.p,
        .finite = s->duration > 0,
        .fingerprint = hash ? hash : 1,
        .total = s->total,
    };
    snprintf(info->about, sizeof(info->about), "%u GPUs %s%.100s, simulated", s->inventory.n,
             from ? "of " : "built in", from ? from : "");
    origin_init(&s->origin, STR("seed"), info->fingerprint);
}

static void seed_close(struct input *in)
{
    struct seed_input *s = (struct seed_input *)in;
    arena_done(&s->arena);
    free(s);
}

static int seed_open(const struct uri *uri, const struct input_env *env, struct input **ret,
                     struct error *err)
{
    struct seed_input *s = x_zalloc(sizeof(*s));
    const char *from;
    s->base = (struct input){.driver = &input_seed, .env = env, .uri = uri};
    int r = read_options(s, err);
    r = r < 0 ? r : read_inventory(s, &from, err);
    if (r < 0) {
        seed_close(&s->base);
        return r;
    }
    int64_t rounds = (s->duration + s->every - 1) / s->every;
    s->total = s->duration > 0 ? rounds * s->inventory.n : -1;
    describe(s, from);
    *ret = &s->base;
    return 0;
}

static const struct input_option options[] = {
    {"duration", "TIME", "how much to make up; without it, live and without end"},
    {"host", "NAME", "host of the GPUs that name none (default HOSTNAME, else gpu-01)"},
    {"every", "TIME", "between two samples of a GPU (default 1s)"},
    PACE_OPTIONS,
    {"seed", "N", "another wobble (default 1)"},
    {NULL, NULL, NULL},
};

const struct input_driver input_seed = {
    .scheme = "seed",
    .synopsis = "seed:PATH | seed:",
    .help = "samples of the GPUs that a JSON file (or GPU_SEED) lists, where there are none",
    .options = options,
    .open = seed_open,
    .seek = seed_seek,
    .next = seed_next,
    .close = seed_close,
};
