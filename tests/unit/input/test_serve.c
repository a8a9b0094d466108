#include <stdlib.h>

#include "base/alloc.h"
#include "base/time.h"
#include "input/random.h"
#include "input/serve.h"
#include "test.h"

enum { EVENTS_MAX = 1 << 16 };

// Small round numbers: a step takes 10 ms, 1 ms for every decoding sequence, 1 ms a prompt token.
static const struct serve_speed plain = {
    .tp = 1,
    .step_ns = 10 * NS_PER_MS,
    .sequence_ns = NS_PER_MS,
    .prefill_ps = 1000 * NS_PER_MS,
    .weights_mb = 1000,
    .kv_bytes = 1 << 20,
    .kv_tokens = 1000,
    .batch_max = 4,
    .step_tokens = 64,
};

struct run {
    struct serve_done done[EVENTS_MAX];
    size_t n_done;
    struct serve_sample samples[EVENTS_MAX];
    size_t n_samples;
};

static struct run run, other;

static void note(struct run *r, const struct serve_event *e)
{
    assert_true(r->n_done < EVENTS_MAX && r->n_samples < EVENTS_MAX);
    if (e->is_sample) {
        r->samples[r->n_samples++] = e->sample;
    } else {
        r->done[r->n_done++] = e->done;
    }
}

static void drain(struct serve *s, int64_t until, struct run *r, int64_t *newest)
{
    for (struct serve_event e; serve_next(s, until, &e);) {
        int64_t t = e.is_sample ? e.sample.ts : e.done.end;
        assert_true(t >= *newest); // in order of time
        *newest = t;
        note(r, &e);
    }
}

static struct serve *cluster(const struct serve_speed *speed, uint32_t instances)
{
    struct serve_place places[64];
    assert_true(instances <= ARRAY_LEN(places));
    for (uint32_t i = 0; i < instances; i++) {
        places[i] = (struct serve_place){.first_gpu = i * (uint32_t)speed->tp};
    }
    return serve_new(&(struct serve_config){
        .gpu = gpu_class_default,
        .n_gpus = instances * (uint32_t)speed->tp,
        .speeds = speed,
        .n_models = 1,
        .places = places,
        .n_places = instances,
        .epoch = 0,
        .every = NS_PER_S,
    });
}

static void simulate(const struct serve_speed *speed, uint32_t instances,
                     const struct serve_request *requests, size_t n, struct run *ret)
{
    struct serve *s = cluster(speed, instances);
    int64_t newest = 0;
    *ret = (struct run){.n_done = 0};
    for (size_t i = 0; i < n; i++) {
        drain(s, requests[i].arrival, ret, &newest);
        serve_submit(s, &requests[i]);
    }
    serve_close(s, 0);
    drain(s, INT64_MAX, ret, &newest);
    serve_free(s);
}

static void test_one_request(void **state)
{
    (void)state;
    const struct serve_request r = {.arrival = 5, .prompt = 20, .output = 3, .tag = 7};
    simulate(&plain, 1, &r, 1, &run);
    assert_int_equal(run.n_done, 1);
    const struct serve_done *d = &run.done[0];
    assert_i64(d->start, 5);
    assert_i64(d->first, 5 + 30 * NS_PER_MS);          // one step that prefills 20 tokens
    assert_i64(d->end, 5 + (30 + 2 * 11) * NS_PER_MS); // and two that decode one each
    assert_int_equal(d->request.tag, 7);
}

static void test_shapes_of_requests(void **state)
{
    (void)state;
    static const struct {
        int64_t prompt, output, ttft_ms, latency_ms;
    } cases[] = {
        {10, 1, 20, 20},       {10, 0, 20, 20}, // no answer: it ends with its prefill
        {0, 1, 10, 10},        {0, 0, 10, 10},     {64, 1, 74, 74},
        {65, 1, 85, 85},       {128, 1, 148, 148}, {200, 2, 240, 251}, // in steps of 64
        {5000, 1, 5790, 5790}, // larger than the cache: alone
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct serve_request r = {.prompt = cases[i].prompt, .output = cases[i].output};
        simulate(&plain, 1, &r, 1, &run);
        assert_i64(run.done[0].first - run.done[0].start, cases[i].ttft_ms * NS_PER_MS);
        assert_i64(run.done[0].end - run.done[0].start, cases[i].latency_ms * NS_PER_MS);
    }
}

