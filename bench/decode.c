// What decoding costs: gtap's decoder, simdjson only walking the same records, and jansson
// building its tree of them, in one run over the same generated NDJSON.
//
//     decode [records [rounds]]
//
// Prints the best round of each, in nanoseconds a record, since what disturbs a round only ever
// makes it slower; rounds alternate between the readers, so that none has the quiet minutes.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/decimal.h"
#include "base/time.h"
#include "model/decode.h"
#include "simdjson_walk.h"

enum { RECORDS = 20000, ROUNDS = 15, RECORD_GUESS = 512 };

// splitmix64 (S. Vigna): the corpus is the same on every machine.
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15U;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

static unsigned below(uint64_t *state, unsigned n)
{
    return (unsigned)(next_random(state) % n);
}

static void add_sample(struct buf *b, uint64_t *rng, int64_t ts)
{
    buf_cstr(b, "{\"ts\":\"");
    time_format_iso(b, ts);
    unsigned host = below(rng, 64), gpu = below(rng, 8);
    buf_printf(b,
               "\",\"host\":\"gpu-%02u\",\"gpu_index\":%u,\"name\":\"NVIDIA H100 80GB HBM3\","
               "\"uuid\":\"GPU-%08x-7d4c-4c0f-9b57-%012x\",\"utilization\":0.%02u,"
               "\"mem_used_mb\":%u,\"mem_total_mb\":81559,\"power_w\":%u.%u,\"temperature_c\":%u,"
               "\"sm_clock_mhz\":1980,\"energy_mj\":%" PRIu64 ",\"price_per_hour_usd\":2.48,"
               "\"source\":\"nvml\",\"event_id\":\"0190%08x-%012x\"}\n",
               host, gpu, host * 8 + gpu, gpu, below(rng, 100), 60000 + below(rng, 21559),
               100 + below(rng, 600), below(rng, 10), 30 + below(rng, 50), next_random(rng) >> 24,
               below(rng, 1U << 31), below(rng, 1U << 31));
}

static void add_usage(struct buf *b, uint64_t *rng, int64_t ts)
{
    static const char *const models[] = {"llama-3-70b", "qwen3-30b", "mixtral-8x22b"};
    static const char *const tenants[] = {"search", "chat", "batch", "evaluation"};
    unsigned latency = 200 + below(rng, 60000), prompt = 1 + below(rng, 8000);
    buf_cstr(b, "{\"ts\":");
    decimal_format(b, ts / 1000, 6);
    buf_printf(b,
               ",\"model\":\"%s\",\"prompt_tokens\":%u,\"completion_tokens\":%u,"
               "\"latency_ms\":%u.%03u,\"cached_prompt_tokens\":%u,\"ttft_ms\":%u.%03u,"
               "\"host\":\"gpu-%02u\",\"gpu_index\":%u,\"tenant\":\"%s\","
               "\"request_id\":\"chatcmpl-%08x%08x\",\"event_id\":\"0190%08x-%012x\"}\n",
               models[below(rng, 3)], prompt, below(rng, 2000), latency, below(rng, 1000),
               below(rng, prompt), below(rng, latency), below(rng, 1000), below(rng, 64),
               below(rng, 8), tenants[below(rng, 4)], below(rng, 1U << 31), below(rng, 1U << 31),
               below(rng, 1U << 31), below(rng, 1U << 31));
}

// Lines of both kinds, half and half, and the padding that the decoder may read.
static void generate(struct buf *b, size_t records)
{
    uint64_t rng = 1;
    int64_t ts = INT64_C(1800000000) * NS_PER_S;
    for (size_t i = 0; i < records; i++) {
        ts += below(&rng, 1000) * NS_PER_MS;
        if (i % 2) {
            add_usage(b, &rng, ts);
        } else {
            add_sample(b, &rng, ts);
        }
    }
}

// One way to read all lines of a corpus; false when a line does not read.
struct reader {
    const char *name;
    bool (*read)(struct str line);
};

static struct decoder *decoder;
static struct simdjson_walk *walker;
static struct arena arena;
static double sink;

static bool read_gtap(struct str line)
{
    struct record r;
    struct error err;
    arena_reset(&arena);
    int result = decoder_record(decoder, line, &arena, &r, &err);
    sink += (double)r.digest;
    return result == 0;
}

static bool read_simdjson(struct str line)
{
    return simdjson_walk_record(walker, line, &sink) == 0;
}

static bool read_jansson(struct str line)
{
    json_error_t err;
    json_t *root = json_loadb(line.p, line.n, 0, &err);
    sink += (double)json_object_size(root);
    json_decref(root);
    return root != NULL;
}

static const struct reader readers[] = {
    {"gtap, whole record", read_gtap},
    {"simdjson, walk only", read_simdjson},
    {"jansson, tree only", read_jansson},
};

static int64_t time_round(const struct reader *reader, struct str corpus)
{
    struct mono start = clock_mono(&clock_system);
    struct str line;
    while (str_split(&corpus, '\n', &line) && str_present(corpus)) {
        if (!reader->read(line)) {
            fprintf(stderr, "%s cannot read: " STR_FMT "\n", reader->name, STR_ARG(line));
            exit(EXIT_FAILURE);
        }
    }
    return clock_mono(&clock_system).ns - start.ns;
}

static void print_result(const struct reader *reader, double ns, double bytes, double ours)
{
    printf("%-20s %8.0f %8.0f %8.2f\n", reader->name, ns, bytes / ns * 1e3, ns / ours);
}

static void measure(struct str corpus, size_t records, int64_t rounds)
{
    int64_t best[ARRAY_LEN(readers)];
    for (int64_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
            int64_t ns = time_round(&readers[i], corpus);
            best[i] = round == 0 ? ns : MIN(best[i], ns);
        }
    }
    double n = (double)records;
    printf("%-20s %8s %8s %8s\n", "", "ns", "MB/s", "ratio");
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        print_result(&readers[i], (double)best[i] / n, (double)corpus.n / n, (double)best[0] / n);
    }
}

static int64_t argument(int argc, char **argv, int i, int64_t otherwise)
{
    int64_t v;
    return i < argc && decimal_parse(str_of(argv[i]), 0, &v) == 0 && v > 0 ? v : otherwise;
}

int main(int argc, char **argv)
{
    size_t records = (size_t)argument(argc, argv, 1, RECORDS);
    struct buf corpus;
    buf_init(&corpus, records * RECORD_GUESS + DECODER_PADDING);
    generate(&corpus, records);
    struct str lines = buf_view(&corpus);
    if (buf_reserve(&corpus, DECODER_PADDING) == NULL) {
        return EXIT_FAILURE;
    }
    lines.p = corpus.p; // it may have moved
    printf("%zu records, %.0f bytes each on average\n", records, (double)lines.n / (double)records);
    decoder = decoder_new();
    walker = simdjson_walk_new();
    measure(lines, records, argument(argc, argv, 2, ROUNDS));
    decoder_free(decoder);
    simdjson_walk_free(walker);
    arena_done(&arena);
    buf_done(&corpus);
    return sink >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
