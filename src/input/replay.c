#include "input/replay.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "model/encode.h"
#include "model/validate.h"

enum { BATCH_BYTES = 1 << 20 };

static struct str name_of(const struct replay *r, uint32_t id, struct arena *a)
{
    return id == REPLAY_NAME_NONE ? STR_NONE : arena_copy(a, intern_str(r->names, id));
}

static void fill_sample(const struct replay *r, const struct serve_sample *s, struct arena *a,
                        struct record *ret)
{
    const struct fleet *f = &r->fleet;
    int64_t percent = s->busy_permille / 10; // as a driver counts
    int64_t power_10mw = s->power_mw / 10, degrees = s->temperature / 1000;
    ret->kind = RECORD_SAMPLE;
    ret->sample = (struct gpu_sample){
        .ts = s->ts,
        .gpu = {.host = fleet_host(f, s->gpu, a),
                .index = (int32_t)(s->gpu % f->per_host),
                .instance = GPU_INSTANCE_NONE},
        .has = SAMPLE_UTILIZATION | SAMPLE_MEM_USED | SAMPLE_MEM_TOTAL | SAMPLE_POWER |
               SAMPLE_TEMPERATURE | SAMPLE_SM_CLOCK | SAMPLE_ENERGY |
               (f->price_nusd >= 0 ? (uint32_t)SAMPLE_PRICE : 0),
        .utilization = (double)percent / 100.0,
        .mem_used_mb = (double)s->memory_mb,
        .mem_total_mb = (double)f->gpu->memory_mb,
        .power_w = (double)power_10mw / 100.0,
        .temperature_c = (double)degrees,
        .sm_clock_mhz = (double)s->clock_mhz,
        .energy_mj = s->energy_mj,
        .price_nusd_hour = f->price_nusd >= 0 ? f->price_nusd : 0,
        .name = arena_copy(a, str_of(f->gpu->name)),
        .source = arena_copy(a, str_of(r->source_name)),
    };
}

static void fill_usage(const struct replay *r, const struct serve_done *d, struct arena *a,
                       struct record *ret)
{
    const struct serve_place *place = &r->places[d->instance];
    uint32_t n = (uint32_t)r->speeds[place->model].tp;
    int32_t *gpus = arena_alloc(a, n * sizeof(gpus[0]));
    for (uint32_t i = 0; i < n; i++) {
        gpus[i] = (int32_t)((place->first_gpu + i) % r->fleet.per_host);
    }
    bool answered = d->request.output > 0;
    ret->kind = RECORD_USAGE;
    ret->usage = (struct usage_record){
        .ts = d->end,
        .latency_ns = d->end - d->start,
        .ttft_ns = answered ? d->first - d->start : 0,
        .has = answered ? USAGE_TTFT : 0,
        .prompt_tokens = d->request.prompt,
        .completion_tokens = d->request.output,
        .requests = 1,
        .model = name_of(r, (uint32_t)(d->request.tag >> 32), a),
        .tenant = name_of(r, (uint32_t)d->request.tag, a),
        .host = fleet_host(&r->fleet, place->first_gpu, a),
        .gpus = gpus,
        .n_gpus = n,
        .gpu_instance = GPU_INSTANCE_NONE,
    };
}

static void add_dead(struct replay *r, struct batch *b, struct str reason, struct str payload)
{
    struct dead_letter *d = batch_add_dead(b);
    d->at = r->now;
    d->origin = str_of(r->in->info.name);
    d->position = r->position;
    d->reason = arena_copy(&b->arena, reason);
    d->payload = arena_copy(&b->arena, payload);
}

void replay_refuse(struct replay *r, struct batch *b, struct str reason, struct str payload)
{
    r->position++;
    add_dead(r, b, reason, payload);
}

static void refuse_record(struct replay *r, struct batch *b, const struct record *record,
                          const struct error *why)
{
    struct buf text;
    buf_init(&text, RECORD_BYTES_MAX);
    record_encode(&text, record);
    b->n_records--;
    add_dead(r, b, str_of(why->msg), buf_view(&text));
    buf_done(&text);
}