static void test_waiting_is_not_part_of_a_request(void **state)
{
    (void)state;
    // The first fills the cache; the second is scheduled when it is done.
    const struct serve_request two[] = {
        {.arrival = 0, .prompt = 500, .output = 500},
        {.arrival = 1, .prompt = 10, .output = 1},
    };
    simulate(&plain, 1, two, 2, &run);
    assert_i64(run.done[1].start, run.done[0].end);
    assert_i64(run.done[1].end - run.done[1].start, 20 * NS_PER_MS);
}

static void test_a_newcomer_joins_at_the_next_step(void **state)
{
    (void)state;
    const struct serve_request two[] = {
        {.arrival = 0, .prompt = 10, .output = 100},
        {.arrival = 25 * NS_PER_MS, .prompt = 10, .output = 1},
    };
    simulate(&plain, 1, two, 2, &run);
    // Prefill to 20 ms, then steps of 11 ms: 31 ms is the first boundary after the arrival.
    assert_i64(run.done[0].start, 31 * NS_PER_MS);
    assert_i64(run.done[0].end, (31 + 10 + 10 + 1) * NS_PER_MS);
    // The other one waits for that step as it would for any.
    assert_i64(run.done[1].end, (20 + 98 * 11 + 21) * NS_PER_MS);
}

// What serve.h promises, step by step and without any skipping ahead, for one instance.
struct reference {
    struct serve_done s[EVENTS_MAX];
    int64_t prefilled[EVENTS_MAX], decoded[EVENTS_MAX];
    size_t n_queued, n_admitted, n_arrived; // in order of arrival: a prefix each
    size_t n_out;
};

static struct reference reference;

static bool is_running(const struct reference *r, size_t i)
{
    return r->s[i].end == 0;
}

static void reference_batch(const struct reference *r, int64_t *ret_n, int64_t *ret_kv)
{
    *ret_n = *ret_kv = 0;
    for (size_t i = 0; i < r->n_admitted; i++) {
        if (is_running(r, i)) {
            ++*ret_n;
            *ret_kv += r->s[i].request.prompt + r->s[i].request.output;
        }
    }
}

static bool reference_admits(const struct reference *r, const struct serve_speed *v)
{
    int64_t n, kv;
    reference_batch(r, &n, &kv);
    const struct serve_request *q = &r->s[r->n_admitted].request;
    return n == 0 || (n < v->batch_max && kv + q->prompt + q->output <= v->kv_tokens);
}

// Prefills up to the step's budget; returns the tokens. Also counts who decodes.
static int64_t reference_step(struct reference *r, const struct serve_speed *v, int64_t now,
                              bool *decodes, int64_t *ret_decoding)
{
    int64_t left = v->step_tokens, tokens = 0;
    *ret_decoding = 0;
    for (size_t i = 0; i < r->n_admitted; i++) {
        decodes[i] = is_running(r, i) && r->s[i].first > 0;
        *ret_decoding += decodes[i];
    }
    left -= *ret_decoding;
    for (size_t i = 0; left > 0; i++) {
        if (i == r->n_admitted) {
            if (i == r->n_arrived || !reference_admits(r, v)) {
                break;
            }
            r->s[i].start = now;
            decodes[i] = false;
            r->n_admitted++;
        }
        if (is_running(r, i) && !decodes[i]) {
            int64_t chunk = MIN(r->s[i].request.prompt - r->prefilled[i], left);
            r->prefilled[i] += chunk;
            left -= chunk;
            tokens += chunk;
        }
    }
    return tokens;
}

