// What decoding costs: gtap's decoder, which makes checked records of the lines, beside two that
// only read every field of the same lines and keep nothing: simdjson raw, and jansson.
//
//     decode RECORDS ROUNDS
//
// Prints a line a round and reader. Rounds alternate between the readers, so that none has the
// quiet minutes to itself.
#include <inttypes.h>
#include <math.h>

#include <jansson.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/time.h"
#include "measure.h"
#include "model/decode.h"
#include "simdjson_walk.h"

enum { RECORD_MOST = 512 };

static void add_sample(struct buf *b, uint64_t *rng, int64_t ts)
{
    buf_cstr(b, "{\"ts\":\"");
    time_format_iso(b, ts);
    int host = (int)below(rng, 64), gpu = (int)below(rng, 8);
    buf_printf(b,
               "\",\"host\":\"gpu-%02d\",\"gpu_index\":%d,\"name\":\"NVIDIA H100 80GB HBM3\","
               "\"uuid\":\"GPU-%08x-7d4c-4c0f-9b57-%012x\",\"utilization\":0.%02d,"
               "\"mem_used_mb\":%d,\"mem_total_mb\":81559,\"power_w\":%d.%d,\"temperature_c\":%d,"
               "\"sm_clock_mhz\":1980,\"energy_mj\":%" PRIu64 ",\"price_per_hour_usd\":2.48,"
               "\"source\":\"nvml\",\"event_id\":\"0190%08x-%012x\"}\n",
               host, gpu, host * 8 + gpu, gpu, (int)below(rng, 100), (int)below(rng, 21559) + 60000,
               (int)below(rng, 600) + 100, (int)below(rng, 10), (int)below(rng, 50) + 30,
               next_random(rng) >> 24, (unsigned)below(rng, INT32_MAX),
               (unsigned)below(rng, INT32_MAX));
}

static void add_usage(struct buf *b, uint64_t *rng, int64_t ts)
{
    static const char *const models[] = {"llama-3-70b", "qwen3-30b", "mixtral-8x22b"};
    static const char *const tenants[] = {"search", "chat", "batch", "evaluation"};
    int latency = (int)below(rng, 60000) + 200, prompt = (int)below(rng, 8000) + 1;
    buf_cstr(b, "{\"ts\":");
    decimal_format(b, ts / 1000, 6);
    buf_printf(b,
               ",\"model\":\"%s\",\"prompt_tokens\":%d,\"completion_tokens\":%d,"
               "\"latency_ms\":%d.%03d,\"cached_prompt_tokens\":%d,\"ttft_ms\":%d.%03d,"
               "\"host\":\"gpu-%02d\",\"gpu_index\":%d,\"tenant\":\"%s\","
               "\"request_id\":\"chatcmpl-%08x%08x\",\"event_id\":\"0190%08x-%012x\"}\n",
               models[below(rng, 3)], prompt, (int)below(rng, 2000), latency, (int)below(rng, 1000),
               (int)below(rng, prompt), (int)below(rng, latency), (int)below(rng, 1000),
               (int)below(rng, 64), (int)below(rng, 8), tenants[below(rng, 4)],
               (unsigned)below(rng, INT32_MAX), (unsigned)below(rng, INT32_MAX),
               (unsigned)below(rng, INT32_MAX), (unsigned)below(rng, INT32_MAX));
}

// Lines of both kinds, half and half.
static void generate(struct buf *b, int64_t records)
{
    uint64_t rng = 1;
    int64_t ts = INT64_C(1700000000) * NS_PER_S;
    for (int64_t i = 0; i < records; i++) {
        ts += below(&rng, 1000) * NS_PER_MS;
        if (i % 2) {
            add_usage(b, &rng, ts);
        } else {
            add_sample(b, &rng, ts);
        }
    }
}

// ---- the readers ---------------------------------------------------------------------------

static struct decoder *decoder;
static struct simdjson_walk *walker;
static struct arena arena;
static double sum; // of all that was read, so that reading it cannot be left out

static bool read_gtap(struct str line)
{
    struct record r;
    struct error err;
    arena_reset(&arena);
    int result = decoder_record(decoder, line, &arena, &r, &err);
    sum += (double)r.digest;
    return result == 0;
}

static bool read_simdjson(struct str line)
{
    return simdjson_walk_record(walker, line, &sum) == 0;
}

static bool read_jansson(struct str line)
{
    json_error_t err;
    json_t *root = json_loadb(line.p, line.n, 0, &err);
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value)
    {
        sum += json_is_string(value) ? (double)json_string_length(value) : json_number_value(value);
        sum += (double)*key;
    }
    json_decref(root);
    return root != NULL;
}

static const struct reader {
    const char *name;
    bool (*read)(struct str line); // false: it cannot
} readers[] = {
    {"gtap", read_gtap},
    {"simdjson", read_simdjson},
    {"jansson", read_jansson},
};

// ---- measuring -----------------------------------------------------------------------------

static void measure_round(const struct reader *reader, struct str corpus, int64_t records)
{
    struct spent spent = {0};
    size_t bytes = corpus.n;
    struct str line;
    spent_begin(&spent);
    while (corpus.n > 0 && str_split(&corpus, '\n', &line)) {
        if (!reader->read(line)) {
            give_up("%s cannot read: " STR_FMT, reader->name, STR_ARG(line));
        }
    }
    spent_end(&spent);
    printf("{\"reader\": \"%s\", \"records\": %" PRId64 ", \"bytes\": %zu, \"cpu_s\": %.9f, "
           "\"wall_s\": %.9f}\n",
           reader->name, records, bytes, spent.cpu_s, spent.wall_s);
}

int main(int argc, char **argv)
{
    int64_t records = argument(argc, argv, 1), rounds = argument(argc, argv, 2);
    struct buf corpus;
    buf_init(&corpus, (size_t)records * RECORD_MOST + DECODER_PADDING);
    generate(&corpus, records);
    size_t n = corpus.n;
    if (buf_reserve(&corpus, DECODER_PADDING) == NULL) { // readable behind the text; it may move
        give_up("the corpus is larger than was thought");
    }
    decoder = decoder_new();
    walker = simdjson_walk_new();
    for (int64_t i = 0; i < rounds * (int64_t)ARRAY_LEN(readers); i++) {
        const struct reader *reader = &readers[i % (int64_t)ARRAY_LEN(readers)];
        measure_round(reader, (struct str){corpus.p, n}, records);
    }
    decoder_free(decoder);
    simdjson_walk_free(walker);
    arena_done(&arena);
    buf_done(&corpus);
    return isfinite(sum) ? EXIT_SUCCESS : EXIT_FAILURE;
}
