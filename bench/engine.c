// How many records a second one core takes through the engine, and how that grows: dense,
// adversarial streams (long overlaps, many edges at one instant, changing prices, several GPUs a
// request) of growing length. Prints one line a length.
//
//   engine [MAX_RECORDS]
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/decimal.h"
#include "base/time.h"
#include "cost/engine.h"

enum { GPUS = 8, REQUESTS_A_SECOND = 400 };
#define EPOCH (INT64_C(1767225600) * NS_PER_S)

struct stream {
    uint64_t state;
    int64_t now;
    int64_t made;
    char id[40];
    int32_t gpus[2];
};

static uint64_t next_random(struct stream *s) // splitmix64
{
    uint64_t z = (s->state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static int64_t below(struct stream *s, int64_t n)
{
    return (int64_t)(next_random(s) % (uint64_t)n);
}

static struct str next_id(struct stream *s)
{
    int n = snprintf(s->id, sizeof(s->id), "018f0000-0000-7000-8000-%012" PRId64, s->made);
    return (struct str){s->id, (size_t)n};
}

static void make_sample(struct stream *s, int32_t gpu, struct record *r)
{
    *r = (struct record){.kind = RECORD_SAMPLE, .event_id = next_id(s), .seq = s->made + 1};
    r->sample = (struct gpu_sample){
        .ts = s->now,
        .gpu = {STR("gpu-01"), gpu, GPU_INSTANCE_NONE},
        .has = SAMPLE_POWER | SAMPLE_UTILIZATION | SAMPLE_PRICE,
        .utilization = 0.9,
        .power_w = 500,
        .price_nusd_hour = INT64_C(2500000000) + below(s, 3) * 1000,
    };
}

static void make_usage(struct stream *s, struct record *r)
{
    static const struct str models[] = {STR("llama-3-70b"), STR("qwen3-30b"), STR("mixtral")};
    static const struct str tenants[] = {STR("search"), STR("chat"), STR("batch"), STR("eval")};
    bool pair = below(s, 16) == 0;
    s->gpus[0] = (int32_t)below(s, GPUS - 1);
    s->gpus[1] = s->gpus[0] + 1;
    int64_t latency = NS_PER_MS * (1 + below(s, below(s, 50) == 0 ? 120000 : 20000));
    *r = (struct record){.kind = RECORD_USAGE, .event_id = next_id(s), .seq = s->made + 1};
    r->usage = (struct usage_record){
        .ts = s->now - s->now % (below(s, 2) ? NS_PER_S : 1),
        .latency_ns = latency,
        .ttft_ns = below(s, 8) == 0 ? 0 : below(s, latency + 1),
        .has = below(s, 16) ? USAGE_TTFT : 0,
        .prompt_tokens = below(s, 4000),
        .completion_tokens = below(s, 1000),
        .requests = 1,
        .model = models[below(s, 3)],
        .tenant = tenants[below(s, 4)],
        .host = STR("gpu-01"),
        .gpus = s->gpus,
        .n_gpus = pair ? 2 : 1,
        .gpu_instance = GPU_INSTANCE_NONE,
    };
}

// One record in 1 + REQUESTS_A_SECOND / GPUS is a sample: all GPUs once a second.
static void next_record(struct stream *s, struct record *r)
{
    int64_t in_second = s->made % (REQUESTS_A_SECOND + GPUS);
    s->now = EPOCH + s->made / (REQUESTS_A_SECOND + GPUS) * NS_PER_S;
    if (in_second < GPUS) {
        make_sample(s, (int32_t)in_second, r);
    } else {
        s->now += (in_second - GPUS) * NS_PER_S / REQUESTS_A_SECOND;
        make_usage(s, r);
    }
    s->made++;
}

struct totals {
    int64_t cost, rows, requests;
};

static void on_row(void *ctx, const struct window_row *row)
{
    struct totals *t = ctx;
    t->cost += row->cost_nusd;
    t->rows++;
}

static void on_cost(void *ctx, const struct usage_cost *c)
{
    struct totals *t = ctx;
    t->requests += c->final;
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double making_seconds(int64_t n)
{
    struct stream s = {.state = 42};
    struct record r;
    uint64_t sum = 0;
    double begin = cpu_seconds();
    for (int64_t i = 0; i < n; i++) {
        next_record(&s, &r);
        sum += (uint64_t)record_ts(&r);
    }
    double end = cpu_seconds();
    return sum == 0 ? 0 : end - begin;
}

static void measure(int64_t n)
{
    static struct settings settings;
    settings = settings_default;
    struct settings_history history = {.epochs = &settings, .n = 1};
    struct price_book prices = {0};
    struct engine *e = engine_new(&history, &prices);
    struct totals totals = {0};
    struct engine_sink sink = {.row = on_row, .cost = on_cost, .ctx = &totals};
    struct stream s = {.state = 42};
    struct record r;
    size_t held = 0;
    double begin = cpu_seconds();
    for (int64_t i = 0; i < n; i++) {
        next_record(&s, &r);
        (void)engine_add(e, &r);
        if (i % 2048 == 0) {
            engine_advance(e, engine_settled_until(e, s.now), &sink);
            size_t now_held = engine_stats(e).requests;
            held = held < now_held ? now_held : held;
        }
    }
    engine_advance(e, s.now + NS_PER_HOUR, &sink);
    double taken = cpu_seconds() - begin - making_seconds(n);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("engine records=%" PRId64 " ns_per_record=%.0f records_per_s=%.0f rows=%" PRId64
           " requests=%" PRId64 " held=%zu cost_nusd=%" PRId64 " rss_mb=%ld\n",
           n, taken / (double)n * 1e9, (double)n / taken, totals.rows, totals.requests, held,
           totals.cost, usage.ru_maxrss / 1024);
    engine_free(e);
}

int main(int argc, char **argv)
{
    int64_t max = 10000000;
    if (argc > 1 && decimal_parse(str_of(argv[1]), 0, &max) < 0)
        return 2;
    for (int64_t n = 100000; n <= max; n *= 10)
        measure(n);
    return 0;
}
