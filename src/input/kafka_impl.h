// The kafka: input, for its own files: kafka.c (the driver), kafka_open.c (options, topics),
// kafka_group.c (who owns what), kafka_commit.c (offsets), kafka_read.c (which queue is read),
// kafka_message.c (a message to a record), kafka_forward.c (messages without a key),
// kafka_health.c (errors, whether we are current), kafka_metrics.c.
//
// Everything of librdkafka's consumer is called on the input's thread: with two, 2.0.2 loses
// messages. What other threads read or write is atomic; there are no locks.
#pragma once

#include "input/input_impl.h"
#include "input/kafka_state.h"
#include "model/decode.h"

#define WAKE_EVERY (5 * NS_PER_MS) // at most: see kafka_read.c

struct kafka_input {
    struct input base;
    struct arena arena;
    struct kafka_settings settings;
    struct kafka_target target;
    const char *group;
    struct str host; // of records that name none; absent: not assumed
    bool until_end;

    struct kafka_log *log; // its owner is this
    rd_kafka_t *rk;
    rd_kafka_queue_t *main, *commits; // the consumer's own; answers to commits
    int wake;                         // eventfd: something came to one of the queues
    int64_t session_ns;

    uint32_t n_topics, n_shards;
    struct kafka_part *parts; // n_topics * n_shards; see kafka_part_of()
    uint32_t *owned;          // shards that are read, n_owned of n_shards
    uint32_t n_owned, turn;   // whose turn it is

    int64_t position;       // records, dead letters and changes delivered
    _Atomic int64_t stored; // by input_stored()
    struct kafka_group who;
    struct kafka_checkpoints checkpoints;
    struct kafka_forwarder forward;
    struct kafka_health health;
    struct kafka_counts counts;
    struct mono next_look, next_commit, next_recommit; // when each is due
    struct mono next_wake;                             // when fetchers may be woken again
    bool wake_owed;                                    // and whether they are to be
    struct decoder *decoder;
    struct buf shaped;                        // a message with the assumed host
    _Atomic unsigned kinds[KAFKA_TOPICS_MAX]; // seen in each topic
    bool closing;
};

static inline struct kafka_part *kafka_part_of(const struct kafka_input *k, uint32_t topic,
                                               uint32_t shard)
{
    return &k->parts[(size_t)topic * k->n_shards + shard];
}
// NULL: it is no partition of ours.
struct kafka_part *kafka_part_find(struct kafka_input *k, const char *topic, int32_t partition);
struct mono kafka_now(const struct kafka_input *k);

// ---- kafka_open.c: everything up to the subscription; -EINVAL, -ENOENT, -ECANCELED ...
// -----------
int kafka_set_up(struct kafka_input *k, struct error *err) GTAP_CHECK;

// ---- kafka_group.c -----------------------------------------------------------------------------
void kafka_group_attach(rd_kafka_conf_t *conf); // the callback
// Goes on with what the group wants. Negative: it cannot be had with these topics.
int kafka_group_step(struct kafka_input *k, struct error *err) GTAP_CHECK;
// Fills a batch with the oldest change that is owed; false: none is.
bool kafka_group_tell(struct kafka_input *k, struct batch *b);
void kafka_group_done(struct kafka_input *k); // drops partitions and what is owed

// ---- kafka_commit.c ----------------------------------------------------------------------------
// What was read of a partition is delivered with records up to k->position.
void kafka_checkpoint(struct kafka_input *k, struct kafka_part *p);
void kafka_commits_serve(struct kafka_input *k); // what was stored, what was answered
enum kafka_commit_what {
    COMMIT_NEW,        // unless an answer is awaited
    COMMIT_LAST,       // in any case
    COMMIT_EVERYTHING, // and again what is committed
};
void kafka_commit(struct kafka_input *k, enum kafka_commit_what what);
bool kafka_commit_waits(const struct kafka_input *k); // for an answer
void kafka_commit_forget(struct kafka_input *k);      // what is on its way
void kafka_checkpoints_done(struct kafka_input *k);

// ---- kafka_read.c: as much as there is and fits; never waits
// -------------------------------------
void kafka_read(struct kafka_input *k, struct batch *b);
void kafka_look(struct kafka_input *k);   // at the ends of all partitions that are read
bool kafka_at_end(struct kafka_input *k); // until=end: there is nothing more to read

// ---- kafka_message.c ---------------------------------------------------------------------------
// n messages of one partition, in order; adds what they say to the batch.
void kafka_take_messages(struct kafka_input *k, struct batch *b, struct kafka_part *p,
                         rd_kafka_message_t *const *m, size_t n);

// ---- kafka_forward.c ---------------------------------------------------------------------------
// -EINVAL: settings with which nothing could be sent back.
int kafka_forward_init(struct kafka_input *k, struct error *err) GTAP_CHECK;
void kafka_forward(struct kafka_input *k, struct kafka_part *p, const rd_kafka_message_t *m,
                   struct str host);
bool kafka_forward_has_room(const struct kafka_input *k);
// Serves acknowledgements. Negative: no message can be forwarded any more.
int kafka_forward_serve(struct kafka_input *k, struct error *err) GTAP_CHECK;
void kafka_forward_tell(struct kafka_input *k, struct batch *b); // what was refused: dead letters
int64_t kafka_forward_floor(struct kafka_input *k, struct kafka_part *p); // not acknowledged yet
void kafka_forward_drop(struct kafka_input *k, struct kafka_part *p);     // it is not ours any more
void kafka_forward_done(struct kafka_input *k);

// ---- kafka_health.c ----------------------------------------------------------------------------
void kafka_polled(struct kafka_input *k);    // we are alive
void kafka_went_well(struct kafka_input *k); // brokers answer
void kafka_went_wrong(struct kafka_input *k, const struct error *err);
void kafka_went_missing(struct kafka_input *k, const struct error *err);    // and stays so
int kafka_health_step(struct kafka_input *k, struct error *err) GTAP_CHECK; // negative: fatal
bool kafka_current(const struct input *in);

// ---- kafka_metrics.c ---------------------------------------------------------------------------
void kafka_metrics(const struct input *in, struct metric_list *to);
