// What a record costs in the engine, and what the engine holds: one kind of load, one length.
//
//     engine LOAD RECORDS
//
// The loads are the table below: each stresses one thing, `mixed` all at once. Records are made in
// blocks outside of what is timed. The engine advances as the meter lets it, every 2,048 records.
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/time.h"
#include "cost/engine.h"
#include "measure.h"

enum { BLOCK = 2048, GPUS_MAX = 64, GPUS_A_HOST = 8, ID_SIZE = 40 };
#define EPOCH (INT64_C(1767225600) * NS_PER_S)

struct load {
    const char *name;
    int gpus;               // sampled once a second each
    int requests_a_second;  // over all GPUs
    int64_t longest_ns;     // a request's, uniform; one in 50 up to six times as long
    int whole_seconds;      // percent of requests that end on a second
    int parallel;           // percent of requests that run on several GPUs
    int64_t price_every_ns; // a GPU states another price this often; 0: never
    int64_t disorder_ns;    // a record comes up to this much after its time
};

#define MINUTES(n) ((n)*60 * NS_PER_S)

static const struct load loads[] = {
    {"steady", 8, 40, 20 * NS_PER_S, 0, 0, 0, 0},
    {"concurrent", 8, 400, 45 * NS_PER_S, 0, 0, 0, 0},
    {"simultaneous", 8, 400, 20 * NS_PER_S, 100, 0, 0, 0},
    {"parallel", 8, 400, 20 * NS_PER_S, 0, 100, 0, 0},
    {"prices", 8, 400, 20 * NS_PER_S, 0, 0, MINUTES(1), 0},
    {"disorder", 8, 400, 20 * NS_PER_S, 0, 0, 0, MINUTES(5) / 2},
    {"mixed", 8, 400, 20 * NS_PER_S, 50, 10, MINUTES(1), MINUTES(1)},
    {"mixed, a price a second", 8, 400, 20 * NS_PER_S, 50, 10, NS_PER_S, MINUTES(1)},
};

// ---- making records ------------------------------------------------------------------------

struct stream {
    const struct load *load;
    uint64_t random;
    int64_t made, newest;
};

// A record with what it borrows.
struct made {
    struct record record;
    char id[ID_SIZE];
    int32_t gpus[GPUS_A_HOST];
};

static struct str host_of(int gpu)
{
    static const struct str hosts[] = {STR("gpu-01"), STR("gpu-02"), STR("gpu-03"), STR("gpu-04"),
                                       STR("gpu-05"), STR("gpu-06"), STR("gpu-07"), STR("gpu-08")};
    _Static_assert(ARRAY_LEN(hosts) * GPUS_A_HOST == GPUS_MAX, "a host of every GPU");
    return hosts[gpu / GPUS_A_HOST];
}

// Prices that follow each other differ.
static int64_t price_at_instant(const struct load *l, int gpu, int64_t t)
{
    int64_t step = l->price_every_ns ? (t - EPOCH + gpu * NS_PER_S) / l->price_every_ns : 0;
    return INT64_C(2500000000) + step % 7 * 1000;
}

static void make_sample(const struct stream *s, int gpu, int64_t t, struct record *r)
{
    r->kind = RECORD_SAMPLE;
    r->sample = (struct gpu_sample){
        .ts = t,
        .gpu = {host_of(gpu), gpu % GPUS_A_HOST, GPU_INSTANCE_NONE},
        .has = SAMPLE_POWER | SAMPLE_UTILIZATION | SAMPLE_PRICE,
        .utilization = 0.9,
        .power_w = 500,
        .price_nusd_hour = price_at_instant(s->load, gpu, t),
    };
}

static void choose_gpus(struct stream *s, struct made *m)
{
    struct usage_record *u = &m->record.usage;
    int gpu = (int)below(&s->random, s->load->gpus), first = gpu % GPUS_A_HOST;
    u->host = host_of(gpu);
    u->gpus = m->gpus;
    u->n_gpus = 1;
    if (below(&s->random, 100) < s->load->parallel) {
        u->n_gpus = (uint32_t)2 << below(&s->random, 3);
        first -= first % (int)u->n_gpus;
    }
    for (int i = 0; i < (int)u->n_gpus; i++) {
        m->gpus[i] = first + i;
    }
}

static void make_usage(struct stream *s, int64_t t, struct made *m)
{
    static const struct str models[] = {STR("llama-3-70b"), STR("qwen3-30b"), STR("mixtral")};
    static const struct str tenants[] = {STR("search"), STR("chat"), STR("batch"), STR("eval")};
    int64_t most = s->load->longest_ns * (below(&s->random, 50) == 0 ? 6 : 1);
    int64_t latency = NS_PER_MS + below(&s->random, most);
    bool whole = below(&s->random, 100) < s->load->whole_seconds;
    m->record.kind = RECORD_USAGE;
    m->record.usage = (struct usage_record){
        .ts = t - t % (whole ? NS_PER_S : 1),
        .latency_ns = whole ? time_ceil(latency, NS_PER_S) : latency,
        .ttft_ns = below(&s->random, 8) == 0 ? 0 : below(&s->random, latency + 1),
        .has = below(&s->random, 16) ? USAGE_TTFT : 0,
        .prompt_tokens = below(&s->random, 4000),
        .completion_tokens = below(&s->random, 1000),
        .requests = 1,
        .model = models[below(&s->random, 3)],
        .tenant = tenants[below(&s->random, 4)],
        .gpu_instance = GPU_INSTANCE_NONE,
    };
    choose_gpus(s, m);
}

