#include "kafka/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

#include "base/alloc.h"

struct kafka_log {
    pthread_mutex_t lock;
    void *owner;
    struct kafka_line lines[KAFKA_LINES_KEPT];
    size_t first, n; // a ring
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

bool kafka_log_take(struct kafka_log *log, struct kafka_line *ret)
{
    pthread_mutex_lock(&log->lock);
    bool some = log->n > 0;
    if (some) {
        *ret = log->lines[log->first];
        log->first = (log->first + 1) % KAFKA_LINES_KEPT;
        log->n--;
    }
    pthread_mutex_unlock(&log->lock);
    return some;
}

void kafka_log_trouble(struct kafka_log *log, struct kafka_trouble *ret)
{
    pthread_mutex_lock(&log->lock);
    *ret = log->trouble;
    pthread_mutex_unlock(&log->lock);
}

// On librdkafka's threads.
static void on_line(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    struct kafka_log *log = rd_kafka_opaque(rk);
    if (!log || level > LOG_WARNING) {
        return;
    }
    pthread_mutex_lock(&log->lock);
    if (log->n == KAFKA_LINES_KEPT) {
        log->first = (log->first + 1) % KAFKA_LINES_KEPT;
        log->n--;
    }
    struct kafka_line *line = &log->lines[(log->first + log->n++) % KAFKA_LINES_KEPT];
    line->level = level;
    snprintf(line->text, sizeof(line->text), "%s: %s", facility, text);
    pthread_mutex_unlock(&log->lock);
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
