#include "kafka/client.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/decimal.h"
#include "base/queue.h"
#include "base/time.h"
#include "kafka/log.h"

enum { LIBRARY_TEXT_MAX = 512, NUMBER_MAX = 64 };

#define BROKERS_WHY "brokers stand in the URI, or in KAFKA_BOOTSTRAP"

static const struct kafka_value forced_always[] = {
    {"bootstrap.servers", NULL, BROKERS_WHY},
    {"metadata.broker.list", NULL, BROKERS_WHY},
    {NULL, NULL, NULL},
};

static const struct kafka_value defaults_always[] = {
    {"client.id", "gtap", NULL},
    {"socket.keepalive.enable", "true", NULL},
    {"socket.nagle.disable", "true", NULL},
    // 10 s otherwise: brokers that are back would be found that much later.
    {"reconnect.backoff.max.ms", "2000", NULL},
    {NULL, NULL, NULL},
};

static const struct kafka_value *find_value(const struct kafka_value *v, const char *name)
{
    while (v && v->name && strcmp(v->name, name) != 0) {
        v++;
    }
    return v && v->name ? v : NULL;
}

// librdkafka's words name the value: those about a secret are kept.
static int set(rd_kafka_conf_t *conf, const char *name, const char *value, const char *where,
               struct error *err)
{
    char text[LIBRARY_TEXT_MAX];
    rd_kafka_conf_res_t r = rd_kafka_conf_set(conf, name, value, text, sizeof(text));
    if (r == RD_KAFKA_CONF_UNKNOWN) {
        return error_set(err, -EINVAL, "%s: librdkafka %s has no property '%s'", where,
                         rd_kafka_version_str(), name);
    }
    if (r != RD_KAFKA_CONF_OK) {
        bool secret = kafka_is_secret(str_of(name));
        return error_set(err, -EINVAL, "%s: %s", where,
                         secret ? "librdkafka does not take this value" : text);
    }
    return 0;
}

int kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *err)
{
    return set(conf, name, value, name, err);
}

static int set_all(rd_kafka_conf_t *conf, const struct kafka_value *v, struct error *err)
{
    int r = 0;
    for (; r == 0 && v && v->name; v++) {
        r = v->value ? set(conf, v->name, v->value, v->name, err) : 0;
    }
    return r;
}

static int set_settings(rd_kafka_conf_t *conf, const struct kafka_settings *s,
                        const struct kafka_plan *plan, struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && s && i < s->n; i++) {
        const struct kafka_property *p = &s->v[i];
        const struct kafka_value *f = find_value(plan->forced, p->name);
        f = f ? f : find_value(forced_always, p->name);
        if (f && (!f->value || strcmp(f->value, p->value) != 0)) {
            return error_set(err, -EINVAL, "%s: %s is not to be set here: %s", p->where, p->name,
                             f->why);
        }
        r = set(conf, p->name, p->value, p->where, err);
    }
    return r;
}

int kafka_conf_new(const struct kafka_settings *settings, const struct kafka_plan *plan,
                   const char *bootstrap, struct kafka_log *log, rd_kafka_conf_t **ret,
                   struct error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int r = set_all(conf, defaults_always, err);
    r = r < 0 ? r : set_all(conf, plan->defaults, err);
    r = r < 0 ? r : set_settings(conf, settings, plan, err);
    r = r < 0 ? r : set_all(conf, plan->forced, err);
    r = r < 0 ? r : set(conf, "bootstrap.servers", bootstrap, "brokers", err);
    if (r < 0) {
        rd_kafka_conf_destroy(conf);
        return r;
    }
    kafka_log_attach(log, conf);
    *ret = conf;
    return 0;
}

int64_t kafka_conf_i64(const rd_kafka_conf_t *conf, const char *name, int64_t otherwise)
{
    char text[NUMBER_MAX];
    size_t size = sizeof(text);
    int64_t v;
    if (rd_kafka_conf_get(conf, name, text, &size) != RD_KAFKA_CONF_OK ||
        decimal_parse(str_of(text), 0, &v) < 0) {
        return otherwise;
    }
    return v;
}

int kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, rd_kafka_t **ret,
                     struct error *err)
{
    char text[LIBRARY_TEXT_MAX];
    rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof(text));
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        return error_set(err, -EINVAL, "kafka: librdkafka does not start: %s", text);
    }
    *ret = rk;
    return 0;
}

struct ending {
    rd_kafka_t *rk;
    struct queue *done;
};

static void *destroy_main(void *ctx)
{
    struct ending *e = ctx;
    rd_kafka_destroy_flags(e->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    // It has room and is not closed.
    return queue_push(e->done, e) == 0 ? e : NULL;
}

bool kafka_client_destroy(rd_kafka_t *rk, int timeout_ms)
{
    pthread_t thread;
    if (!rk) {
        return true;
    }
    struct ending *e = x_zalloc(sizeof(*e));
    *e = (struct ending){rk, queue_new(1)};
    bool ended = pthread_create(&thread, NULL, destroy_main, e) == 0;
    if (!ended) {
        rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    } else if (queue_pop(e->done, timeout_ms * NS_PER_MS)) {
        pthread_join(thread, NULL);
    } else {
        pthread_detach(thread); // it keeps what it needs
        return false;
    }
    queue_free(e->done);
    free(e);
    return true;
}

// ---- errors ------------------------------------------------------------------------------------

bool kafka_is_permanent(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_INVALID_GROUP_ID:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
        return true;
    default:
        return false;
    }
}

static int errno_of(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return -ENOENT;
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
        return -ETIMEDOUT;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return -EKEYREJECTED; // not -EACCES: no file is meant
    default:
        return -EIO;
    }
}

int kafka_error(struct error *ret, rd_kafka_resp_err_t code, const char *fmt, ...)
{
    char what[ERROR_MSG_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    int r = error_set(ret, errno_of(code), "%s: %s (%s)", what, rd_kafka_err2str(code),
                      rd_kafka_err2name(code));
    if (ret) {
        ret->retryable = !kafka_is_permanent(code);
    }
    return r;
}

int32_t kafka_partition_of(struct str key, int32_t n)
{
    return rd_kafka_msg_partitioner_murmur2(NULL, key.p, key.n, n, NULL, NULL);
}
