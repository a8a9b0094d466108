// Opening a kafka: input: options, the client, topics that pair up.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "base/alloc.h"
#include "input/kafka_impl.h"

enum { LOOK_MS = 500, SHARDS_MAX = 4096, GROUP_BYTES_MAX = 249 };

#define OFFSETS_WHY "offsets are committed when what was read is stored, never from a timer"
#define LOG_WHY "gtap takes librdkafka's messages itself"

// Measured; see docs/inputs/kafka.md.
static const struct kafka_value defaults[] = {
    {"check.crcs", "true", NULL},
    {"fetch.wait.max.ms", "100", NULL},
    {"queued.min.messages", "10000", NULL},
    // Of each partition: for some 10 ms of a busy one. That it is filled again in time is seen to
    // by kafka_read.c.
    {"queued.max.messages.kbytes", "256", NULL},
    // What a full queue may be overshot by, compressed: JSON is four to eight times that, and as
    // much again around its messages, of each partition.
    {"fetch.message.max.bytes", "65536", NULL},
    {"allow.auto.create.topics", "false", NULL},
    {NULL, NULL, NULL},
};

static const struct kafka_value forced[] = {
    {"group.id", NULL, "it is group= of the URI"},
    {"enable.auto.commit", "false", OFFSETS_WHY},
    {"auto.commit.enable", "false", OFFSETS_WHY},
    {"enable.auto.offset.store", "false", OFFSETS_WHY},
    {"auto.offset.reset", "earliest", "anything else would pass over messages unseen"},
    {"partition.assignment.strategy", "range",
     "with any other, a host's samples and usage would go to different processors"},
    {"enable.partition.eof", "true", "gtap must know when it has read everything"},
    {"log.queue", "false", LOG_WHY},
    {NULL, NULL, NULL},
};

static const char *const default_topics[] = {"gpu.metrics.v1", "token.usage.v1"};

static int read_options(struct kafka_input *k, struct error *err)
{
    const struct uri *uri = k->base.uri;
    struct str group = uri_option(uri, "group"), until = uri_option(uri, "until");
    k->host = uri_option(uri, "host");
    k->group = str_present(group) ? group.p : "processor";
    k->until_end = str_present(until);
    if (str_present(group) && (group.n == 0 || group.n > GROUP_BYTES_MAX)) {
        return error_set(err, -EINVAL, "kafka: group= is a name of up to %d bytes",
                         GROUP_BYTES_MAX);
    }
    if (str_present(k->host) && (k->host.n == 0 || k->host.n > RECORD_TEXT_MAX)) {
        return error_set(err, -EINVAL, "kafka: host= is a name of up to %d bytes", RECORD_TEXT_MAX);
    }
    if (k->until_end && !str_eq(until, STR("end"))) {
        return error_set(err, -EINVAL, "kafka: until=" STR_FMT " is not known: there is until=end",
                         STR_ARG(until));
    }
    kafka_settings_copy(&k->settings, k->base.env->kafka);
    int r = kafka_settings_uri(&k->settings, uri, err);
    r = r < 0 ? r : kafka_target_read(uri, &k->settings, &k->arena, &k->target, err);
    if (r == 0 && k->target.n_topics == 0) {
        memcpy(k->target.topics, default_topics, sizeof(default_topics));
        k->target.n_topics = ARRAY_LEN(default_topics);
    }
    k->n_topics = (uint32_t)k->target.n_topics;
    return r;
}

static void wake_by(rd_kafka_queue_t *queue, int fd)
{
    static const uint64_t one = 1;
    rd_kafka_queue_io_event_enable(queue, fd, &one, sizeof(one));
}

static int start_client(struct kafka_input *k, struct error *err)
{
    const struct kafka_plan plan = {defaults, forced};
    rd_kafka_conf_t *conf;
    k->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (k->wake < 0) {
        return error_set(err, -errno, "kafka: eventfd: %s", error_name(-errno));
    }
    k->log = kafka_log_new(k);
    int r = kafka_conf_new(&k->settings, &plan, k->target.bootstrap, k->log, &conf, err);
    if (r < 0) {
        return r;
    }
    k->session_ns = kafka_conf_i64(conf, "session.timeout.ms", 45000) * NS_PER_MS;
    kafka_group_attach(conf);
    r = kafka_conf_set(conf, "group.id", k->group, err);
    if (r < 0) {
        rd_kafka_conf_destroy(conf);
        return r;
    }
    r = kafka_client_new(RD_KAFKA_CONSUMER, conf, &k->rk, err);
    if (r < 0) {
        return r;
    }
    rd_kafka_poll_set_consumer(k->rk);
    k->main = rd_kafka_queue_get_consumer(k->rk);
    k->commits = rd_kafka_queue_new(k->rk);
    wake_by(k->main, k->wake);
    wake_by(k->commits, k->wake);
    return 0;
}

// ---- topics ------------------------------------------------------------------------------------

