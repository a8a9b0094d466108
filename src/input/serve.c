#include "input/serve.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/time.h"
#include "input/serve_instance.h"

// Air around the boards, degrees above it at 1 W, and how fast they warm up and cool down.
enum { AMBIENT_MC = 30000, MC_PER_W = 45, WARMING = 16 };

struct gpu {
    int64_t instance;       // -1: none
    uint64_t busy_ns, work; // of the instance, at the last sample
    int64_t sampled;        // when that was
    int64_t energy_mj, temperature;
};

struct serve {
    const struct gpu_class *class;
    int64_t epoch, every;
    struct instance *instances;
    uint32_t n_instances;
    uint32_t *of_model;               // instances ordered by model
    uint32_t *model_first;            // where a model's begin there; n_models + 1
    uint32_t *heap, *heap_at, n_heap; // instances by when they are due, and back
    struct gpu *gpus;
    uint32_t n_gpus;
    uint64_t n_samples;
    struct serve_done *done; // at one instant, not given out yet
    size_t done_first, n_done, cap_done;
    uint32_t advancing; // the instance that they are from
    int64_t last_end;
    bool closed;
};

static void index_models(struct serve *s, const struct serve_config *c)
{
    s->of_model = x_array(c->n_places, sizeof(s->of_model[0]));
    s->model_first = x_array(c->n_models + (size_t)1, sizeof(s->model_first[0]));
    uint32_t n = 0;
    for (uint32_t m = 0; m < c->n_models; m++) {
        s->model_first[m] = n;
        for (uint32_t i = 0; i < c->n_places; i++) {
            if (c->places[i].model == m) {
                s->of_model[n++] = i;
            }
        }
        assert(n > s->model_first[m]);
    }
    s->model_first[c->n_models] = n;
}

static void place_instances(struct serve *s, const struct serve_config *c)
{
    s->n_instances = c->n_places;
    s->instances = x_array(c->n_places, sizeof(s->instances[0]));
    for (uint32_t i = 0; i < c->n_places; i++) {
        const struct serve_speed *speed = &c->speeds[c->places[i].model];
        instance_init(&s->instances[i], speed, c->epoch);
        for (int32_t k = 0; k < speed->tp; k++) {
            uint32_t gpu = c->places[i].first_gpu + (uint32_t)k;
            assert(gpu < s->n_gpus && s->gpus[gpu].instance < 0);
            s->gpus[gpu].instance = i;
        }
    }
}

static int64_t temperature_at(int64_t power_mw)
{
    return AMBIENT_MC + power_mw * MC_PER_W / 1000;
}

struct serve *serve_new(const struct serve_config *c)
{
    struct serve *s = x_zalloc(sizeof(*s));
    *s = (struct serve){.class = c->gpu, .epoch = c->epoch, .every = c->every, .n_gpus = c->n_gpus};
    s->last_end = c->epoch;
    s->gpus = x_array(c->n_gpus, sizeof(s->gpus[0]));
    for (uint32_t g = 0; g < c->n_gpus; g++) {
        s->gpus[g] = (struct gpu){
            .instance = -1,
            .sampled = c->epoch,
            .temperature = temperature_at(c->gpu->idle_mw),
        };
    }
    place_instances(s, c);
    index_models(s, c);
    s->heap = x_array(c->n_places, sizeof(s->heap[0]));
    s->heap_at = x_array(c->n_places, sizeof(s->heap_at[0]));
    s->n_heap = c->n_places;
    for (uint32_t i = 0; i < c->n_places; i++) {
        s->heap[i] = s->heap_at[i] = i; // all idle: any order is a heap
    }
    return s;
}

void serve_free(struct serve *s)
{
    if (s == NULL) {
        return;
    }
    for (uint32_t i = 0; i < s->n_instances; i++) {
        instance_done(&s->instances[i]);
    }
    free(s->instances);
    free(s->of_model);
    free(s->model_first);
    free(s->heap);
    free(s->heap_at);
    free(s->gpus);
    free(s->done);
    free(s);
}

static bool due_before(const struct serve *s, uint32_t a, uint32_t b)
{
    int64_t at = instance_due(&s->instances[a]), bt = instance_due(&s->instances[b]);
    return at != bt ? at < bt : a < b;
}

static void heap_set(struct serve *s, uint32_t at, uint32_t instance)
{
    s->heap[at] = instance;
    s->heap_at[instance] = at;
}

