// What the kafka: input remembers; see kafka_impl.h. Times are ns, offsets are Kafka's: that of the
// next message to read or commit.
#pragma once

#include <stdatomic.h>

#include "input/input.h"
#include "kafka/client.h"

#define KAFKA_UNKNOWN INT64_C(-1) // of offsets

// A message without a key on its way back into its topic, keyed. Until that is acknowledged, the
// offsets of its partition are not committed beyond it.
enum forward_state { FORWARD_NEW, FORWARD_SENT, FORWARD_DONE, FORWARD_REFUSED, FORWARD_TOLD };
struct kafka_forwarded {
    struct kafka_forwarded *next; // of the partition, by offset
    struct kafka_part *part;      // NULL: not ours any more
    int64_t offset;
    enum forward_state state;
    int64_t position;   // TOLD: of its dead letter
    struct str payload; // REFUSED: malloc'ed, with the reason
    char *reason;
};

// One partition of one topic. All but the atomics belong to the input's thread.
struct kafka_part {
    uint32_t topic, shard;
    bool leaving; // it is still ours, but not read any more
    bool maybe;   // its queue may hold something
    uint32_t generation;
    struct mono next_question; // about gaps
    rd_kafka_queue_t *queue;
    int64_t next;     // what is to be delivered next
    int64_t newest;   // event time of the last record; INT64_MIN
    int64_t released; // everything before it is stored
    int64_t noted;    // `next` of the last checkpoint
    int64_t sent;     // asked to be committed
    int64_t end;      // until=end: read up to here
    int64_t woken;    // `next` when its fetcher was woken: kafka_read.c
    struct kafka_forwarded *first, **last;

    _Atomic bool assigned;
    _Atomic int64_t position, high; // as far as read; end of the partition, as last heard
    _Atomic int64_t committed;
};

enum group_phase {
    GROUP_STEADY,     // nothing is wanted of us
    GROUP_TAKING,     // partitions are assigned: their committed offsets are looked up
    GROUP_LEAVING,    // partitions are revoked: what was read of them is being stored
    GROUP_COMMITTING, // ... and their last offsets are on their way
};

struct kafka_change {
    enum batch_change change;
    uint32_t *shards;
    uint32_t n;
};

struct kafka_group {
    enum group_phase phase;
    rd_kafka_topic_partition_list_t *list; // of the phase
    struct mono deadline;
    uint32_t generation; // grows with each assignment and its end
    bool joined;         // there was an assignment, be it an empty one
    bool broken;         // commits of this generation are refused for good
    struct kafka_change *owed;
    size_t n_owed, cap_owed;
    int64_t left_at;         // LEAVING: position of the batch that says so; KAFKA_UNKNOWN: not yet
    _Atomic int64_t lost_at; // not current before this position is answered
    int refused;             // negative: with `why`
    struct error why;
};

// A position, and how far one partition was read by then. Ascending.
struct kafka_checkpoint {
    struct kafka_part *part;
    uint32_t generation;
    int64_t position, next;
    struct mono at;
};

struct kafka_checkpoints {
    struct kafka_checkpoint *v;
    size_t first, n, cap; // v[first..n)
    bool waits;           // a commit is on its way
    struct mono asked, oldest_asked, oldest_released;
    uint64_t sent;                     // commits, so that an answer finds its own
    _Atomic int64_t uncommitted_since; // monotonic; INT64_MAX: everything is committed
};

struct kafka_forwarder {
    rd_kafka_t *rk; // made when it is needed
    struct kafka_log *log;
    rd_kafka_queue_t *main;
    size_t n;       // sent, not answered
    size_t bytes;   // of them
    size_t refused; // waiting to be told
    struct error why;
    int failed;
};

struct kafka_health {
    bool ok;           // as last reported
    bool uncommitted;  // the last commit failed: reading well is not enough
    bool split;        // some of what is assigned is not read
    struct mono hold;  // what cannot be mended is to be seen until then
    uint64_t troubles; // of the log, seen
    struct mono next_probe;
    _Atomic int64_t polled; // monotonic
    _Atomic int64_t suspect_until;
};

struct kafka_counts {
    _Atomic uint64_t assigned, revoked, lost; // rebalances
    _Atomic uint64_t unkeyed, forwarded, misplaced;
    _Atomic uint64_t gaps, repeats, expired; // messages
    _Atomic uint64_t commits, commit_failures, mismatches, errors;
};
