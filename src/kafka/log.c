#include "kafka/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

struct kafka_log {
    pthread_mutex_t lock;
    void *owner;
    struct kafka_trouble trouble;
};

struct kafka_log *kafka_log_new(void *owner)
{
    struct kafka_log *log = x_zalloc(sizeof(*log));
    pthread_mutex_init(&log->lock, NULL);
    log->owner = owner;
    return log;
}

void kafka_log_free(struct kafka_log *log)
{
    if (log) {
        pthread_mutex_destroy(&log->lock);
        free(log);
    }
}

void *kafka_log_owner(const struct kafka_log *log)
{
    return log->owner;
}

void kafka_log_trouble(struct kafka_log *log, struct kafka_trouble *ret)
{
    pthread_mutex_lock(&log->lock);
    *ret = log->trouble;
    pthread_mutex_unlock(&log->lock);
}

// On librdkafka's threads, which would write to stderr otherwise.
static void on_line(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)level;
    (void)facility;
    (void)text;
}

// Served by whoever polls the client.
static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct kafka_log *log = opaque;
    (void)rk;
    pthread_mutex_lock(&log->lock);
    log->trouble.code = (rd_kafka_resp_err_t)code;
    log->trouble.count++;
    snprintf(log->trouble.text, sizeof(log->trouble.text), "%s", reason);
    pthread_mutex_unlock(&log->lock);
}

void kafka_log_attach(struct kafka_log *log, rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_opaque(conf, log);
    rd_kafka_conf_set_log_cb(conf, on_line);
    rd_kafka_conf_set_error_cb(conf, on_error);
}
