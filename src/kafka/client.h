// What every client of Kafka here begins with: a configuration out of defaults, settings and what
// gtap must decide itself; librdkafka's newest error, kept for whoever asks; its error codes as
// errors. Measured facts about librdkafka 2.0.2 that decide the details are in
// docs/inputs/kafka.md.
#pragma once

#include <librdkafka/rdkafka.h>

#include "base/str.h"
#include "kafka/settings.h"

// ---- troubles ----------------------------------------------------------------------------------

// What one client has said of its troubles, from any of its threads: its newest error. What
// librdkafka logs besides goes nowhere: it says the same again, once for each try. It is the
// client's opaque and outlives it. Thread-safe.
struct kafka_log;

struct kafka_log *kafka_log_new(void *owner); // owner: for callbacks, never touched here
void kafka_log_free(struct kafka_log *log);   // accepts NULL
void *kafka_log_owner(const struct kafka_log *log);

enum { KAFKA_LINE_MAX = 512 };
struct kafka_trouble {
    rd_kafka_resp_err_t code; // the newest error; RD_KAFKA_RESP_ERR_NO_ERROR: none
    uint64_t count;           // of all so far: whether there is a new one
    char text[KAFKA_LINE_MAX];
};
void kafka_log_trouble(struct kafka_log *log, struct kafka_trouble *ret);

// ---- configuration -----------------------------------------------------------------------------

struct kafka_value {
    const char *name, *value;
    const char *why; // of what is forced: "offsets are committed when records are stored"
};

struct kafka_plan {
    const struct kafka_value *defaults; // settings win; ends with a NULL name
    // Settings may not say otherwise; likewise ended. value NULL: the caller sets it itself.
    const struct kafka_value *forced;
};

// *ret is the caller's until kafka_client_new() takes it. Brokers are forced for every client.
// -EINVAL: a property that librdkafka does not know, a value that it does not take, or one that
// gtap decides, with the reason. settings may be NULL.
int kafka_conf_new(const struct kafka_settings *settings, const struct kafka_plan *plan,
                   const char *bootstrap, struct kafka_log *log, rd_kafka_conf_t **ret,
                   struct error *err) GTAP_CHECK;
// One value more, of the caller's own.
int kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *err)
    GTAP_CHECK;
// What a number is set to; `otherwise` where that is none.
int64_t kafka_conf_i64(const rd_kafka_conf_t *conf, const char *name, int64_t otherwise);

// Takes the configuration, also on failure. Opens no connection yet.
int kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, rd_kafka_t **ret,
                     struct error *err) GTAP_CHECK;
// Destroys a client, but leaves one that has not ended after timeout_ms to its fate: in librdkafka
// 2.0.2 that can hang. False: it did.
bool kafka_client_destroy(rd_kafka_t *rk, int timeout_ms);

// ---- errors ------------------------------------------------------------------------------------

// Whether trying again is no use until somebody changes something: credentials, rights, a client
// that was fenced, a property. Everything else may pass by itself.
bool kafka_is_permanent(rd_kafka_resp_err_t code) GTAP_PURE;

// "<fmt>: librdkafka's words (CODE)", retryable unless permanent; returns a negative errno.
int kafka_error(struct error *ret, rd_kafka_resp_err_t code, const char *fmt, ...)
    GTAP_PRINTF(3, 4);

// ---- topics ------------------------------------------------------------------------------------

// The number of partitions of a topic. -ENOENT: there is no such topic (and none is created by
// asking). Other errors are retryable unless permanent.
int kafka_topic_partitions(rd_kafka_t *rk, const char *topic, int timeout_ms, int32_t *ret,
                           struct error *err) GTAP_CHECK;

// Creates those of n <= KAFKA_TOPICS_MAX topics that there are not. replication < 1: the brokers'
// default. An existing topic is left as it is, and no error.
int kafka_topics_create(rd_kafka_t *rk, const char *const *topics, size_t n, int partitions,
                        int replication, int timeout_ms, size_t *ret_created, struct error *err)
    GTAP_CHECK;

// The partition, of n, of a key: Java's partitioner (murmur2), which all of ours use.
int32_t kafka_partition_of(struct str key, int32_t n);
