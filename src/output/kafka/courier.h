// Takes messages to Kafka and says what became of each: an idempotent producer of librdkafka that
// never drops anything by itself. One thread at a time sends; it need not always be the same one.
#pragma once

#include "base/time.h"
#include "kafka/client.h"
#include "model/record.h"

struct courier;

enum message_fate {
    MESSAGE_OPEN,    // not acknowledged: to be sent (again)
    MESSAGE_SENT,    // acknowledged by all in-sync replicas
    MESSAGE_REFUSED, // Kafka will never take it: too long, no right to write to the topic
};

struct message {
    enum record_kind kind;
    struct str key; // absent: none
    struct str value;
    struct str payload; // both, as the spool keeps them
    enum message_fate fate;
    rd_kafka_resp_err_t code; // why it is open or refused
    struct courier *courier;  // while it is on the way
    bool alone;               // was too long in the company of others; sent without them now
};

struct courier_config {
    const char *bootstrap;
    const char *topics[2]; // by enum record_kind; may be the same
    const struct kafka_settings *settings;
};

// Opens no connection yet. -EINVAL: a property. Texts are copied.
int courier_open(const struct courier_config *c, struct courier **ret, struct error *err)
    GTAP_CHECK;
void courier_close(struct courier *c); // what is on the way is given up; accepts NULL

// Puts those that are open on the way; they are borrowed until they have come back, all of them:
// courier_wait() says so.
void courier_submit(struct courier *c, struct message *messages, size_t n);
// Waits at most so long. False: some are still on the way.
bool courier_wait(struct courier *c, int64_t timeout_ns);
// Takes back all that is on the way, wherever it is: it is open then. What the brokers had already
// may come to be there twice.
void courier_take_back(struct courier *c);

// Serves librdkafka's callbacks when nothing is on the way. Thread-safe.
void courier_idle(struct courier *c);

// What is wrong, as far as librdkafka knows: "kafka-1:9092: ... (ERR)".
void courier_trouble(struct courier *c, struct error *ret);

struct courier_stats {
    uint64_t sent, refused; // messages
    uint64_t bytes;         // of values that were sent
    uint64_t restarts;      // of the producer, after what librdkafka calls a fatal error
};
struct courier_stats courier_stats(const struct courier *c); // thread-safe
