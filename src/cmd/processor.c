#include <stdlib.h>

#include "cmd/kafka_options.h"
#include "cmd/metering.h"
#include "cmd/running.h"
#include "cmd/stop.h"
#include "kafka/client.h"
#include "output/letters.h"

#define DLQ_DEFAULT "gtap.dlq.v1"
#define MONGODB_DEFAULT "mongodb://127.0.0.1:27017/gtap"
// What has come is stored as soon as the writer is free: who waits, waits for milliseconds.
#define COMMIT_INTERVAL_NS (5 * NS_PER_MS)

// What waits for us waits 25 s, while one call of the store may take 30 s.
#define STOP_LIMIT_S 24
#define STOPPED                                                                                    \
    "gtap: stopped in the middle of a write, or while leaving the group, as that took too long; "  \
    "what was read and not stored was not acknowledged, and comes again\n"

enum { URI_TEXT_MAX = 4096, LISTEN_MAX = 300, ADMIN_MS = 30000 };

struct options {
    struct common common;
    struct kafka_options kafka;
    const char *store, *group, *assume_host, *dlq, *host, *port;
    bool create_topics, until_end, json;
    int64_t partitions, replication;
    struct metering_options metering;
    struct serving_options serving;
};

#define AT(member) offsetof(struct options, member)

static const struct option options[] = {
    OPTIONS_KAFKA(struct options),
    {.name = "store",
     .letter = 's',
     .type = OPTION_TEXT,
     .offset = AT(store),
     .value = "URI",
     .help = "where records and costs are kept",
     .fallback = MONGODB_DEFAULT,
     .key = STORE_KEY,
     .shared = true,
     .env = "MONGODB_URI MONGO_URL MONGO_URI",
     .secrecy = OPTION_URI_SECRET},
    {.name = "group",
     .type = OPTION_TEXT,
     .offset = AT(group),
     .value = "NAME",
     .help = "the consumer group: processors of one group share the partitions",
     .fallback = "processor",
     .key = "group"},
    {.name = "assume-host",
     .type = OPTION_TEXT,
     .offset = AT(assume_host),
     .value = "NAME",
     .help =
         "the host of messages that name none; without it such requests have no place, and such "
         "samples are dead letters",
     .key = "assume-host"},
    {.name = "dlq-topic",
     .type = OPTION_TEXT,
     .offset = AT(dlq),
     .value = "TOPIC",
     .help = "where dead letters go as well; empty: nowhere",
     .fallback = DLQ_DEFAULT,
     .key = "dlq-topic"},
    {.name = "create-topics",
     .type = OPTION_FLAG,
     .offset = AT(create_topics),
     .help = "create the topics that there are not",
     .key = "create-topics"},
    {.name = "partitions",
     .type = OPTION_INT,
     .offset = AT(partitions),
     .value = "N",
     .help = "of topics that are created",
     .fallback = "12",
     .key = "partitions",
     .least = 1,
     .most = 4096},
    {.name = "replication-factor",
     .type = OPTION_INT,
     .offset = AT(replication),
     .value = "N",
     .help = "of topics that are created; 0: as the brokers are told",
     .fallback = "0",
     .key = "replication-factor",
     .most = 100},
    {.name = "until-end",
     .type = OPTION_FLAG,
     .offset = AT(until_end),
     .help = "stop at what the topics end with now, with everything final",
     .key = "until-end"},
    OPTIONS_METERING(struct options),
    OPTIONS_SERVING(
        struct options,
        "serve /metrics, /ready, /health and /gpu/info there (default: HOST and PORT, else "
        "127.0.0.1:8080)"),
    {.name = "host",
     .type = OPTION_TEXT,
     .offset = AT(host),
     .value = "ADDRESS",
     .help = "the address of --listen alone",
     .fallback = "127.0.0.1",
     .key = "host",
     .env = "HOST"},
    {.name = "port",
     .type = OPTION_TEXT,
     .offset = AT(port),
     .value = "PORT",
     .help = "its port alone",
     .fallback = "8080",
     .key = "port",
     .env = "PORT"},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = AT(json),
     .help = "at the end, print what was done as JSON"},
    {0},
};

static bool has_dlq(const struct options *o)
{
    return o->dlq && *o->dlq;
}

