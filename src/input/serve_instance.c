#include "input/serve_instance.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/wide.h"

// What a step draws of the power between idle and limit, in thousandths: prefill nearly all of it,
// decode more the larger its batch is.
enum { LOAD_PREFILL = 950, LOAD_DECODE = 450, LOAD_BATCH = 350, LOAD_BATCH_HALF = 32 };

void instance_init(struct instance *in, const struct serve_speed *speed, int64_t now)
{
    *in = (struct instance){.speed = *speed, .begin = now};
    in->prefilling = x_array((size_t)speed->batch_max, sizeof(in->prefilling[0]));
    in->decoding = x_array((size_t)speed->batch_max, sizeof(in->decoding[0]));
}

void instance_done(struct instance *in)
{
    free(in->queue);
    free(in->prefilling);
    free(in->decoding);
}

static void queue_push_back(struct instance *in, const struct serve_request *r)
{
    if (in->queue_n == in->queue_cap) {
        size_t cap = in->queue_cap ? in->queue_cap * 2 : 64;
        struct serve_request *grown = x_array(cap, sizeof(grown[0]));
        for (size_t i = 0; i < in->queue_n; i++) {
            grown[i] = in->queue[(in->queue_first + i) % in->queue_cap];
        }
        free(in->queue);
        in->queue = grown;
        in->queue_cap = cap;
        in->queue_first = 0;
    }
    in->queue[(in->queue_first + in->queue_n++) % in->queue_cap] = *r;
}

static bool sooner(const struct sequence *a, const struct sequence *b)
{
    return a->finish_at != b->finish_at ? a->finish_at < b->finish_at : a->order < b->order;
}

