// kafka://HOST:PORT[,...][/TOPIC | /GPU_TOPIC,TOKEN_TOPIC]; see docs/outputs/kafka.md.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "output/kafka/kafka.h"

#define PATIENCE_NS (3 * NS_PER_S) // for Kafka, before the spool is used
#define TEXT_KEPT ((size_t)256 << 10)
#define TEXT_MAX ((size_t)256 << 20) // a batch is much less; see input/input.h

static const char *const topics_default[] = {"gpu.metrics.v1", "token.usage.v1"};

// ---- writing ---------------------------------------------------------------------------------

static void add_messages(struct kafka_sink *s, const struct record *records, size_t n)
{
    size_t *ends = x_array(n, sizeof(ends[0]));
    for (size_t i = 0; i < n; i++) {
        message_put(&records[i], &s->text);
        ends[i] = s->text.n;
    }
    if (s->cap_messages < n) {
        s->messages = x_realloc_array(s->messages, n, sizeof(s->messages[0]));
        s->cap_messages = n;
    }
    for (size_t i = 0, at = 0; i < n; at = ends[i++]) {
        (void)message_read((struct str){s->text.p + at, ends[i] - at}, &s->messages[i]);
    }
    free(ends);
}

static size_t count_open(const struct message *m, size_t n)
{
    size_t open = 0;
    for (size_t i = 0; i < n; i++) {
        open += m[i].fate == MESSAGE_OPEN;
    }
    return open;
}

static void send_within(struct kafka_sink *s, struct message *m, size_t n, int64_t until)
{
    courier_submit(s->courier, m, n);
    if (!courier_wait(s->courier, until - clock_mono(&clock_system).ns)) {
        courier_take_back(s->courier);
    }
}

// True: all of them are there, or will never be.
static bool send_directly(struct kafka_sink *s, size_t n)
{
    int64_t patience = s->base.env->patience_ns > 0 ? s->base.env->patience_ns : PATIENCE_NS;
    int64_t until = clock_mono(&clock_system).ns + patience;
    send_within(s, s->messages, n, until);
    for (size_t i = 0; i < n; i++) { // those that were too long in company
        if (s->messages[i].fate == MESSAGE_OPEN && s->messages[i].alone) {
            send_within(s, &s->messages[i], 1, until);
        }
    }
    bool done = count_open(s->messages, n) == 0;
    if (done) {
        sink_report(&s->base, NULL);
    }
    keep_refused(s, s->messages, n);
    return done;
}

static int put_into_spool(struct kafka_sink *s, size_t n, struct error *err)
{
    size_t open = 0;
    struct str *payloads = x_array(n, sizeof(payloads[0]));
    for (size_t i = 0; i < n; i++) {
        const struct message *m = &s->messages[i];
        if (m->fate == MESSAGE_OPEN) {
            payloads[open++] = m->payload;
        }
    }
    int r = spool_append(s->spool, payloads, open, err);
    free(payloads);
    if (r < 0) {
        sink_report(&s->base, err);
        err->code = r == -EMSGSIZE ? r : -EAGAIN;
        return err->code;
    }
    drainer_wake(s);
    return 0;
}

static bool goes_directly(struct kafka_sink *s)
{
    pthread_mutex_lock(&s->lock);
    bool directly = !s->draining;
    pthread_mutex_unlock(&s->lock);
    return directly;
}

static int write_messages(struct kafka_sink *s, size_t n, enum sink_place *ret, struct error *err)
{
    *ret = SINK_KAFKA;
    if (goes_directly(s)) {
        if (send_directly(s, n)) {
            return 0;
        }
        courier_trouble(s->courier, err);
        sink_report(&s->base, err);
        if (!s->spool) {
            return -EAGAIN;
        }
    }
    *ret = SINK_SPOOL;
    return put_into_spool(s, n, err);
}

static int kafka_write(struct sink *base, const struct record *records, size_t n,
                       enum sink_place *ret, struct error *err)
{
    struct kafka_sink *s = (struct kafka_sink *)base;
    *ret = SINK_KAFKA;
    if (n == 0) {
        return 0;
    }
    buf_clear(&s->text);
    add_messages(s, records, n);
    int r = write_messages(s, n, ret, err);
    if (s->text.cap > TEXT_KEPT) {
        buf_done(&s->text);
        buf_init(&s->text, TEXT_MAX);
    }
    return r;
}

// ---- measurements ----------------------------------------------------------------------------

static const struct metric_def defs[] = {
    {"gtap_kafka_sent_total", "Records acknowledged by Kafka.", METRIC_COUNTER},
    {"gtap_kafka_sent_bytes_total", "Bytes of those, before compression.", METRIC_COUNTER},
    {"gtap_kafka_refused_total", "Records that Kafka refused for good.", METRIC_COUNTER},
    {"gtap_kafka_refused_lost_total", "Of those, the ones that were not kept.", METRIC_COUNTER},
    {"gtap_kafka_producer_restarts_total", "Producers made anew after a fatal error.",
     METRIC_COUNTER},
    {"gtap_kafka_up", "1: Kafka took the last that was sent to it.", METRIC_GAUGE},
};

