// What the benchmarks' programs that talk to Kafka share. They give up on any error that the
// library does not deal with by itself.
#pragma once

#include <librdkafka/rdkafka.h>
#include <string.h>

#include "base/str.h"
#include "measure.h"

// ---- clients -------------------------------------------------------------------------------

static inline rd_kafka_conf_t *conf_new(const char *brokers, const char *const (*properties)[2])
{
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof(why)) != 0) {
        give_up("%s", why);
    }
    for (; (*properties)[0]; properties++) {
        const char *const *p = *properties;
        if (rd_kafka_conf_set(conf, p[0], p[1], why, sizeof(why)) != 0) {
            give_up("%s", why);
        }
    }
    return conf;
}

static inline rd_kafka_t *client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char why[512];
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof(why));
    if (!rk) {
        give_up("%s", why);
    }
    return rk;
}

// ---- producing -----------------------------------------------------------------------------

static void must_be_delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (m->err) {
        give_up("a record was not delivered: %s", rd_kafka_err2str(m->err));
    }
}

// As gtap's agent does: keyed as Java's clients do it, nothing lost or doubled.
static inline rd_kafka_t *producer_new(const char *brokers, const char *linger_ms)
{
    const char *const properties[][2] = {
        {"enable.idempotence", "true"},
        {"compression.codec", "lz4"},
        {"partitioner", "murmur2_random"},
        {"batch.num.messages", "10000"},
        {"queue.buffering.max.messages", "200000"},
        {"linger.ms", linger_ms},
        {"log_level", "2"},
        {"message.timeout.ms", "60000"},
        {NULL, NULL},
    };
    rd_kafka_conf_t *conf = conf_new(brokers, properties);
    rd_kafka_conf_set_dr_msg_cb(conf, must_be_delivered);
    return client_new(RD_KAFKA_PRODUCER, conf);
}

// Waits while the queue is full.
static inline void produce(rd_kafka_t *rk, const char *topic, struct str key, struct str value)
{
    for (;;) {
        rd_kafka_resp_err_t err =
            rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(key.p, key.n),
                              RD_KAFKA_V_VALUE((void *)(uintptr_t)value.p, value.n),
                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            return;
        }
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            give_up("%s: %s", topic, rd_kafka_err2str(err));
        }
        rd_kafka_poll(rk, 100);
    }
}

static inline void producer_done(rd_kafka_t *rk)
{
    enum { FLUSH_MS = 60000 };
    if (rd_kafka_flush(rk, FLUSH_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        give_up("%d records were not delivered in time", rd_kafka_outq_len(rk));
    }
    rd_kafka_destroy(rk);
}

// ---- records, as gtap writes them ----------------------------------------------------------

// What lies between `before` and the next quote; absent where there is no `before`.
static inline struct str text_after(struct str line, struct str before)
{
    const char *p = memmem(line.p, line.n, before.p, before.n);
    if (!p) {
        return STR_NONE;
    }
    p += before.n;
    const char *end = memchr(p, '"', line.n - (size_t)(p - line.p));
    return end ? (struct str){p, (size_t)(end - p)} : STR_NONE;
}

static inline struct str host_of(struct str line)
{
    struct str host = text_after(line, STR("\"host\":\""));
    if (!str_present(host)) {
        give_up("a record without a host: " STR_FMT, STR_ARG(line));
    }
    return host;
}

static inline bool is_usage(struct str line)
{
    return memmem(line.p, line.n, "\"prompt_tokens\":", 16) != NULL;
}