static void heap_push(struct instance *in, const struct sequence *s)
{
    struct sequence *heap = in->decoding;
    int32_t at = in->n_decoding++;
    while (at > 0 && sooner(s, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = *s;
}

static struct sequence heap_pop(struct instance *in)
{
    struct sequence *heap = in->decoding;
    struct sequence top = heap[0], last = heap[--in->n_decoding];
    int32_t at = 0;
    for (int32_t child = 1; child < in->n_decoding; child = 2 * at + 1) {
        if (child + 1 < in->n_decoding && sooner(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (!sooner(&heap[child], &last)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

static int64_t kv_need(const struct serve_request *r)
{
    return r->prompt + r->output;
}

static bool has_room(const struct instance *in, const struct serve_request *r)
{
    int32_t batch = in->n_prefilling + in->n_decoding;
    return batch == 0 ||
           (batch < in->speed.batch_max && in->kv_reserved + kv_need(r) <= in->speed.kv_tokens);
}

static void admit(struct instance *in, int64_t now)
{
    const struct serve_request *r = &in->queue[in->queue_first];
    in->prefilling[in->n_prefilling++] = (struct sequence){
        .request = *r,
        .start = now,
        .to_prefill = r->prompt,
        .order = in->admitted++,
    };
    in->kv_reserved += kv_need(r);
    in->queue_first = (in->queue_first + 1) % in->queue_cap;
    in->queue_n--;
}

// Shares the step's token budget out; returns the prompt tokens of one step.
static int64_t fill_step(struct instance *in, int64_t now)
{
    int64_t left = in->speed.step_tokens - in->n_decoding, tokens = 0;
    for (int32_t i = 0; left > 0; i++) {
        if (i == in->n_prefilling) {
            if (in->queue_n == 0 || !has_room(in, &in->queue[in->queue_first])) {
                break;
            }
            admit(in, now);
        }
        struct sequence *s = &in->prefilling[i];
        s->chunk = MIN(s->to_prefill, left);
        left -= s->chunk;
        tokens += s->chunk;
    }
    return tokens;
}

// How many steps will be like the first one, as long as nothing arrives.
static int64_t equal_steps(const struct instance *in)
{
    const struct sequence *s = &in->prefilling[0];
    int64_t most = INT64_MAX;
    if (in->n_prefilling > 1 || (in->n_prefilling == 1 && s->chunk == 0)) {
        return 1;
    }
    if (in->n_prefilling == 1) {
        most = s->to_prefill / s->chunk;
    }
    return in->n_decoding > 0 ? MIN(most, in->decoding[0].finish_at - in->steps) : most;
}

static void begin_run(struct instance *in, int64_t now)
{
    int64_t tokens = fill_step(in, now);
    in->begin = now;
    in->n_steps = 0;
    if (in->n_prefilling + in->n_decoding == 0) {
        return;
    }
    in->prefill_ns = tokens * in->speed.prefill_ps / 1000;
    in->step_ns = in->speed.step_ns + in->prefill_ns + in->n_decoding * in->speed.sequence_ns;
    in->n_steps = equal_steps(in);
}

// Lets the run end with the step that is on at `now`, so that a newcomer can be admitted.
static void shorten_run(struct instance *in, int64_t now)
{
    int64_t steps = (now - in->begin + in->step_ns - 1) / in->step_ns;
    in->n_steps = MIN(in->n_steps, MAX(steps, (int64_t)1));
}

void instance_submit(struct instance *in, const struct serve_request *r)
{
    bool first = in->queue_n == 0;
    queue_push_back(in, r);
    in->requests++;
    in->tokens += kv_need(r);
    if (in->n_steps == 0) {
        in->begin = r->arrival; // together with all that arrive at this instant
    } else if (first && has_room(in, r)) {
        shorten_run(in, r->arrival);
    }
}

int64_t instance_due(const struct instance *in)
{
    if (in->n_steps == 0) {
        return in->queue_n > 0 ? in->begin : INT64_MAX;
    }
    return in->begin + in->n_steps * in->step_ns;
}

static int64_t decode_steps(const struct sequence *s)
{
    return s->request.output > 1 ? s->request.output - 1 : 0;
}

// What a sequence holds of the cache is this plus the steps done.
static int64_t kv_offset(const struct sequence *s)
{
    int64_t joined_at = s->finish_at - decode_steps(s);
    return s->request.prompt + 1 - joined_at;
}

static void end_prefill(struct instance *in, int64_t now)
{
    int32_t n = in->n_prefilling;
    in->n_prefilling = 0;
    for (int32_t i = 0; i < n; i++) {
        struct sequence s = in->prefilling[i];
        s.to_prefill -= s.chunk * in->n_steps;
        if (s.to_prefill > 0) {
            in->prefilling[in->n_prefilling++] = s;
            continue;
        }
        s.first = now;
        s.finish_at = in->steps + decode_steps(&s);
        in->kv_offset += kv_offset(&s);
        heap_push(in, &s);
    }
}

void instance_advance(struct instance *in,
                      void (*done)(void *ctx, const struct sequence *s, int64_t end), void *ctx)
{
    int64_t now = instance_due(in);
    struct instance_state state = instance_at(in, now);
    in->busy_ns = state.busy_ns;
    in->work = state.work;
    in->steps += in->n_steps;
    end_prefill(in, now);
    while (in->n_decoding > 0 && in->decoding[0].finish_at == in->steps) {
        struct sequence s = heap_pop(in);
        in->kv_offset -= kv_offset(&s);
        in->kv_reserved -= kv_need(&s.request);
        in->requests--;
        in->tokens -= kv_need(&s.request);
        done(ctx, &s, now);
    }
    begin_run(in, now);
}

static int64_t run_load(const struct instance *in)
{
    int64_t n = in->n_decoding;
    int64_t decode = LOAD_DECODE + LOAD_BATCH * n / (n + LOAD_BATCH_HALF);
    int64_t other_ns = in->step_ns - in->prefill_ns;
    return (in->prefill_ns * LOAD_PREFILL + other_ns * decode) / in->step_ns;
}

struct instance_state instance_at(const struct instance *in, int64_t t)
{
    struct instance_state state = {.busy_ns = in->busy_ns, .work = in->work};
    int64_t steps = in->steps;
    if (in->n_steps > 0) {
        uint64_t ran = (uint64_t)(t - in->begin);
        state.busy_ns += ran;
        state.work += ran * (uint64_t)run_load(in);
        steps += (t - in->begin) / in->step_ns;
    }
    state.kv_tokens = in->kv_offset + in->n_decoding * steps;
    for (int32_t i = 0; i < in->n_prefilling; i++) {
        state.kv_tokens += in->prefilling[i].request.prompt - in->prefilling[i].to_prefill;
    }
    return state;
}