static const struct metric_def spool_defs[] = {
    {"gtap_spool_bytes", "Bytes that the spool's files have now.", METRIC_GAUGE},
    {"gtap_spool_limit_bytes", "Bytes that they may have.", METRIC_GAUGE},
    {"gtap_spool_waiting_bytes", "Bytes that wait to be sent to Kafka.", METRIC_GAUGE},
    {"gtap_spool_appended_total", "Records put into the spool.", METRIC_COUNTER},
    {"gtap_spool_drained_total", "Records sent from the spool.", METRIC_COUNTER},
    {"gtap_spool_refused_total", "Records that the spool had no room for.", METRIC_COUNTER},
    {"gtap_spool_damaged_total", "Places where the disk had damaged the spool.", METRIC_COUNTER},
};

static void spool_metrics(struct kafka_sink *s, struct metric_list *to)
{
    static const struct metric_def oldest = {
        "gtap_spool_oldest_timestamp_seconds",
        "When the oldest part of the spool was begun; absent: it is empty.", METRIC_GAUGE};
    struct spool_stats p = spool_stats(s->spool);
    const double numbers[] = {(double)p.bytes,    (double)p.limit,   (double)p.waiting,
                              (double)p.appended, (double)p.dropped, (double)p.refused,
                              (double)p.damaged};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        metric_add(to, &spool_defs[i], numbers[i]);
    }
    if (p.waiting > 0) {
        metric_add(to, &oldest, (double)p.oldest / (double)NS_PER_S);
    }
}

static void kafka_metrics(struct sink *base, struct metric_list *to)
{
    struct kafka_sink *s = (struct kafka_sink *)base;
    struct courier_stats c = courier_stats(s->courier);
    struct sink_health health;
    sink_health(base, &health);
    pthread_mutex_lock(&s->lock);
    uint64_t lost = s->refused_lost;
    pthread_mutex_unlock(&s->lock);
    const double numbers[] = {(double)c.sent, (double)c.bytes,    (double)c.refused,
                              (double)lost,   (double)c.restarts, health.ok};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        metric_add(to, &defs[i], numbers[i]);
    }
    if (s->spool) {
        spool_metrics(s, to);
    }
}

static int64_t kafka_waiting(struct sink *base)
{
    struct kafka_sink *s = (struct kafka_sink *)base;
    return s->spool ? spool_stats(s->spool).waiting : 0;
}

// ---- opening ---------------------------------------------------------------------------------

static void kafka_close(struct sink *base)
{
    struct kafka_sink *s = (struct kafka_sink *)base;
    drainer_stop(s);
    courier_close(s->courier);
    spool_close(s->spool);
    if (s->refused_fd >= 0) {
        close(s->refused_fd);
    }
    buf_done(&s->text);
    free(s->messages);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
}

static int open_spool(struct kafka_sink *s, const struct sink_env *env, struct error *err)
{
    struct spool_config c = {
        .dir = env->spool_dir,
        .limit = env->spool_limit > 0 ? env->spool_limit : SINK_SPOOL_LIMIT,
        .clock = env->clock,
    };
    int r = spool_open(&c, &s->spool, err);
    if (r < 0) {
        return r;
    }
    AUTO_FREE char *refused = x_asprintf("%s/refused.ndjson", env->spool_dir);
    s->refused_fd = open(refused, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->refused_fd < 0) {
        return error_set(err, -errno, "%s: cannot open it: %s", refused, error_name(-errno));
    }
    return drainer_start(s, err);
}

static int open_courier(struct kafka_sink *s, const struct uri *uri, const struct sink_env *env,
                        struct error *err)
{
    struct kafka_settings settings = {0};
    struct kafka_target target;
    kafka_settings_copy(&settings, env->kafka);
    int r = kafka_settings_uri(&settings, uri, err);
    r = r < 0 ? r : kafka_target_read(uri, &settings, &settings.arena, &target, err);
    if (r == 0 && target.n_topics > 2) {
        r = error_set(err, -EINVAL,
                      STR_FMT ": name one topic for everything, or two: for GPU samples, and for "
                              "token usage",
                      STR_ARG(uri->text));
    }
    if (r == 0) {
        const char *const *topics = target.n_topics > 0 ? target.topics : topics_default;
        struct courier_config c = {
            .bootstrap = target.bootstrap,
            .topics = {topics[0], topics[target.n_topics == 1 ? 0 : 1]},
            .settings = &settings,
        };
        r = courier_open(&c, &s->courier, err);
    }
    kafka_settings_done(&settings);
    return r;
}

static int kafka_open(const struct uri *uri, const struct sink_env *env, struct sink **ret,
                      struct error *err)
{
    struct kafka_sink *s = x_zalloc(sizeof(*s));
    sink_init(&s->base, &sink_kafka, env);
    s->refused_fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    buf_init(&s->text, TEXT_MAX);
    int r = open_courier(s, uri, env, err);
    if (r == 0 && env->spool_dir) {
        r = open_spool(s, env, err);
    }
    if (r < 0) {
        sink_close(&s->base);
        return r;
    }
    *ret = &s->base;
    return 0;
}

static const char *const options[] = {"property.*", NULL};

const struct sink_driver sink_kafka = {
    .scheme = "kafka",
    .options = options,
    .open = kafka_open,
    .write = kafka_write,
    .waiting = kafka_waiting,
    .metrics = kafka_metrics,
    .close = kafka_close,
};
