// Fills two topics with the records that it reads from standard input, one a line.
//
//     kafka_fill BROKERS METRIC_TOPIC USAGE_TOPIC
//
// Records go in the order they come, keyed by host: samples to one topic, token usage to the other.
#include <inttypes.h>

#include "base/alloc.h"
#include "kafka.h"

struct filled {
    int64_t n[2], bytes; // samples, usages
};

static void fill(rd_kafka_t *rk, const char *const topics[2], struct filled *f)
{
    char *line AUTO_FREE = NULL;
    size_t cap = 0;
    for (ssize_t n; (n = getline(&line, &cap, stdin)) > 0;) {
        struct str value = {line, (size_t)n - (line[n - 1] == '\n')};
        int kind = is_usage(value);
        produce(rk, topics[kind], host_of(value), value);
        f->bytes += (int64_t)value.n;
        if ((++f->n[kind] & 1023) == 0) {
            rd_kafka_poll(rk, 0);
        }
    }
}

int main(int argc, char **argv)
{
    struct filled f = {0};
    if (argc != 4) {
        give_up("see the head of bench/kafka_fill.c for its arguments");
    }
    const char *const topics[2] = {argv[2], argv[3]};
    rd_kafka_t *rk = producer_new(argv[1], "20");
    fill(rk, topics, &f);
    producer_done(rk);
    printf("{\"samples\": %" PRId64 ", \"usages\": %" PRId64 ", \"bytes\": %" PRId64 "}\n", f.n[0],
           f.n[1], f.bytes);
    return 0;
}
