#include "pipeline/source.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "model/validate.h"
#include "pipeline/run.h"

#define IDLE_NS (100 * NS_PER_MS) // see input_idle()
#define SILENT_NS (2 * NS_PER_S)  // how long an input says nothing at all
enum { CALM_RECORDS = 128 };      // so many may wait for the next commit that is due

int source_open(struct source *s, const char *uri, const struct input_env *env, struct queue *inbox,
                struct error *err)
{
    *s = (struct source){
        .inbox = inbox, .clock = env->clock, .stop_fd = env->stop_fd, .passed_ts = INT64_MIN};
    s->newest[0] = s->newest[1] = INT64_MIN;
    int r = uri_parse(&s->uri_arena, str_of(uri), &s->uri, err);
    if (r < 0) {
        return r;
    }
    r = input_open(&s->uri, env, &s->input, err);
    if (r < 0) {
        return r;
    }
    s->joined = input_info(s->input)->n_shards == 0;
    s->free_parcels = queue_new(SOURCE_PARCELS);
    for (size_t i = 0; i < SOURCE_PARCELS; i++) {
        s->parcels[i] = parcel_new(s);
    }
    return 0;
}

// A record dated too far ahead is refused here, where the clock is.
static void refuse_future(struct source *s, struct batch *b)
{
    int64_t now = clock_wall(s->clock);
    size_t kept = 0;
    for (size_t i = 0; i < b->n_records; i++) {
        struct error err;
        struct record *r = &b->records[i];
        if (record_check_now(r, now, &err) == 0) {
            if (kept != i) {
                b->payloads[kept] = b->payloads[i];
                b->records[kept] = *r;
            }
            kept++;
            continue;
        }
        struct dead_letter *d = batch_add_dead(b);
        *d = (struct dead_letter){
            .at = now,
            .origin = str_of(input_info(s->input)->name),
            .position = r->position,
            .reason = arena_copy(&b->arena, str_of(err.msg)),
            .payload = b->payloads[i],
        };
    }
    b->n_records = kept;
}

static void spent(_Atomic int64_t *on, struct mono *since)
{
    struct mono now = clock_mono(&clock_system);
    atomic_store_explicit(on, atomic_load_explicit(on, memory_order_relaxed) + now.ns - since->ns,
                          memory_order_relaxed);
    *since = now;
}

// NULL: the meter is going.
static struct parcel *next_free(struct source *s)
{
    struct parcel *p;
    while (!(p = queue_pop(s->free_parcels, IDLE_NS)) && !queue_closed(s->free_parcels)) {
        input_idle(s->input);
    }
    return p;
}

static bool told_to_stop(const struct source *s)
{
    struct pollfd fd = {.fd = s->stop_fd, .events = POLLIN};
    return fd.fd >= 0 && poll(&fd, 1, 0) > 0;
}

static bool is_empty(const struct batch *b)
{
    return b->n_records + b->n_dead == 0 && b->change == SHARDS_SAME;
}

// A live input comes back empty from every wait; the meter is not to be woken up each time. With
// another clock than the system's, tests count on all of them.
static bool says_nothing(const struct source *s, const struct parcel *p, struct mono said)
{
    return p->result == INPUT_MORE && is_empty(&p->batch) && s->clock == &clock_system &&
           clock_mono(&clock_system).ns - said.ns < SILENT_NS && !told_to_stop(s) &&
           !queue_closed(s->free_parcels);
}

// Whether it has time until the next commit is due: a few records that nobody waits for, and more
// can be read meanwhile.
static bool is_calm(const struct source *s, const struct parcel *p)
{
    return p->result == INPUT_MORE && p->batch.n_records > 0 &&
           p->batch.n_records + p->batch.n_dead <= CALM_RECORDS && p->batch.change == SHARDS_SAME &&
           !input_is_awaited(s->input) && queue_length(s->free_parcels) > 0;
}

static int read_into(struct source *s, struct parcel *p)
{
    parcel_clear(p);
    p->result = input_next(s->input, &p->batch, &p->err);
    refuse_future(s, &p->batch);
    return p->result;
}

static void *source_main(void *ctx)
{
    struct source *s = ctx;
    int result = INPUT_MORE;
    struct mono since = clock_mono(&clock_system), said = since;
    while (result == INPUT_MORE) {
        struct parcel *p = next_free(s);
        if (!p) {
            return NULL;
        }
        spent(&s->starved_ns, &since);
        do {
            result = read_into(s, p);
        } while (says_nothing(s, p, said));
        spent(&s->read_ns, &since);
        said = since;
        p->calm = is_calm(s, p);
        if (parcel_push(s->inbox, p) < 0) {
            return NULL;
        }
    }
    return NULL;
}

int source_start(struct source *s, struct error *err)
{
    for (size_t i = 0; i < SOURCE_PARCELS; i++) {
        int r = queue_push(s->free_parcels, s->parcels[i]);
        if (r < 0) {
            return error_set(err, r, "cannot hand a parcel to an input");
        }
    }
    pthread_t *thread = x_alloc(sizeof(*thread));
    int r = pthread_create(thread, NULL, source_main, s);
    if (r != 0) {
        free(thread);
        return error_set(err, -r, "cannot start a thread for %s", input_info(s->input)->name);
    }
    s->thread = thread;
    return 0;
}

void source_halt(struct source *s)
{
    if (s->free_parcels) {
        queue_close(s->free_parcels);
        while (queue_pop(s->free_parcels, 0)) {
            continue; // empty ones: without them it reads nothing more
        }
    }
    if (s->thread) {
        pthread_join(*(pthread_t *)s->thread, NULL);
        free(TAKE_PTR(s->thread));
    }
}

void source_close(struct source *s)
{
    source_halt(s);
    queue_free(s->free_parcels);
    for (size_t i = 0; i < SOURCE_PARCELS; i++) {
        parcel_free(s->parcels[i]);
    }
    input_close(s->input);
    arena_done(&s->uri_arena);
    *s = (struct source){0};
}

void source_state(struct source *s, struct run_source *ret)
{
    const struct input_info *info = input_info(s->input);
    input_about(s->input, s->about);
    *ret = (struct run_source){
        .name = info->name,
        .about = s->about,
        .live = !info->finite,
        .ended = s->ended,
        .joined = s->joined,
        .records = s->came,
    };
    input_health(s->input, &ret->health);
}
