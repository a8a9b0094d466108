#include "output/kafka/courier.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/alloc.h"

enum { POLL_MS = 100, DESTROY_MS = 3000, TIMER_SLACK_NS = 2000000 };

struct courier {
    rd_kafka_conf_t *conf; // for a producer anew
    rd_kafka_t *rk;
    rd_kafka_topic_t *topics[2]; // by enum record_kind
    char *names[2], *bootstrap;
    struct kafka_log *log;

    _Atomic size_t on_the_way;

    _Atomic uint64_t sent, refused, bytes, restarts;
};

// ---- what becomes of a message ---------------------------------------------------------------

// Trying again is no use, for this message. What is wrong with all of them is not the message's
// fault, and may be mended: that waits.
static bool is_refusal(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return true;
    default:
        return false;
    }
}

// A broker that finds a batch too long refuses all in it.
static bool is_too_long(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
           code == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
           code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE;
}

static void come_back(struct courier *c, struct message *m, rd_kafka_resp_err_t code)
{
    m->code = code;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        m->fate = MESSAGE_SENT;
        atomic_fetch_add(&c->sent, 1);
        atomic_fetch_add(&c->bytes, m->value.n);
    } else if (is_refusal(code)) {
        bool judged = m->alone || !is_too_long(code);
        m->fate = judged ? MESSAGE_REFUSED : MESSAGE_OPEN;
        m->alone = true;
        atomic_fetch_add(&c->refused, judged);
    }
    atomic_fetch_sub(&c->on_the_way, 1); // the last that is done with it
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *report, void *opaque)
{
    struct message *m = report->_private;
    (void)rk, (void)opaque;
    come_back(m->courier, m, report->err);
}

// ---- sending ---------------------------------------------------------------------------------

static void produce(struct courier *c, struct message *m)
{
    m->courier = c;
    atomic_fetch_add(&c->on_the_way, 1);
    while (rd_kafka_produce(c->topics[m->kind], RD_KAFKA_PARTITION_UA, 0,
                            (void *)(uintptr_t)m->value.p, m->value.n, m->key.p, m->key.n, m) < 0) {
        rd_kafka_resp_err_t code = rd_kafka_last_error();
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL || atomic_load(&c->on_the_way) == 1) {
            m->alone |= is_too_long(code); // it was not in anybody's company
            come_back(c, m, code);
            return;
        }
        rd_kafka_poll(c->rk, POLL_MS);
    }
}

static int start(struct courier *c, struct error *err);

