#include "cmd/sending.h"

struct options {
    struct common common;
    struct text_list in;
    struct kafka_options kafka;
    struct sending_options sending;
    struct serving_options serving;
};

static const struct option options[] = {
    OPTIONS_SENDING(struct options,
                    "where records come from; may be given several times (default: gpu:, or "
                    "synthetic: where RATE, BATCH or SLEEP_SEC is set)",
                    "serve /metrics, /ready and /health there"),
    {0},
};

// The mission's producers are told how much to make up, or else are on a machine with GPUs.
static const char *default_input(const struct cli *cli)
{
    static const char *const names[] = {"RATE", "BATCH", "SLEEP_SEC"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *value = cli->getenv(names[i]);
        if (value && *value) {
            return "synthetic:";
        }
    }
    return "gpu:";
}

static int run(struct cli *cli, const void *given)
{
    const struct options *o = given;
    const char *inputs[] = {default_input(cli)};
    bool named = o->in.n > 0;
    const struct sending s = {&o->kafka, &o->sending, &o->serving};
    return send_records(cli, &s, named ? o->in.items : inputs, named ? o->in.n : 1);
}

const struct command command_agent = {
    .name = "agent",
    .args = "",
    .summary = "send GPU samples and token usage to Kafka",
    .about =
        "Reads from its inputs, by default this machine's GPUs, and sends every record to Kafka, "
        "keyed by\nhost. While Kafka is away records wait in the spool, a bounded queue on disk, "
        "also over a restart\nor a crash, and are sent in order when it is back. SIGINT and "
        "SIGTERM end it in order.",
    .examples = "gtap agent --bootstrap kafka-1:9092,kafka-2:9092\n"
                "gtap agent -b kafka:9092 --in gpu: --in vllm+http://127.0.0.1:8000/metrics\n"
                "RATE=500 KAFKA_BOOTSTRAP=kafka:9092 gtap agent  # a made-up load",
    .options = options,
    .size = sizeof(struct options),
    .run = run,
};