static bool is_stopping(const struct kafka_input *k)
{
    struct pollfd p = {.fd = k->base.env->stop_fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

// What brokers say to us as a client, such as that the password is wrong.
static int client_trouble(struct kafka_input *k, struct error *err)
{
    struct kafka_trouble trouble;
    rd_kafka_message_t *m = rd_kafka_consumer_poll(k->rk, 0);
    if (m) {
        rd_kafka_message_destroy(m);
    }
    kafka_log_trouble(k->log, &trouble);
    return kafka_is_permanent(trouble.code)
               ? kafka_error(err, trouble.code, "kafka: %s", trouble.text)
               : 0;
}

// Brokers may be away when we start: that is waited for. What no waiting helps is an error.
static int ask(struct kafka_input *k, int (*what)(struct kafka_input *k, struct error *err),
               struct error *err)
{
    for (;;) {
        int r = what(k, err);
        if (r == 0 || r == -ENOENT || !err->retryable) {
            return r;
        }
        struct error trouble;
        r = client_trouble(k, &trouble);
        if (r < 0) {
            *err = trouble;
            return r;
        }
        if (is_stopping(k)) {
            error_prefix(err, "stopped while waiting for Kafka");
            return err->code = -ECANCELED;
        }
        poll(NULL, 0, 100);
    }
}

static int look_at_topics(struct kafka_input *k, struct error *err)
{
    int32_t first = 0, n = 0;
    for (uint32_t t = 0; t < k->n_topics; t++) {
        const char *name = k->target.topics[t];
        int r = kafka_topic_partitions(k->rk, name, LOOK_MS, &n, err);
        if (r == -ENOENT) {
            error_set(err, -ENOENT,
                      "kafka: there is no topic '%s' that this user may read: create it with gtap "
                      "processor --create-topics, or kafka-topics.sh --create --topic %s "
                      "--partitions %d",
                      name, name, first > 0 ? (int)first : 12);
        }
        if (r < 0) {
            return r;
        }
        first = t == 0 ? n : first;
        if (n != first) {
            return error_set(err, -EINVAL,
                             "kafka: topic '%s' has %d partitions, '%s' has %d: give them the same "
                             "number (kafka-topics.sh --alter --topic %s --partitions %d), or a "
                             "host's samples and usage do not meet",
                             k->target.topics[0], (int)first, name, (int)n,
                             n > first ? k->target.topics[0] : name, (int)MAX(n, first));
        }
    }
    if (first > SHARDS_MAX) {
        return error_set(err, -EINVAL, "kafka: %d partitions are more than %d", (int)first,
                         SHARDS_MAX);
    }
    k->n_shards = (uint32_t)first;
    return 0;
}

static int look_at_ends(struct kafka_input *k, struct error *err)
{
    for (uint32_t i = 0; i < k->n_topics * k->n_shards; i++) {
        struct kafka_part *p = &k->parts[i];
        const char *topic = k->target.topics[p->topic];
        int64_t low, high;
        rd_kafka_resp_err_t code =
            rd_kafka_query_watermark_offsets(k->rk, topic, (int32_t)p->shard, &low, &high, LOOK_MS);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return kafka_error(err, code, "kafka: the end of %s [%u] is not told", topic, p->shard);
        }
        p->end = high > low ? high : 0; // an empty one is read
    }
    return 0;
}

static void make_parts(struct kafka_input *k)
{
    k->parts = x_array((size_t)k->n_topics * k->n_shards, sizeof(k->parts[0]));
    k->owned = x_array(k->n_shards, sizeof(k->owned[0]));
    for (uint32_t t = 0; t < k->n_topics; t++) {
        for (uint32_t s = 0; s < k->n_shards; s++) {
            struct kafka_part *p = kafka_part_of(k, t, s);
            p->topic = t;
            p->shard = s;
            p->last = &p->first;
            atomic_store(&p->committed, KAFKA_UNKNOWN);
            atomic_store(&p->high, KAFKA_UNKNOWN);
        }
    }
}

static int subscribe(struct kafka_input *k, struct error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)k->n_topics);
    for (uint32_t t = 0; t < k->n_topics; t++) {
        rd_kafka_topic_partition_list_add(list, k->target.topics[t], RD_KAFKA_PARTITION_UA);
    }
    rd_kafka_resp_err_t code = rd_kafka_subscribe(k->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? kafka_error(err, code, "kafka: cannot subscribe") : 0;
}

static void describe(struct kafka_input *k)
{
    struct input_info *info = &k->base.info;
    struct buf topics;
    buf_init(&topics, INPUT_ABOUT_MAX);
    for (uint32_t t = 0; t < k->n_topics; t++) {
        buf_printf(&topics, "%s%s", t ? ", " : "", k->target.topics[t]);
    }
    *info = (struct input_info){
        .name = "kafka:",
        .finite = k->until_end,
        .total = -1,
        .n_shards = k->n_shards,
        .keeps_position = true,
    };
    snprintf(info->about, sizeof(info->about), "%.60s of %.50s: %u partitions, group %.20s",
             buf_view(&topics).p, k->target.bootstrap, k->n_shards, k->group);
    buf_done(&topics);
}

int kafka_set_up(struct kafka_input *k, struct error *err)
{
    int r = read_options(k, err);
    r = r < 0 ? r : start_client(k, err);
    r = r < 0 ? r : kafka_forward_init(k, err);
    r = r < 0 ? r : ask(k, look_at_topics, err);
    if (r < 0) {
        return r;
    }
    make_parts(k);
    r = k->until_end ? ask(k, look_at_ends, err) : 0;
    r = r < 0 ? r : subscribe(k, err);
    if (r == 0) {
        k->who.left_at = KAFKA_UNKNOWN;
        atomic_store(&k->health.polled, kafka_now(k).ns);
        k->next_recommit.ns = kafka_now(k).ns + 300 * NS_PER_S;
        describe(k);
    }
    return r;
}
