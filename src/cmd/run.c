#include "cmd/kafka_options.h"
#include "cmd/metering.h"
#include "cmd/running.h"

#define COMMIT_INTERVAL_NS NS_PER_S

struct options {
    struct common common;
    struct text_list in;
    const char *store;
    bool until_end, json;
    int64_t shards;
    struct metering_options metering;
    struct serving_options serving;
};

#define AT(member) offsetof(struct options, member)

static const struct option options[] = {
    {.name = "in",
     .letter = 'i',
     .type = OPTION_LIST,
     .offset = AT(in),
     .value = "URI",
     .help = "where records come from; may be given several times",
     .key = "in",
     .secrecy = OPTION_URI_SECRET},
    {.name = "out",
     .letter = 'o',
     .type = OPTION_TEXT,
     .offset = AT(store),
     .value = "URI",
     .help = "the store, or null: or stdout: to pass records through",
     .fallback = STORE_DEFAULT,
     .key = STORE_KEY,
     .shared = true,
     .secrecy = OPTION_URI_SECRET},
    {.name = "until-end",
     .type = OPTION_FLAG,
     .offset = AT(until_end),
     .help = "stop when the finite inputs are exhausted and everything is final",
     .key = "until-end"},
    OPTIONS_METERING(struct options),
    {.name = "shards",
     .type = OPTION_INT,
     .offset = AT(shards),
     .value = "N",
     .help = "engines to spread the hosts over; fixed once records are stored; 0: as stored",
     .fallback = "0",
     .key = "shards",
     .most = 4096},
    OPTIONS_SERVING(
        struct options,
        "serve /metrics, /ready, /health and /gpu/info there; with the inputs http: and "
        "otlp: 127.0.0.1:8080 without being told"),
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = AT(json),
     .help = "at the end, print what was done as JSON"},
    {0},
};

// Of variables alone: what else there is to say about Kafka stands in the URI. They are not looked
// at, and not complained about, in runs without.
static int read_kafka(struct cli *cli, const struct options *o, struct kafka_settings *ret)
{
    bool uses = str_starts(str_of(o->store), STR("kafka:"));
    for (size_t i = 0; i < o->in.n; i++) {
        uses = uses || str_starts(str_of(o->in.items[i]), STR("kafka:"));
    }
    *ret = (struct kafka_settings){0};
    return uses ? kafka_options_settings(cli, &(struct kafka_options){0}, ret) : 0;
}

static int run(struct cli *cli, const void *given)
{
    const struct options *o = given;
    if (o->in.n == 0) {
        return cli_misuse(cli, "there is no input: gtap run --in URI");
    }
    struct run_config c = {
        .inputs = o->in.items,
        .n_inputs = o->in.n,
        .output = o->store,
        .shards = (uint32_t)o->shards,
        .until_end = o->until_end,
        .commit_interval_ns = COMMIT_INTERVAL_NS,
    };
    struct kafka_settings kafka;
    int status = metering_configure(cli, &o->metering, &c);
    status = status != 0 ? status : read_kafka(cli, o, &kafka);
    if (status != 0) {
        return status;
    }
    c.env.kafka = &kafka;
    status = run_and_report(cli, &c, &(struct run_options){&o->serving, o->json});
    kafka_settings_done(&kafka);
    return status;
}

const struct command command_run = {
    .name = "run",
    .args = "",
    .summary = "meter: read records, compute costs, store both",
    .about =
        "Reads GPU samples and token usage from its inputs, shares every GPU's price out over the "
        "requests\nthat ran on it, and stores records and costs. It can be stopped at any moment, "
        "even killed: the\nsame command goes on where it stopped. Options about costs hold from "
        "then on and are kept in the\nstore; those not given stay as the store has them. SIGINT "
        "and SIGTERM end it in order, a second\none at once.",
    .examples = "gtap run --in file:day.ndjson.zst --until-end\n"
                "gtap run --in synthetic: --price 2.95          # a made-up load, to look around\n"
                "gtap run --in 'trace:azure.csv?gpus=8&price=2.5' --out sqlite:t.db --until-end",
    .options = options,
    .size = sizeof(struct options),
    .run = run,
};