// After what librdkafka calls fatal a producer takes nothing more; another one does.
static void mend(struct courier *c)
{
    struct error err;
    char text[KAFKA_LINE_MAX];
    if (c->rk && rd_kafka_fatal_error(c->rk, text, sizeof(text)) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    rd_kafka_t *old = TAKE_PTR(c->rk);
    for (size_t i = 0; old && i < ARRAY_LEN(c->topics); i++) {
        rd_kafka_topic_destroy(c->topics[i]);
    }
    (void)kafka_client_destroy(old, DESTROY_MS);
    if (start(c, &err) == 0) {
        atomic_fetch_add(&c->restarts, 1);
    }
}

void courier_submit(struct courier *c, struct message *messages, size_t n)
{
    mend(c);
    for (size_t i = 0; c->rk && i < n; i++) {
        if (messages[i].fate == MESSAGE_OPEN) {
            produce(c, &messages[i]);
        }
    }
}

bool courier_wait(struct courier *c, int64_t timeout_ns)
{
    int64_t until = clock_mono(&clock_system).ns + timeout_ns, left = timeout_ns;
    while (atomic_load(&c->on_the_way) > 0) {
        if (left <= 0) {
            return false;
        }
        // Reports may be served by another thread's courier_idle(), so no longer than a moment.
        int64_t ms = (left + NS_PER_MS - 1) / NS_PER_MS;
        rd_kafka_poll(c->rk, (int)MIN(ms, (int64_t)POLL_MS));
        left = until - clock_mono(&clock_system).ns;
    }
    return true;
}

void courier_take_back(struct courier *c)
{
    while (atomic_load(&c->on_the_way) > 0) {
        (void)rd_kafka_purge(c->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        (void)courier_wait(c, NS_PER_S);
    }
}

void courier_idle(struct courier *c)
{
    if (c->rk) {
        rd_kafka_poll(c->rk, 0);
    }
}

void courier_trouble(struct courier *c, struct error *ret)
{
    struct kafka_trouble trouble;
    kafka_log_trouble(c->log, &trouble);
    if (trouble.code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        error_set(ret, -EAGAIN, "kafka at %s does not answer", c->bootstrap);
        return;
    }
    error_set(ret, -EAGAIN, "kafka at %s takes nothing: %s", c->bootstrap, trouble.text);
}

struct courier_stats courier_stats(const struct courier *c)
{
    return (struct courier_stats){
        .sent = atomic_load(&c->sent),
        .refused = atomic_load(&c->refused),
        .bytes = atomic_load(&c->bytes),
        .restarts = atomic_load(&c->restarts),
    };
}

// ---- the producer ----------------------------------------------------------------------------

static const struct kafka_value defaults[] = {
    {"compression.codec", "lz4", NULL},
    {"enable.idempotence", "true", NULL},
    {"linger.ms", "2", NULL},
    // A connection that went dead without a word is given up after so long.
    {"socket.timeout.ms", "10000", NULL},
    {"request.timeout.ms", "10000", NULL},
    // One batch is on the way at a time, and it is bounded.
    {"queue.buffering.max.kbytes", "65536", NULL},
    {"socket.connection.setup.timeout.ms", "5000", NULL},
    {NULL, NULL, NULL},
};

static const struct kafka_value forced[] = {
    {"acks", "all", "a record counts as sent once every in-sync replica has it"},
    {"request.required.acks", "all", "a record counts as sent once every in-sync replica has it"},
    {"message.timeout.ms", "0", "gtap decides how long to wait: --spool"},
    {"delivery.timeout.ms", "0", "gtap decides how long to wait: --spool"},
    {"partitioner", "murmur2_random", "all producers must put a host into the same partition"},
    {"transactional.id", NULL, "records are told apart by their event_id"},
    {NULL, NULL, NULL},
};

// librdkafka 2.0.2's main thread sleeps until a whole millisecond before its next timer and spins
// for the rest, once a second: most of an idle client's CPU time. Its threads inherit this slack,
// with which they oversleep that rest.
static int client_new(rd_kafka_conf_t *conf, rd_kafka_t **ret, struct error *err)
{
    int before = prctl(PR_GET_TIMERSLACK);
    (void)prctl(PR_SET_TIMERSLACK, (unsigned long)TIMER_SLACK_NS);
    int r = kafka_client_new(RD_KAFKA_PRODUCER, conf, ret, err);
    if (before > 0) {
        (void)prctl(PR_SET_TIMERSLACK, (unsigned long)before);
    }
    return r;
}

static int start(struct courier *c, struct error *err)
{
    int r = client_new(rd_kafka_conf_dup(c->conf), &c->rk, err);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(c->topics); i++) {
        c->topics[i] = rd_kafka_topic_new(c->rk, c->names[i], NULL);
        if (!c->topics[i]) {
            r = kafka_error(err, rd_kafka_last_error(), "topic %s", c->names[i]);
        }
    }
    return r;
}

int courier_open(const struct courier_config *config, struct courier **ret, struct error *err)
{
    struct courier *c = x_zalloc(sizeof(*c));
    const struct kafka_plan plan = {.defaults = defaults, .forced = forced};
    c->log = kafka_log_new(c);
    c->bootstrap = x_strdup(config->bootstrap);
    for (size_t i = 0; i < ARRAY_LEN(c->names); i++) {
        c->names[i] = x_strdup(config->topics[i]);
    }
    int r = kafka_conf_new(config->settings, &plan, c->bootstrap, c->log, &c->conf, err);
    if (r == 0) {
        rd_kafka_conf_set_dr_msg_cb(c->conf, on_report);
        r = start(c, err);
    }
    if (r < 0) {
        courier_close(c);
        return r;
    }
    *ret = c;
    return 0;
}

void courier_close(struct courier *c)
{
    if (!c) {
        return;
    }
    if (c->rk) {
        courier_take_back(c);
    }
    for (size_t i = 0; i < ARRAY_LEN(c->topics); i++) {
        if (c->topics[i]) {
            rd_kafka_topic_destroy(c->topics[i]);
        }
        free(c->names[i]);
    }
    bool gone = kafka_client_destroy(c->rk, DESTROY_MS);
    if (c->conf) {
        rd_kafka_conf_destroy(c->conf);
    }
    if (gone) { // else librdkafka may still speak to it
        kafka_log_free(c->log);
    }
    free(c->bootstrap);
    free(c);
}