static void reference_end_step(struct reference *r, int64_t now, const bool *decodes)
{
    for (size_t i = 0; i < r->n_admitted; i++) {
        struct serve_done *d = &r->s[i];
        bool prefilled = r->prefilled[i] == d->request.prompt;
        if (!is_running(r, i) || (!decodes[i] && !prefilled)) {
            continue;
        }
        r->decoded[i]++;
        d->first = d->first ? d->first : now;
        if (r->decoded[i] >= d->request.output) {
            d->end = now;
            r->n_out++;
        }
    }
}

static void simulate_by_steps(const struct serve_speed *v, const struct serve_request *q, size_t n)
{
    struct reference *r = &reference;
    *r = (struct reference){.n_out = 0};
    AUTO_FREE bool *decodes = x_array(n, sizeof(decodes[0]));
    int64_t now = q[0].arrival;
    for (size_t i = 0; i < n; i++) {
        r->s[i].request = q[i];
    }
    while (r->n_out < n) {
        if (r->n_out == r->n_arrived && q[r->n_arrived].arrival > now) {
            now = q[r->n_arrived].arrival; // idle
        }
        while (r->n_arrived < n && q[r->n_arrived].arrival <= now) {
            r->n_arrived++;
        }
        int64_t decoding, tokens = reference_step(r, v, now, decodes, &decoding);
        now += v->step_ns + decoding * v->sequence_ns + tokens * v->prefill_ps / 1000;
        reference_end_step(r, now, decodes);
    }
}

static size_t make_load(struct serve_request *q, size_t n, uint64_t seed)
{
    struct random r;
    random_init(&r, seed);
    int64_t at = 1, gap = (int64_t)random_below(&r, 400) * NS_PER_MS + 1;
    for (size_t i = 0; i < n; i++) {
        at += random_below(&r, 4) == 0 ? 0 : random_exponential(&r, gap);
        q[i] = (struct serve_request){
            .arrival = at,
            .prompt = (int64_t)random_below(&r, random_below(&r, 8) == 0 ? 1500 : 100),
            .output = (int64_t)random_below(&r, random_below(&r, 8) == 0 ? 300 : 20),
            .tag = i,
        };
    }
    return n;
}

static const struct serve_done *find(const struct run *r, uint64_t tag)
{
    size_t i = 0;
    while (i < r->n_done && r->done[i].request.tag != tag) {
        i++;
    }
    assert_true(i < r->n_done);
    return &r->done[i];
}

static void test_skipping_ahead_changes_nothing(void **state)
{
    (void)state;
    static struct serve_request q[120];
    for (uint64_t seed = 0; seed < 150; seed++) {
        size_t n = make_load(q, ARRAY_LEN(q), seed);
        simulate(&plain, 1, q, n, &run);
        simulate_by_steps(&plain, q, n);
        assert_int_equal(run.n_done, n);
        for (size_t i = 0; i < n; i++) {
            const struct serve_done *got = find(&run, i), *want = &reference.s[i];
            if (got->start != want->start || got->first != want->first || got->end != want->end) {
                fail_msg("seed %llu, request %zu: %lld %lld %lld, want %lld %lld %lld",
                         (unsigned long long)seed, i, (long long)got->start, (long long)got->first,
                         (long long)got->end, (long long)want->start, (long long)want->first,
                         (long long)want->end);
            }
        }
    }
}

// At the instant a request starts, everyone who runs beside it on its instance.
static void check_limits(const struct run *r, const struct serve_done *d)
{
    int64_t n = 0, kv = 0;
    for (size_t i = 0; i < r->n_done; i++) {
        const struct serve_done *o = &r->done[i];
        if (o->instance == d->instance && o->start <= d->start && o->end > d->start) {
            n++;
            kv += o->request.prompt + o->request.output;
        }
    }
    assert_true(n >= 1 && n <= plain.batch_max);
    assert_true(kv <= plain.kv_tokens || n == 1);
}