static uint32_t sift_up(struct serve *s, uint32_t at)
{
    uint32_t moved = s->heap[at];
    while (at > 0 && due_before(s, moved, s->heap[(at - 1) / 2])) {
        heap_set(s, at, s->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_set(s, at, moved);
    return at;
}

static void sift_down(struct serve *s, uint32_t at)
{
    uint32_t moved = s->heap[at];
    for (uint32_t child = 2 * at + 1; child < s->n_heap; child = 2 * at + 1) {
        if (child + 1 < s->n_heap && due_before(s, s->heap[child + 1], s->heap[child])) {
            child++;
        }
        if (!due_before(s, s->heap[child], moved)) {
            break;
        }
        heap_set(s, at, s->heap[child]);
        at = child;
    }
    heap_set(s, at, moved);
}

static uint32_t least_loaded(const struct serve *s, uint32_t model)
{
    uint32_t best = s->of_model[s->model_first[model]];
    for (uint32_t i = s->model_first[model]; i < s->model_first[model + 1]; i++) {
        const struct instance *a = &s->instances[s->of_model[i]], *b = &s->instances[best];
        if (a->requests < b->requests || (a->requests == b->requests && a->tokens < b->tokens)) {
            best = s->of_model[i];
        }
    }
    return best;
}

void serve_submit(struct serve *s, const struct serve_request *r)
{
    uint32_t i = least_loaded(s, r->model);
    instance_submit(&s->instances[i], r);
    sift_down(s, sift_up(s, s->heap_at[i]));
}

void serve_close(struct serve *s, int64_t at_least)
{
    s->closed = true;
    s->last_end = MAX(s->last_end, at_least);
}

static void add_done(void *ctx, const struct sequence *sequence, int64_t end)
{
    struct serve *s = ctx;
    ARRAY_RESERVE(s->done, s->n_done, s->cap_done);
    s->done[s->n_done++] = (struct serve_done){
        .request = sequence->request,
        .start = sequence->start,
        .first = sequence->first,
        .end = end,
        .instance = s->advancing,
    };
    s->last_end = MAX(s->last_end, end);
}

static bool take_done(struct serve *s, struct serve_event *ret)
{
    if (s->done_first == s->n_done) {
        s->done_first = s->n_done = 0;
        return false;
    }
    *ret = (struct serve_event){.done = s->done[s->done_first++]};
    return true;
}

// The GPUs take turns within the interval, the last one at its end.
static int64_t sample_due(const struct serve *s)
{
    uint64_t round = s->n_samples / s->n_gpus, turn = s->n_samples % s->n_gpus + 1;
    int64_t ts = s->epoch + (int64_t)round * s->every + s->every * (int64_t)turn / s->n_gpus;
    bool idle = instance_due(&s->instances[s->heap[0]]) == INT64_MAX;
    bool over = s->closed && idle && ts - s->every >= s->last_end;
    return over ? INT64_MAX : ts;
}

static int64_t next_due(const struct serve *s)
{
    return MIN(instance_due(&s->instances[s->heap[0]]), sample_due(s));
}

int64_t serve_due(const struct serve *s)
{
    return s->done_first < s->n_done ? s->done[s->done_first].end : next_due(s);
}

static void take_sample(struct serve *s, struct serve_event *ret)
{
    const struct gpu_class *class = s->class;
    int64_t ts = sample_due(s);
    uint32_t index = (uint32_t)(s->n_samples++ % s->n_gpus);
    struct gpu *g = &s->gpus[index];
    struct instance_state now = {0};
    int64_t memory_mb = 0;
    if (g->instance >= 0) {
        const struct instance *in = &s->instances[g->instance];
        now = instance_at(in, ts);
        memory_mb = in->speed.weights_mb + now.kv_tokens * in->speed.kv_bytes / (1 << 20);
    }
    int64_t span = ts - g->sampled, busy = (int64_t)(now.busy_ns - g->busy_ns);
    int64_t load = (int64_t)(now.work - g->work) / span; // thousandths
    int64_t power_mw = class->idle_mw + (class->limit_mw - class->idle_mw) * load / 1000;
    g->busy_ns = now.busy_ns;
    g->work = now.work;
    g->sampled = ts;
    g->energy_mj += power_mw * (span / NS_PER_US) / 1000000;
    g->temperature += (temperature_at(power_mw) - g->temperature) / WARMING;
    *ret = (struct serve_event){.is_sample = true,
                                .sample = {
                                    .ts = ts,
                                    .gpu = index,
                                    .busy_permille = MIN(busy / (span / 1000), (int64_t)1000),
                                    .memory_mb = MIN(memory_mb, class->memory_mb),
                                    .power_mw = power_mw,
                                    .energy_mj = g->energy_mj,
                                    .temperature = g->temperature,
                                    .clock_mhz = busy > 0 ? class->boost_mhz : class->idle_mhz,
                                }};
}

bool serve_next(struct serve *s, int64_t until, struct serve_event *ret)
{
    for (;;) {
        if (take_done(s, ret)) {
            return true;
        }
        int64_t due = next_due(s);
        if (due >= until || due == INT64_MAX) {
            return false;
        }
        uint32_t soonest = s->heap[0];
        if (instance_due(&s->instances[soonest]) > due) {
            take_sample(s, ret);
            return true;
        }
        s->advancing = soonest;
        instance_advance(&s->instances[soonest], add_done, s);
        sift_down(s, 0);
    }
}
