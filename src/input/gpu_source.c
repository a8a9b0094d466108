#include "input/gpu_source.h"

#include <errno.h>

#include "input/nvml_lib.h"
#include "model/mig.h"
#include "model/validate.h"

#define EVERY_MIN (100 * NS_PER_MS)
#define EVERY_MAX (30 * NS_PER_S) // samples further apart do not cover the time between

int gpu_options_read(const struct uri *uri, const struct input_env *env, struct arena *a,
                     struct gpu_options *ret, struct error *err)
{
    *ret = (struct gpu_options){.every = NS_PER_S};
    int r = placement_read(uri, env, a, &ret->placement, err);
    r = r < 0 ? r : uri_option_duration(uri, "every", &ret->every, err);
    r = r < 0 ? r : uri_option_money(uri, "price", &ret->price_nusd_hour, err);
    if (r == 0 && (ret->every < EVERY_MIN || ret->every > EVERY_MAX)) {
        return error_set(err, -EINVAL, "option every= must be from 100ms to 30s");
    }
    if (r == 0 && ret->price_nusd_hour > RECORD_PRICE_MAX) {
        return error_set(err, -EINVAL, "option price= must be at most 1,000,000 USD per hour");
    }
    ret->has_price = str_present(uri_option(uri, "price"));
    return r;
}

bool gpu_options_pick(const struct gpu_options *o, int32_t index)
{
    const struct placement *p = &o->placement;
    uint32_t i = 0;
    while (i < p->n_gpus && p->gpus[i] != index) {
        i++;
    }
    return p->n_gpus == 0 || i < p->n_gpus;
}

void gpu_options_price(const struct gpu_options *o, bool slice, uint32_t slices, uint32_t of,
                       struct gpu_sample *s)
{
    if (!o->has_price || (slice && slices == 0)) {
        return;
    }
    s->price_nusd_hour = slice ? mig_share(o->price_nusd_hour, slices, of) : o->price_nusd_hour;
    s->has |= SAMPLE_PRICE;
}

void gpu_options_price_named(const struct gpu_options *o, struct gpu_sample *s)
{
    struct mig_slice slice = {.gpu = STR_NONE};
    bool cut = mig_slice_of(s->name, &slice);
    gpu_options_price(o, cut, slice.slices, slice.of, s);
}

int gpu_source_add(const struct gpu_options *o, const struct gpu_sample *s, struct str source,
                   int64_t ts, struct batch *b, struct record **ret, struct error *err)
{
    struct record *r = batch_add(b);
    struct gpu_sample *g = &r->sample;
    r->kind = RECORD_SAMPLE;
    *g = *s;
    g->ts = ts;
    g->gpu.host = o->placement.host;
    g->site = o->placement.site;
    g->source = source;
    struct str *texts[] = {&g->gpu.host, &g->name, &g->uuid, &g->mig_profile, &g->source, &g->site};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        *texts[i] = arena_copy(&b->arena, *texts[i]);
    }
    r->digest = record_digest(r);
    *ret = r;
    int code = record_check(r, err);
    b->n_records -= code < 0;
    return code;
}

const char *gpu_source_nvml(const struct uri *uri, const struct input_env *env)
{
    struct str given = uri_option(uri, "lib");
    const char *variable = env->getenv ? env->getenv("GTAP_NVML_LIBRARY") : NULL;
    if (str_present(given) && given.n > 0) {
        return given.p;
    }
    return variable && *variable ? variable : NVML_LIBRARY;
}