static void add_record(struct replay *r, struct batch *b, const struct serve_event *e)
{
    struct record *record = batch_add(b);
    struct error why;
    if (e->is_sample) {
        fill_sample(r, &e->sample, &b->arena, record);
    } else {
        fill_usage(r, &e->done, &b->arena, record);
    }
    record->position = ++r->position;
    record->event_id = origin_id(&r->origin, r->position, &b->arena);
    record->digest = record_digest(record);
    if (record_check(record, &why) < 0 || record_check_now(record, r->now, &why) < 0) {
        refuse_record(r, b, record, &why);
    }
}

static int take_arrival(struct replay *r, struct batch *b, struct error *err)
{
    struct replay_request *p = &r->pending;
    int code = r->next(r->ctx, r, b, p, err);
    if (code == ARRIVAL_TAKEN) {
        p->serve.tag = (uint64_t)p->model << 32 | p->tenant;
        r->has_pending = true;
    } else if (code == ARRIVAL_END) {
        r->ended = true;
        serve_close(r->serve, r->at_least);
    }
    return code;
}

static int64_t event_time(const struct serve_event *e)
{
    return e->is_sample ? e->sample.ts : e->done.end;
}

enum advance { ADVANCED, NOT_DUE, EXHAUSTED };

// One move: an arrival taken in or put to work, or an event given out.
static int advance(struct replay *r, struct batch *b, int64_t horizon, struct error *err)
{
    if (!r->has_pending && !r->ended) {
        int code = take_arrival(r, b, err);
        return code < 0 ? code : ADVANCED;
    }
    int64_t arrival = r->has_pending ? r->pending.serve.arrival : INT64_MAX;
    int64_t until = MIN(arrival, horizon < INT64_MAX ? horizon + 1 : horizon);
    struct serve_event e;
    if (serve_next(r->serve, until, &e)) {
        if (event_time(&e) >= TIME_MAX) {
            return error_set(err, -ERANGE,
                             "'" STR_FMT "': the simulation has reached the year 2200",
                             STR_ARG(r->in->uri->text));
        }
        add_record(r, b, &e);
        return ADVANCED;
    }
    if (r->ended && serve_due(r->serve) == INT64_MAX) {
        return EXHAUSTED;
    }
    if (until < arrival) {
        return NOT_DUE;
    }
    serve_submit(r->serve, &r->pending.serve);
    r->has_pending = false;
    return ADVANCED;
}

static int64_t next_due(const struct replay *r)
{
    int64_t due = serve_due(r->serve);
    return r->has_pending ? MIN(due, r->pending.serve.arrival) : due;
}

int replay_next(struct replay *r, struct batch *b, struct error *err)
{
    int64_t horizon = pace_horizon(&r->pace, next_due(r));
    int code = ADVANCED;
    r->now = clock_wall(r->in->env->clock);
    while (code == ADVANCED && b->n_records + b->n_dead < BATCH_RECORDS &&
           b->arena.used < BATCH_BYTES) {
        code = advance(r, b, horizon, err);
    }
    b->position = r->position;
    b->offset = -1;
    if (code == NOT_DUE && b->n_records + b->n_dead == 0) {
        pace_wait(&r->pace, next_due(r));
    }
    return code < 0 ? code : code == EXHAUSTED ? INPUT_END : INPUT_MORE;
}

int replay_seek(struct replay *r, int64_t records, struct error *err)
{
    struct batch b;
    int code = ADVANCED;
    batch_init(&b);
    r->now = clock_wall(r->in->env->clock);
    while (code == ADVANCED && r->position < records) {
        if (b.arena.used >= BATCH_BYTES) {
            batch_clear(&b);
        }
        code = advance(r, &b, INT64_MAX, err);
    }
    batch_done(&b);
    if (code == EXHAUSTED) {
        return error_set(err, -ESTALE, "'" STR_FMT "' gives only %lld records, not %lld",
                         STR_ARG(r->in->uri->text), (long long)r->position, (long long)records);
    }
    return code < 0 ? code : 0;
}

void replay_done(struct replay *r)
{
    serve_free(r->serve);
    intern_free(r->names);
    free(r->speeds);
    free(r->places);
}
