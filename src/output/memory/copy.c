#include "output/memory/memory.h"

struct gpu_sample mem_copy_sample(struct arena *a, const struct gpu_sample *s)
{
    struct gpu_sample copy = *s;
    copy.gpu.host = arena_copy(a, s->gpu.host);
    copy.name = arena_copy(a, s->name);
    copy.uuid = arena_copy(a, s->uuid);
    copy.mig_profile = arena_copy(a, s->mig_profile);
    copy.source = arena_copy(a, s->source);
    copy.site = arena_copy(a, s->site);
    return copy;
}

static struct usage_record copy_usage(struct arena *a, const struct usage_record *u)
{
    struct usage_record copy = *u;
    copy.model = arena_copy(a, u->model);
    copy.tenant = arena_copy(a, u->tenant);
    copy.host = arena_copy(a, u->host);
    copy.request_id = arena_copy(a, u->request_id);
    copy.site = arena_copy(a, u->site);
    copy.gpus = NULL;
    if (u->n_gpus > 0) {
        int32_t *gpus = arena_alloc(a, u->n_gpus * sizeof(*gpus));
        memcpy(gpus, u->gpus, u->n_gpus * sizeof(*gpus));
        copy.gpus = gpus;
    }
    return copy;
}

struct record store_copy_record(struct arena *a, const struct record *r)
{
    struct record copy = *r;
    copy.event_id = arena_copy(a, r->event_id);
    copy.extra = arena_copy(a, r->extra);
    if (r->kind == RECORD_SAMPLE) {
        copy.sample = mem_copy_sample(a, &r->sample);
    } else {
        copy.usage = copy_usage(a, &r->usage);
    }
    return copy;
}

struct dead_letter mem_copy_letter(struct arena *a, const struct dead_letter *d)
{
    struct dead_letter copy = *d;
    copy.origin = arena_copy(a, d->origin);
    copy.reason = arena_copy(a, d->reason);
    copy.payload = arena_copy(a, d->payload);
    return copy;
}
