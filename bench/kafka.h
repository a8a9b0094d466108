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
        {"log_level", "3"},
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

// ---- topics --------------------------------------------------------------------------------

static inline void add_topic(rd_kafka_AdminOptions_t *options, rd_kafka_t *rk,
                             rd_kafka_queue_t *queue, const char *name, int partitions)
{
    char why[512];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, 1, why, sizeof(why));
    if (!topic) {
        give_up("%s: %s", name, why);
    }
    rd_kafka_CreateTopics(rk, &topic, 1, options, queue);
    rd_kafka_NewTopic_destroy(topic);
}

static inline void must_exist(rd_kafka_queue_t *queue, int timeout_ms)
{
    size_t n = 0;
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms);
    const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(event);
    if (!result) {
        give_up("no answer to the making of a topic");
    }
    const rd_kafka_topic_result_t **topics = rd_kafka_CreateTopics_result_topics(result, &n);
    rd_kafka_resp_err_t err =
        n == 1 ? rd_kafka_topic_result_error(topics[0]) : rd_kafka_event_error(event);
    if (err && err != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        give_up("making a topic: %s", rd_kafka_err2str(err));
    }
    rd_kafka_event_destroy(event);
}

// Makes both where they are missing.
static inline void make_topics(rd_kafka_t *rk, const char *const topics[2], int partitions)
{
    enum { CREATE_MS = 30000 };
    char why[512];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    if (rd_kafka_AdminOptions_set_operation_timeout(options, CREATE_MS, why, sizeof(why)) != 0) {
        give_up("%s", why);
    }
    for (int i = 0; i < 2; i++) {
        add_topic(options, rk, queue, topics[i], partitions);
        must_exist(queue, 2 * CREATE_MS);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
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
