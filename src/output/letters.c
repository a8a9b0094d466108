#include "output/letters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/time.h"
#include "kafka/client.h"

enum { CHUNK = 64, ANSWER_MS = 10000, PURGED_MS = 1000, CLOSE_MS = 1000, TIME_TEXT_MAX = 64 };

static const struct kafka_value defaults[] = {
    {"compression.type", "lz4", NULL},
    {"linger.ms", "5", NULL},
    {"message.max.bytes", "2097152", NULL}, // a record of 1 MiB and its headers
    {"message.timeout.ms", "9000", NULL},
    {"queue.buffering.max.kbytes", "131072", NULL},
    {NULL, NULL, NULL},
};
static const struct kafka_value forced[] = {
    {"enable.idempotence", "true", "a dead letter is sent once"},
    {"acks", "all", "a dead letter must not be lost"},
    {NULL, NULL, NULL},
};

struct letters {
    struct kafka_log *log;
    rd_kafka_conf_t *conf; // to make another client by
    rd_kafka_t *rk;
    char *topic;
    size_t waiting;             // for their delivery reports
    rd_kafka_resp_err_t failed; // the first failure
    bool too_large[CHUNK];
};

// On the thread of letters_publish(), from rd_kafka_poll().
static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct letters *l = kafka_log_owner(opaque);
    size_t number = (size_t)message->_private;
    (void)rk;
    l->waiting--;
    if (message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        l->too_large[number] = true;
    } else if (message->err && !l->failed) {
        l->failed = message->err;
    }
}

static int start(struct letters *l, struct error *err)
{
    return kafka_client_new(RD_KAFKA_PRODUCER, rd_kafka_conf_dup(l->conf), &l->rk, err);
}

// After what librdkafka calls fatal a producer takes nothing more; another one does.
static int mend(struct letters *l, struct error *err)
{
    char text[KAFKA_LINE_MAX];
    if (l->rk && rd_kafka_fatal_error(l->rk, text, sizeof(text)) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return 0;
    }
    if (l->rk) {
        (void)kafka_client_destroy(TAKE_PTR(l->rk), CLOSE_MS);
    }
    return start(l, err);
}

int letters_open(const char *bootstrap, const char *topic, const struct kafka_settings *settings,
                 struct letters **ret, struct error *err)
{
    const struct kafka_plan plan = {defaults, forced};
    struct letters *l = x_zalloc(sizeof(*l));
    l->log = kafka_log_new(l);
    l->topic = x_strdup(topic);
    int r = kafka_conf_new(settings, &plan, bootstrap, l->log, &l->conf, err);
    if (r == 0) {
        rd_kafka_conf_set_dr_msg_cb(l->conf, on_report);
        r = start(l, err);
    }
    if (r < 0) {
        letters_close(l);
        return r;
    }
    *ret = l;
    return 0;
}

void letters_close(struct letters *l)
{
    if (!l) {
        return;
    }
    if (!l->rk || kafka_client_destroy(l->rk, CLOSE_MS)) {
        kafka_log_free(l->log); // else a client that hangs may still speak to it
    }
    if (l->conf) {
        rd_kafka_conf_destroy(l->conf);
    }
    free(l->topic);
    free(l);
}

// Headers of a message: owned by librdkafka once it is produced.
static rd_kafka_headers_t *headers_of(const struct dead_letter *d, bool cut)
{
    rd_kafka_headers_t *h = rd_kafka_headers_new(5);
    struct buf text;
    buf_init(&text, TIME_TEXT_MAX);
    rd_kafka_header_add(h, "gtap.reason", -1, d->reason.p, (ssize_t)d->reason.n);
    rd_kafka_header_add(h, "gtap.origin", -1, d->origin.p, (ssize_t)d->origin.n);
    buf_i64(&text, d->position);
    rd_kafka_header_add(h, "gtap.position", -1, text.p, (ssize_t)text.n);
    buf_clear(&text);
    time_format_iso(&text, d->at);
    rd_kafka_header_add(h, "gtap.at", -1, text.p, (ssize_t)text.n);
    if (cut) {
        rd_kafka_header_add(h, "gtap.cut", -1, "too large", -1);
    }
    buf_done(&text);
    return h;
}

static void produce(struct letters *l, const struct dead_letter *d, size_t number, bool cut)
{
    rd_kafka_headers_t *headers = headers_of(d, cut);
    struct str value = cut ? STR_NONE : d->payload;
    rd_kafka_resp_err_t r = rd_kafka_producev(
        l->rk, RD_KAFKA_V_TOPIC(l->topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)value.p, value.n), RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_OPAQUE((void *)number), RD_KAFKA_V_END);
    if (r == RD_KAFKA_RESP_ERR_NO_ERROR) {
        l->waiting++;
        return;
    }
    rd_kafka_headers_destroy(headers);
    if (r == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && !cut) {
        l->too_large[number] = true;
    } else if (!l->failed) {
        l->failed = r;
    }
}

static void wait_for_reports(struct letters *l)
{
    const struct clock *clock = &clock_system;
    int64_t until = clock_mono(clock).ns + ANSWER_MS * NS_PER_MS;
    while (l->waiting > 0 && clock_mono(clock).ns < until) {
        rd_kafka_poll(l->rk, 100);
    }
    if (l->waiting > 0) { // what goes out later would only come twice
        rd_kafka_purge(l->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(l->rk, PURGED_MS);
    }
}

static int publish_chunk(struct letters *l, const struct dead_letter *v, size_t n,
                         struct error *err)
{
    int r = mend(l, err);
    if (r < 0) {
        return r;
    }
    l->failed = RD_KAFKA_RESP_ERR_NO_ERROR;
    memset(l->too_large, 0, sizeof(l->too_large));
    for (size_t i = 0; i < n; i++) {
        produce(l, &v[i], i, false);
    }
    wait_for_reports(l);
    for (size_t i = 0; i < n && !l->failed; i++) {
        if (l->too_large[i]) {
            produce(l, &v[i], i, true);
        }
    }
    wait_for_reports(l);
    if (l->failed) {
        r = kafka_error(err, l->failed, "topic %s: a dead letter cannot be sent", l->topic);
        err->retryable = true; // rights can be given while we wait, and nothing is lost meanwhile
    }
    return r;
}

int letters_publish(struct letters *l, const struct dead_letter *v, size_t n, struct error *err)
{
    int r = 0;
    for (size_t at = 0; r == 0 && at < n; at += CHUNK) {
        r = publish_chunk(l, v + at, MIN(n - at, (size_t)CHUNK), err);
    }
    return r;
}
