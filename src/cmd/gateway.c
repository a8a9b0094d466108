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
                    "what is taken: http: is POST /v1/events, otlp: is POST /v1/traces (default: "
                    "http:)",
                    "where to listen; 127.0.0.1:8080 without being told"),
    {0},
};

static int run(struct cli *cli, const void *given)
{
    const struct options *o = given;
    static const char *const inputs[] = {"http:"};
    bool named = o->in.n > 0;
    const struct sending s = {&o->kafka, &o->sending, &o->serving};
    return send_records(cli, &s, named ? o->in.items : inputs, named ? o->in.n : 1);
}

const struct command command_gateway = {
    .name = "gateway",
    .args = "",
    .summary = "take records over HTTP and send them to Kafka",
    .about =
        "Serves POST /v1/events for those who may not reach Kafka themselves. An answer comes once "
        "the\nrecords are safe, and says where: \"stored\":\"kafka\", or \"spool\" while Kafka is "
        "away. When there is\nroom in neither, or somebody asks too often, the answer is 429 with "
        "Retry-After.",
    .examples = "gtap gateway -b kafka:9092 --listen :8080 --api-token-file token\n"
                "gtap gateway -b kafka:9092 --listen :8443 --tls-cert cert.pem --tls-key key.pem "
                "--request-rate 50",
    .options = options,
    .size = sizeof(struct options),
    .run = run,
};
