// What reading a page of metrics costs, beside what reading memory costs: gtap's cursor looking for
// a server's counters, and taking every line apart, against memchr() finding the lines and a sum
// over the page's words, in one run over the same made-up page of vLLM's names.
//
//     exposition BYTES ROUNDS
//
// Prints a line a round and reader. Rounds alternate between the readers, so that none has the
// quiet minutes to itself.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "input/exposition.h"
#include "measure.h"

enum { ENGINE_MOST = 1 << 16 }; // bytes that the samples of one engine take

static struct exposition_names wanted;
static double sum; // of all that was read, so that reading it cannot be left out

// A server says the first of them.
enum { COUNTERS_SAID = 5 };
static const char *const counters[] = {
    "vllm:prompt_tokens_total",     "vllm:generation_tokens_total",
    "vllm:request_success_total",   "vllm:num_requests_running",
    "vllm:prefix_cache_hits_total", "process_start_time_seconds",
    "vllm:prompt_tokens_created",   "vllm:generation_tokens_created",
    "vllm:request_success_created", "vllm:prefix_cache_hits_created",
};

// Histograms are most of a real page.
static void add_histogram(struct buf *b, const char *name, int engine)
{
    buf_printf(b, "# HELP vllm:%s Histogram of something in seconds.\n# TYPE vllm:%s histogram\n",
               name, name);
    for (int i = 0; i < 40; i++) {
        buf_printf(b,
                   "vllm:%s_bucket{engine=\"%d\",le=\"%g\",model_name=\"Qwen/Qwen3-0.6B\"} %d.0\n",
                   name, engine, 0.001 * (1 << i % 20), i * 10007);
    }
}

// A page of at least so many bytes; the engines on it.
static int generate(struct buf *b, size_t bytes)
{
    static const char *const histograms[] = {
        "time_to_first_token_seconds", "inter_token_latency_seconds", "request_prompt_tokens",
        "e2e_request_latency_seconds", "request_generation_tokens",   "iteration_tokens_total",
    };
    int engine = 0;
    for (; b->n < bytes; engine++) {
        for (size_t i = 0; i < COUNTERS_SAID; i++) {
            buf_printf(b, "%s{engine=\"%d\",model_name=\"Qwen/Qwen3-0.6B\"} 8.128902e+06\n",
                       counters[i], engine);
        }
        for (size_t i = 0; i < ARRAY_LEN(histograms); i++) {
            add_histogram(b, histograms[i], engine);
        }
    }
    return engine;
}

// ---- the readers: each says how much it found ----------------------------------------------

static int64_t read_words(struct str page)
{
    uint64_t total = 0, word;
    for (size_t i = 0; i + sizeof(word) <= page.n; i += sizeof(word)) {
        memcpy(&word, page.p + i, sizeof(word));
        total += word;
    }
    sum += (double)total;
    return (int64_t)(page.n / sizeof(word));
}

static int64_t read_newlines(struct str page)
{
    int64_t found = 0;
    const char *end = page.p + page.n;
    for (const char *at = page.p; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++) {
        found++;
    }
    return found;
}

static int64_t read_samples(struct str page, const struct exposition_names *names)
{
    int64_t found = 0;
    struct exposition e;
    exposition_init(&e, page, names);
    for (struct exposition_sample s; exposition_next(&e, &s); found++) {
        sum += s.value;
    }
    return found;
}

static int64_t read_wanted(struct str page)
{
    return read_samples(page, &wanted);
}

static int64_t read_every(struct str page)
{
    return read_samples(page, NULL);
}

static const struct reader {
    const char *name;
    int64_t (*read)(struct str page);
} readers[] = {
    {"words", read_words},
    {"memchr", read_newlines},
    {"gtap, wanted counters", read_wanted},
    {"gtap, every line", read_every},
};

// ---- measuring -----------------------------------------------------------------------------

static void measure_round(const struct reader *reader, struct str page)
{
    struct spent spent = {0};
    spent_begin(&spent);
    int64_t found = reader->read(page);
    spent_end(&spent);
    printf("{\"reader\": \"%s\", \"bytes\": %zu, \"found\": %" PRId64 ", \"cpu_s\": %.9f, "
           "\"wall_s\": %.9f}\n",
           reader->name, page.n, found, spent.cpu_s, spent.wall_s);
}

static void want_counters(void)
{
    for (uint32_t i = 0; i < ARRAY_LEN(counters); i++) {
        if (exposition_want(&wanted, counters[i], i) < 0) {
            give_up("cannot want %s", counters[i]);
        }
    }
}

int main(int argc, char **argv)
{
    size_t bytes = (size_t)argument(argc, argv, 1);
    int64_t rounds = argument(argc, argv, 2);
    struct buf page;
    buf_init(&page, bytes + ENGINE_MOST);
    int engines = generate(&page, bytes);
    want_counters();
    if (read_wanted(buf_view(&page)) != (int64_t)engines * COUNTERS_SAID) {
        give_up("not all counters on the page were found");
    }
    for (int64_t i = 0; i < rounds * (int64_t)ARRAY_LEN(readers); i++) {
        measure_round(&readers[i % (int64_t)ARRAY_LEN(readers)], buf_view(&page));
    }
    buf_done(&page);
    return isfinite(sum) ? EXIT_SUCCESS : EXIT_FAILURE;
}
