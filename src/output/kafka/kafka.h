// The inside of the Kafka sink. Internal to src/output/kafka.
#pragma once

#include <pthread.h>

#include "output/kafka/courier.h"
#include "output/sink_impl.h"
#include "output/spool/spool.h"

// Records go directly while the spool is empty, else into the spool, behind what is there already;
// its drainer, a thread, takes it to Kafka in order. So never more than one of the two sends.
struct kafka_sink {
    struct sink base;
    struct courier *courier;
    struct spool *spool; // NULL: none
    int refused_fd;      // the file of refused messages; -1: none

    // Of the thread that writes:
    struct buf text;          // keys and values of the messages
    struct message *messages; // of one write
    size_t cap_messages;

    pthread_mutex_t lock; // of what follows
    pthread_cond_t changed;
    bool draining; // the spool is the drainer's to send: nothing goes directly
    bool stopping;
    uint64_t refused_lost; // refused and not kept, as there is no spool, or too much was refused
    pthread_t drainer;
    bool has_drainer;
};

// ---- messages (message.c) --------------------------------------------------------------------

// Appends key and value to *text, as a spool keeps them; message_read() finds them there.
void message_put(const struct record *r, struct buf *text);
// Takes one apart again; its texts are borrowed. False: it is none.
bool message_read(struct str payload, struct message *ret);

// ---- refused (refused.c) ---------------------------------------------------------------------

// Keeps those of the messages that were refused in SPOOL/refused.ndjson, durably, and tells of them
// in the sink's health. On the thread that sends.
void keep_refused(struct kafka_sink *s, struct message *messages, size_t n);

// ---- the drainer (drain.c) -------------------------------------------------------------------

int drainer_start(struct kafka_sink *s, struct error *err) GTAP_CHECK;
void drainer_stop(struct kafka_sink *s);
// There is something in the spool.
void drainer_wake(struct kafka_sink *s);