static void test_limits_and_totals_hold_on_many_servers(void **state)
{
    (void)state;
    static struct serve_request q[600];
    for (uint64_t seed = 1000; seed < 1020; seed++) {
        size_t n = make_load(q, ARRAY_LEN(q), seed);
        int64_t prompt = 0, output = 0;
        simulate(&plain, 3, q, n, &run);
        assert_int_equal(run.n_done, n);
        for (size_t i = 0; i < n; i++) {
            const struct serve_done *d = find(&run, i);
            prompt += d->request.prompt - q[i].prompt;
            output += d->request.output - q[i].output;
            assert_true(d->start >= q[i].arrival && d->first > d->start && d->end >= d->first);
            assert_true(d->end - d->start >= MAX(q[i].output, 1) * plain.step_ns);
            check_limits(&run, d);
        }
        assert_i64(prompt, 0);
        assert_i64(output, 0);
    }
}

static void test_instances_share_the_load(void **state)
{
    (void)state;
    static struct serve_request q[90];
    for (size_t i = 0; i < ARRAY_LEN(q); i++) {
        q[i] = (struct serve_request){.arrival = 1, .prompt = 10, .output = 10, .tag = i};
    }
    simulate(&plain, 3, q, ARRAY_LEN(q), &run);
    int count[3] = {0};
    for (size_t i = 0; i < run.n_done; i++) {
        count[run.done[i].instance]++;
    }
    assert_int_equal(count[0], 30);
    assert_int_equal(count[1], 30);
    assert_int_equal(count[2], 30);
}

static void test_samples_say_what_the_gpus_did(void **state)
{
    (void)state;
    const struct gpu_class *gpu = gpu_class_default;
    struct serve_speed pair = plain;
    pair.tp = 2;
    // One second of work: 20 + 980 ms on both GPUs of the first instance, from second 2 on.
    const struct serve_request r = {.arrival = 2 * NS_PER_S, .prompt = 9, .output = 90};
    simulate(&pair, 2, &r, 1, &run);
    int64_t busy_ms[4] = {0}, energy[4] = {0};
    for (size_t i = 0; i < run.n_samples; i++) {
        const struct serve_sample *s = &run.samples[i];
        assert_int_equal(s->gpu, i % 4);
        assert_i64(s->ts, (int64_t)(i / 4) * NS_PER_S + (int64_t)(i % 4 + 1) * NS_PER_S / 4);
        assert_true(s->power_mw >= gpu->idle_mw && s->power_mw <= gpu->limit_mw);
        assert_true((s->busy_permille > 0) == (s->power_mw > gpu->idle_mw));
        assert_int_equal(s->clock_mhz, s->busy_permille > 0 ? gpu->boost_mhz : gpu->idle_mhz);
        assert_true(s->memory_mb >= 1000 && s->memory_mb <= 1100);
        assert_true(s->energy_mj > energy[s->gpu]);
        int64_t span_ms = i < 4 ? s->ts / NS_PER_MS : 1000;
        busy_ms[s->gpu] += s->busy_permille * span_ms / 1000;
        energy[s->gpu] = s->energy_mj;
    }
    assert_near((double)busy_ms[0], 998, 2);
    assert_near((double)busy_ms[1], 998, 2);
    assert_i64(busy_ms[2], 0);
    assert_i64(busy_ms[3], 0);
    assert_true(energy[0] > energy[2]);
    // Sampled beyond the end of the request.
    assert_true(run.samples[run.n_samples - 4].ts >= run.done[0].end);
}

static void test_an_empty_cluster_is_sampled_as_long_as_asked(void **state)
{
    (void)state;
    struct serve *s = cluster(&plain, 2);
    int64_t newest = 0;
    run = (struct run){.n_done = 0};
    serve_close(s, 10 * NS_PER_S);
    drain(s, INT64_MAX, &run, &newest);
    assert_int_equal(run.n_done, 0);
    assert_int_equal(run.n_samples, 21); // two a second, and one at the very end
    assert_i64(serve_due(s), INT64_MAX);
    serve_free(s);
}