// All topics, the one of dead letters too. One partition suffices for that, but nothing is gained.
static int create_topics(struct cli *cli, const struct options *o, const struct kafka_settings *s)
{
    const struct kafka_plan plan = {NULL, NULL};
    const char *topics[3];
    size_t n = kafka_options_topics(&o->kafka, topics), created = 0;
    rd_kafka_conf_t *conf;
    rd_kafka_t *rk = NULL;
    struct error err;
    if (has_dlq(o)) {
        topics[n++] = o->dlq;
    }
    struct kafka_log *log = kafka_log_new(NULL);
    int r = kafka_conf_new(s, &plan, o->kafka.bootstrap, log, &conf, &err);
    r = r < 0 ? r : kafka_client_new(RD_KAFKA_PRODUCER, conf, &rk, &err);
    r = r < 0 ? r
              : kafka_topics_create(rk, topics, n, (int)o->partitions, (int)o->replication,
                                    ADMIN_MS, &created, &err);
    if (!rk || kafka_client_destroy(rk, ADMIN_MS)) {
        kafka_log_free(log);
    }
    if (r == 0 && created > 0) {
        char text[64];
        snprintf(text, sizeof(text), "created %zu topic%s", created, created == 1 ? "" : "s");
        cli_note(cli, text);
    }
    return r < 0 ? cli_fail(cli, &err) : 0;
}

static int publish(void *ctx, const struct dead_letter *v, size_t n, struct error *err)
{
    return letters_publish(ctx, v, n, err);
}

static int open_letters(struct cli *cli, const struct options *o, const struct kafka_settings *s,
                        struct letters **ret, struct run_config *c)
{
    struct error err;
    if (!has_dlq(o)) {
        return 0;
    }
    if (letters_open(o->kafka.bootstrap, o->dlq, s, ret, &err) < 0) {
        return cli_fail(cli, &err);
    }
    c->letters.publish = publish;
    c->letters.ctx = *ret;
    return 0;
}

static int process(struct cli *cli, const struct options *o, const struct kafka_settings *s,
                   const char *input)
{
    char listen[LISTEN_MAX];
    struct letters *letters = NULL;
    struct serving_options serving = o->serving;
    struct run_config c = {
        .inputs = &input,
        .n_inputs = 1,
        .output = o->store,
        .until_end = o->until_end,
        .commit_interval_ns = COMMIT_INTERVAL_NS,
        .wait_for_store = true,
        .env = {.kafka = s},
    };
    int status = metering_configure(cli, &o->metering, &c);
    stop_within(STOP_LIMIT_S, STOPPED);
    if (status == 0 && o->create_topics) {
        status = create_topics(cli, o, s);
    }
    if (status == 0) {
        status = open_letters(cli, o, s, &letters, &c);
    }
    if (status == 0) {
        bool bare_ipv6 = strchr(o->host, ':') && o->host[0] != '[';
        snprintf(listen, sizeof(listen), bare_ipv6 ? "[%s]:%s" : "%s:%s", o->host, o->port);
        serving.listen = serving.listen ? serving.listen : listen;
        status = run_and_report(cli, &c, &(struct run_options){&serving, o->json});
    }
    letters_close(letters);
    return status;
}

static int run(struct cli *cli, const void *given)
{
    const struct options *o = given;
    struct kafka_settings settings;
    struct buf input;
    int status = kafka_options_settings(cli, &o->kafka, &settings);
    if (status != 0) {
        return status;
    }
    buf_init(&input, URI_TEXT_MAX);
    status = kafka_options_uri(cli, &o->kafka, &input);
    if (status == 0) {
        kafka_uri_option(&input, "group", o->group);
        kafka_uri_option(&input, "host", o->assume_host);
        kafka_uri_option(&input, "until", o->until_end ? "end" : NULL);
        status = buf_ok(&input)
                     ? process(cli, o, &settings, input.p)
                     : cli_misuse(cli, "brokers, topics and group are too long together");
    }
    buf_done(&input);
    kafka_settings_done(&settings);
    return status;
}

const struct command command_processor = {
    .name = "processor",
    .args = "",
    .summary = "meter what comes from Kafka into MongoDB",
    .about =
        "Reads GPU samples and token usage from Kafka, computes costs as gtap run does, and keeps "
        "records and\ncosts in MongoDB. Start as many as there are partitions: they share them, "
        "and "
        "take over from each\nother. Offsets move only once records are stored; a processor may be "
        "killed at any moment. Brokers\nand database may be away: it waits for them. SIGTERM "
        "drains "
        "within 25 s, a second one ends it at once.",
    .examples =
        "gtap processor --bootstrap kafka:9092 --store mongodb://mongo:27017/gtap "
        "--create-topics\n"
        "KAFKA_BOOTSTRAP=kafka:9092 MONGODB_URI_FILE=/run/secrets/mongodb gtap processor\n"
        "KAFKA_TOPIC=tokens gtap processor --assume-host vm4   # one topic, hosts not named",
    .options = options,
    .size = sizeof(struct options),
    .run = run,
};
