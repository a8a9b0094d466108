// What reading a page of metrics costs, beside what reading memory costs: gtap's cursor looking for
// a server's counters, and taking every line apart, against memchr() finding the lines and a sum
// over the page's words, in one run over the same made-up page of vLLM's names.
//
//     exposition [bytes [rounds]]
//
// Prints the best round of each; rounds alternate between the readers.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/decimal.h"
#include "base/time.h"
#include "input/exposition.h"

enum { BYTES = 400000, ROUNDS = 400 };

static struct exposition_names wanted;
static volatile uint64_t sink;

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

static void generate(struct buf *b, size_t bytes)
{
    static const char *const histograms[] = {
        "time_to_first_token_seconds", "inter_token_latency_seconds", "request_prompt_tokens",
        "e2e_request_latency_seconds", "request_generation_tokens",   "iteration_tokens_total",
    };
    for (int engine = 0; b->n + 30000 < bytes; engine++) {
        for (size_t i = 0; i + 6 < ARRAY_LEN(counters) + 1; i++) {
            buf_printf(b, "%s{engine=\"%d\",model_name=\"Qwen/Qwen3-0.6B\"} 8.128902e+06\n",
                       counters[i], engine);
        }
        for (size_t i = 0; i < ARRAY_LEN(histograms); i++) {
            add_histogram(b, histograms[i], engine);
        }
    }
}

struct reader {
    const char *name;
    void (*read)(struct str page);
};

static void read_words(struct str page)
{
    uint64_t sum = 0, word;
    for (size_t i = 0; i + sizeof(word) <= page.n; i += sizeof(word)) {
        memcpy(&word, page.p + i, sizeof(word));
        sum += word;
    }
    sink += sum;
}

static void read_newlines(struct str page)
{
    const char *at = page.p, *end = page.p + page.n;
    for (; at; sink++) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
}

static void read_samples(struct str page, const struct exposition_names *names)
{
    struct exposition e;
    exposition_init(&e, page, names);
    for (struct exposition_sample s; exposition_next(&e, &s);) {
        sink += (uint64_t)s.value;
    }
}

static void read_wanted(struct str page)
{
    read_samples(page, &wanted);
}

static void read_every(struct str page)
{
    read_samples(page, NULL);
}

static const struct reader readers[] = {
    {"sum of the words", read_words},
    {"memchr, lines only", read_newlines},
    {"gtap, counters wanted", read_wanted},
    {"gtap, every line", read_every},
};

static int64_t time_round(const struct reader *reader, struct str page)
{
    struct mono start = clock_mono(&clock_system);
    reader->read(page);
    return clock_mono(&clock_system).ns - start.ns;
}

static void measure(struct str page, int64_t rounds)
{
    int64_t best[ARRAY_LEN(readers)];
    for (int64_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
            int64_t ns = time_round(&readers[i], page);
            best[i] = round == 0 ? ns : MIN(best[i], ns);
        }
    }
    printf("%-22s %9s %9s\n", "", "us", "MB/s");
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        printf("%-22s %9.1f %9.0f\n", readers[i].name, (double)best[i] / 1e3,
               (double)page.n / (double)best[i] * 1e3);
    }
}

static int64_t argument(int argc, char **argv, int i, int64_t otherwise)
{
    int64_t v;
    return i < argc && decimal_parse(str_of(argv[i]), 0, &v) == 0 && v > 0 ? v : otherwise;
}

int main(int argc, char **argv)
{
    size_t bytes = (size_t)argument(argc, argv, 1, BYTES);
    struct buf page;
    buf_init(&page, 2 * bytes + (1 << 20));
    generate(&page, bytes);
    for (uint32_t i = 0; i < ARRAY_LEN(counters); i++) {
        if (exposition_want(&wanted, counters[i], i) < 0) {
            return EXIT_FAILURE;
        }
    }
    printf("a page of %zu bytes\n", page.n);
    measure(buf_view(&page), argument(argc, argv, 2, ROUNDS));
    buf_done(&page);
    return EXIT_SUCCESS;
}