// Every second brings a sample of each GPU, then its requests, evenly.
static void make_next(struct stream *s, struct made *m)
{
    const struct load *l = s->load;
    int64_t each = l->gpus + l->requests_a_second, nth = s->made % each;
    int64_t t = EPOCH + s->made / each * NS_PER_S;
    t -= l->disorder_ns ? below(&s->random, l->disorder_ns) / NS_PER_S * NS_PER_S : 0;
    m->record = (struct record){.seq = ++s->made};
    int n = snprintf(m->id, sizeof(m->id), "018f0000-0000-7000-8000-%012" PRIx64,
                     (uint64_t)s->made ^ (next_random(&s->random) << 24 & 0xffff00000000));
    m->record.event_id = (struct str){m->id, (size_t)n};
    if (nth < l->gpus) {
        make_sample(s, (int)nth, t, &m->record);
    } else {
        make_usage(s, t + (nth - l->gpus) * NS_PER_S / l->requests_a_second, m);
    }
    s->newest = MAX(s->newest, record_ts(&m->record));
}

// ---- what the engine makes of them ---------------------------------------------------------

struct totals {
    int64_t rows, bill, cost, requests;
};

static void on_row(void *ctx, const struct window_row *row)
{
    struct totals *t = ctx;
    t->rows++;
    t->bill += row->cost_nusd;
}

static void on_cost(void *ctx, const struct usage_cost *c)
{
    struct totals *t = ctx;
    t->requests++;
    t->cost += c->cost_nusd;
}

struct result {
    struct spent spent;
    struct totals totals;
    size_t held, held_bytes; // at most, records and about their memory
    uint64_t late;
};

static void note_held(const struct engine *e, struct result *r)
{
    struct engine_stats stats = engine_stats(e);
    r->held = MAX(r->held, stats.requests + stats.samples);
    r->held_bytes = MAX(r->held_bytes, stats.bytes);
    r->late = stats.late;
}

static void feed_block(struct engine *e, const struct made *block, size_t n, int64_t newest,
                       const struct engine_sink *sink)
{
    for (size_t i = 0; i < n; i++) {
        (void)engine_add(e, &block[i].record);
    }
    engine_advance(e, engine_settled_until(e, newest), sink);
}

static void measure(const struct load *load, int64_t records, struct result *r)
{
    static struct made block[BLOCK];
    struct settings settings = settings_default;
    const struct settings_history history = {.epochs = &settings, .n = 1};
    const struct price_book prices = {0};
    struct engine *e = engine_new(&history, &prices);
    const struct engine_sink sink = {.row = on_row, .cost = on_cost, .ctx = &r->totals};
    struct stream s = {.load = load, .random = 42, .newest = INT64_MIN};
    while (s.made < records) {
        size_t n = (size_t)MIN((int64_t)BLOCK, records - s.made);
        for (size_t i = 0; i < n; i++) {
            make_next(&s, &block[i]);
        }
        spent_begin(&r->spent);
        feed_block(e, block, n, s.newest, &sink);
        spent_end(&r->spent);
        note_held(e, r);
    }
    spent_begin(&r->spent);
    engine_advance(e, s.newest + NS_PER_HOUR, &sink);
    spent_end(&r->spent);
    engine_free(e);
}

static const struct load *find_load(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(loads); i++) {
        if (strcmp(loads[i].name, name) == 0) {
            return &loads[i];
        }
    }
    give_up("there is no load '%s'", name);
}

int main(int argc, char **argv)
{
    const struct load *load = find_load(argc > 1 ? argv[1] : "");
    int64_t records = argument(argc, argv, 2);
    struct result r = {0};
    struct rusage usage;
    measure(load, records, &r);
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"load\": \"%s\", \"records\": %" PRId64 ", \"cpu_s\": %.6f, \"wall_s\": %.6f, "
           "\"rows\": %" PRId64 ", \"requests\": %" PRId64 ", \"late\": %" PRIu64
           ", \"bill_nusd\": %" PRId64 ", \"cost_nusd\": %" PRId64
           ", \"held\": %zu, \"held_bytes\": %zu, \"peak_kib\": %ld}\n",
           load->name, records, r.spent.cpu_s, r.spent.wall_s, r.totals.rows, r.totals.requests,
           r.late, r.totals.bill, r.totals.cost, r.held, r.held_bytes, usage.ru_maxrss);
    return 0;
}
