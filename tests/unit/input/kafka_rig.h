// A mock cluster of librdkafka's, kafka: inputs on it, and the test in the place of the pipeline.
// librdkafka knows no clock but the system's. The inputs' goes three times as fast, so that what
// they do once a second is not waited for so long.
#pragma once

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/metric.h"
#include "input/input_impl.h"
#include "test.h"

enum { RIG_TOPICS = 2, RIG_PARTITIONS_MAX = 16, API_OFFSET_COMMIT = 8 };

enum { RIG_HASTE = 3 };
extern const struct clock rig_clock;

struct rig {
    rd_kafka_t *host; // of the mock, and the producer
    rd_kafka_mock_cluster_t *mock;
    int n_partitions;
    struct arena arena;
    const char *const *vars;
    int64_t produced;
};

// Topics "gpu" and "tok", each with so many partitions.
void rig_open(struct rig *r, int n_partitions);
void rig_close(struct rig *r);

// One message, acknowledged or (rig_send) on its way until rig_flush(). key NULL: none.
void rig_send(struct rig *r, const char *topic, int partition, const char *key, struct str value);
void rig_flush(struct rig *r);
void rig_put(struct rig *r, const char *topic, int partition, const char *key, const char *value);
// Usage records or samples of `host`, one a second of event time from `from` on.
void rig_put_usage(struct rig *r, int partition, int n, int from);
void rig_put_samples(struct rig *r, int partition, int n, int from);
// A name of a host whose home is this partition.
const char *rig_host(const struct rig *r, int partition);

// Committed offset of group "g"; -1: none.
int64_t rig_committed(struct rig *r, const char *topic, int partition);

// One member, and what it gave.
struct member {
    struct rig *rig;
    struct input_env env;
    struct uri uri;
    struct input *in;
    struct batch b;
    bool holds; // what was delivered is not stored until the test says so
    int64_t position;
    int result;
    struct error err;
    struct buf notes; // "taken 0 1", "record tok/0/12 ...", "dead ...", one a line
    int64_t n_records, n_dead;
    uint8_t *seen; // by topic, partition and offset: how often it came
    bool owns[RIG_PARTITIONS_MAX];
    int taken, left, lost; // batches
};

enum { RIG_OFFSETS_MAX = 200000 };
int member_times(struct member *m, int topic, int partition, int64_t offset);

// options: "?group=..." is g unless they say otherwise. Session time-out 4 s.
void member_open(struct member *m, struct rig *r, const char *options);
int member_try(struct member *m, struct rig *r, const char *uri); // not yet open; result and err
void member_close(struct member *m);
void member_step(struct member *m); // one input_next(), stored at once unless it holds
void member_store(struct member *m, int64_t position);

// Steps until the condition holds; fails the test after the deadline.
#define MEMBER_UNTIL(m, condition)                                                                 \
    do {                                                                                           \
        struct mono from_ = clock_mono(&clock_system);                                             \
        while (!(condition)) {                                                                     \
            if (clock_mono(&clock_system).ns - from_.ns > TEST_PATIENCE_MS * NS_PER_MS) {          \
                fail_msg("not within %d ms: %s", TEST_PATIENCE_MS, #condition);                    \
            }                                                                                      \
            member_step(m);                                                                        \
        }                                                                                          \
    } while (0)

int member_count(const struct member *m, const char *text); // lines of notes with it
int member_owned(const struct member *m);
double member_metric(const struct member *m, const char *name, const char *label);