static void test_the_same_arrivals_give_the_same_events(void **state)
{
    (void)state;
    static struct serve_request q[400];
    size_t n = make_load(q, ARRAY_LEN(q), 5);
    simulate(&plain, 4, q, n, &run);
    simulate(&plain, 4, q, n, &other);
    assert_int_equal(run.n_done, other.n_done);
    assert_int_equal(run.n_samples, other.n_samples);
    for (size_t i = 0; i < run.n_done; i++) {
        assert_i64(run.done[i].end, other.done[i].end);
        assert_int_equal(run.done[i].request.tag, other.done[i].request.tag);
    }
    for (size_t i = 0; i < run.n_samples; i++) {
        assert_i64(run.samples[i].power_mw, other.samples[i].power_mw);
    }
}

static void test_speeds_are_plausible(void **state)
{
    (void)state;
    static const struct {
        const char *model, *gpu;
        int32_t tp;
        int64_t alone_min, alone_max;     // tokens a second of one request
        int64_t full_min, full_max;       // of a full batch
        int64_t prefill_min, prefill_max; // prompt tokens a second
    } cases[] = {
        {"llama-3-8b", "h100", 1, 80, 180, 4000, 9000, 15000, 40000},
        {"llama-3-70b", "h100", 2, 35, 80, 2000, 6000, 5000, 20000},
        {"qwen3-30b", "h100", 1, 80, 250, 3000, 12000, 15000, 60000},
        {"llama-3-8b", "l4", 1, 8, 25, 300, 1500, 2000, 6000},
        {"some-13b", "a100", 1, 30, 80, 1000, 4000, 3000, 12000},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct model_class m;
        struct serve_speed v;
        struct error err = {0};
        struct str name = str_of(cases[i].model);
        model_class_find(name, &m);
        assert_ok(
            serve_speed_of(&m, name, gpu_class_find(str_of(cases[i].gpu)), cases[i].tp, &v, &err),
            &err);
        int64_t alone = NS_PER_S / (v.step_ns + v.sequence_ns);
        int64_t full = v.batch_max * NS_PER_S / (v.step_ns + v.batch_max * v.sequence_ns);
        int64_t prefill = 1000 * NS_PER_S / v.prefill_ps;
        assert_true(alone >= cases[i].alone_min && alone <= cases[i].alone_max);
        assert_true(full >= cases[i].full_min && full <= cases[i].full_max);
        assert_true(prefill >= cases[i].prefill_min && prefill <= cases[i].prefill_max);
    }
}

static void test_weights_must_fit(void **state)
{
    (void)state;
    struct model_class m;
    struct serve_speed v;
    struct error err = {0};
    model_class_find(STR("llama-3-70b"), &m);
    assert_int_equal(serve_speed_of(&m, STR("llama-3-70b"), gpu_class_find(STR("l4")), 1, &v, &err),
                     -22);
    assert_non_null(strstr(err.msg, "llama-3-70b"));
    assert_int_equal(serve_speed_fit(&m, STR("x"), gpu_class_find(STR("l4")), 3, &v, &err), -22);
    assert_ok(serve_speed_fit(&m, STR("x"), gpu_class_find(STR("l4")), 8, &v, &err), &err);
    assert_int_equal(v.tp, 4); // two do not hold it, three are not tried
    assert_ok(serve_speed_fit(&m, STR("x"), gpu_class_find(STR("h100")), 8, &v, &err), &err);
    assert_int_equal(v.tp, 2);
}

int main(void)
{
    return TEST_RUN(TEST(test_one_request), TEST(test_shapes_of_requests),
                    TEST(test_waiting_is_not_part_of_a_request),
                    TEST(test_a_newcomer_joins_at_the_next_step),
                    TEST(test_skipping_ahead_changes_nothing),
                    TEST(test_limits_and_totals_hold_on_many_servers),
                    TEST(test_instances_share_the_load), TEST(test_samples_say_what_the_gpus_did),
                    TEST(test_an_empty_cluster_is_sampled_as_long_as_asked),
                    TEST(test_the_same_arrivals_give_the_same_events),
                    TEST(test_speeds_are_plausible), TEST(test_weights_must_fit));
}
