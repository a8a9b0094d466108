// Outputs that compute nothing: without an engine, records pass through in the order they came.
//
//   stdout:   one JSON object a line, as in schemas/
//   null:     nowhere; for measuring inputs
//   kafka://  to Kafka, through a spool on disk while it is away; see docs/outputs/kafka.md
//
// A sink belongs to one thread, but for sink_health() and sink_metrics().
#pragma once

#include "base/error.h"
#include "base/metric.h"
#include "base/time.h"
#include "base/uri.h"
#include "model/record.h"

struct kafka_settings;
struct sink;

// What a sink may use. Borrowed until sink_close().
struct sink_env {
    const struct clock *clock;
    const struct kafka_settings *kafka; // beside the URI's (kafka/settings.h); NULL: none
    const char *spool_dir;              // where records wait while Kafka is away; NULL: nowhere
    int64_t spool_limit;                // bytes; 0: SINK_SPOOL_LIMIT
    int64_t patience_ns;                // how long to wait for Kafka before that; 0: 3 s
};
#define SINK_SPOOL_LIMIT (INT64_C(1) << 30)

// Whether text ("stdout:") names a sink, rather than a store or nothing at all.
bool sink_known(const char *text);

int sink_open(const char *text, const struct sink_env *env, struct sink **ret, struct error *err)
    GTAP_CHECK;
void sink_close(struct sink *s); // accepts NULL

// Where records are once they were handed over.
enum sink_place { SINK_PASSED, SINK_KAFKA, SINK_SPOOL };

// Hands the records over: on return they are safe in *ret, for SINK_PASSED in the operating
// system's hands. After a failure some of them may have gone out. -EAGAIN: there is no room for
// them now (Kafka is away, the spool is full); the same may be tried again, and what went out twice
// has the same event_id. -EPIPE: nobody reads any more (the caller ignores SIGPIPE); -ENOSPC.
int sink_write(struct sink *s, const struct record *records, size_t n, enum sink_place *ret,
               struct error *err) GTAP_CHECK;

// How it fares; thread-safe.
struct sink_health {
    bool ok;       // what it writes to takes records, as far as is known
    int64_t since; // wall time, ns: when `ok` became what it is
    uint64_t failures;
    char error[ERROR_MSG_MAX]; // of the last failure, also when it is over; "": none
};
void sink_health(struct sink *s, struct sink_health *ret);

// Bytes of records that are safe, and have not reached what the sink writes to: those in the spool.
// They become fewer by themselves while Kafka takes records, or are sent by the next sink over the
// same spool. Thread-safe.
int64_t sink_waiting(struct sink *s);

// Measurements of its own, for /metrics; thread-safe.
void sink_metrics(struct sink *s, struct metric_list *to);
