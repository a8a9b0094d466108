// kafka: records from topics, as a member of a consumer group; see docs/inputs/kafka.md.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "input/kafka_impl.h"
#include "input/wait.h"

#define CLOSE_COMMIT_NS (3 * NS_PER_S)
#define CLOSE_NS (5 * NS_PER_S)
#define LOOK_EVERY (100 * NS_PER_MS)
#define COMMIT_EVERY NS_PER_S
#define RECOMMIT_EVERY (300 * NS_PER_S) // groups that commit nothing are forgotten in the end
enum { SERVE_MAX = 1000, CLOSE_POLL_MS = 50, DESTROY_MS = 5000, POLL_LATE_MS = 20 };

struct mono kafka_now(const struct kafka_input *k)
{
    return clock_mono(k->base.env->clock);
}

struct kafka_part *kafka_part_find(struct kafka_input *k, const char *topic, int32_t partition)
{
    for (uint32_t t = 0; t < k->n_topics; t++) {
        if (strcmp(k->target.topics[t], topic) == 0) {
            return partition >= 0 && (uint32_t)partition < k->n_shards
                       ? kafka_part_of(k, t, (uint32_t)partition)
                       : NULL;
        }
    }
    return NULL;
}

// ---- what is due -------------------------------------------------------------------------------

static bool is_due(struct mono *next, struct mono now, int64_t every)
{
    bool due = now.ns >= next->ns;
    if (due) {
        next->ns = now.ns + every;
    }
    return due;
}

// Rebalances, errors and answers. Messages have queues of their own: one that came here would have
// been taken off without being delivered.
static int poll_consumer(struct kafka_input *k, struct error *err)
{
    int r = 0;
    rd_kafka_message_t *m;
    kafka_polled(k);
    for (int i = 0; r == 0 && i < SERVE_MAX && (m = rd_kafka_consumer_poll(k->rk, 0)); i++) {
        if (m->err && m->err != RD_KAFKA_RESP_ERR__FATAL) { // kafka_health_step() says that one
            struct error why;
            kafka_error(&why, m->err, "kafka: %s", rd_kafka_message_errstr(m));
            kafka_went_wrong(k, &why);
        } else if (!m->err) {
            r = error_set(err, -EPROTO,
                          "kafka: a message of %s [%d] came outside its queue: nothing is lost, "
                          "start again",
                          rd_kafka_topic_name(m->rkt), (int)m->partition);
        }
        rd_kafka_message_destroy(m);
    }
    return r;
}

static int serve(struct kafka_input *k, struct error *err)
{
    int r = poll_consumer(k, err);
    kafka_commits_serve(k);
    r = r < 0 ? r : kafka_forward_serve(k, err);
    r = r < 0 ? r : kafka_group_step(k, err);
    r = r < 0 ? r : kafka_health_step(k, err);
    struct mono now = kafka_now(k);
    if (is_due(&k->next_look, now, LOOK_EVERY)) {
        kafka_look(k);
    }
    if (is_due(&k->next_commit, now, COMMIT_EVERY) && k->who.phase == GROUP_STEADY) {
        bool all = is_due(&k->next_recommit, now, RECOMMIT_EVERY);
        kafka_commit(k, all ? COMMIT_EVERYTHING : COMMIT_NEW);
    }
    return r;
}

// Until something comes to a queue, or the next thing is due.
static void wait_for_something(struct kafka_input *k)
{
    // What is stored wakes nobody.
    bool asks = k->who.phase != GROUP_STEADY;
    int64_t ns = asks ? POLL_LATE_MS * NS_PER_MS : INPUT_WAIT_NS;
    ns = k->wake_owed ? MIN(ns, WAKE_EVERY) : ns;
    if (input_wait(k->base.env, k->wake, ns) & POLLIN) {
        eventfd_t some;
        if (eventfd_read(k->wake, &some) == 0) {
            for (uint32_t i = 0; i < k->n_topics * k->n_shards; i++) {
                k->parts[i].maybe = true; // which queue it was is not said
            }
        }
    }
}

// ---- the driver --------------------------------------------------------------------------------

static void fill(struct kafka_input *k, struct batch *b)
{
    if (kafka_group_tell(k, b)) {
        return;
    }
    if (k->forward.refused > 0) {
        kafka_forward_tell(k, b);
    }
    if (kafka_forward_has_room(k)) {
        kafka_read(k, b);
    }
}

static bool is_empty(const struct batch *b)
{
    return b->n_records + b->n_dead == 0 && b->change == SHARDS_SAME;
}

static int kafka_next(struct input *in, struct batch *b, struct error *err)
{
    struct kafka_input *k = (struct kafka_input *)in;
    int r = serve(k, err);
    if (r == 0) {
        fill(k, b);
    }
    if (r == 0 && is_empty(b) && !kafka_at_end(k)) {
        wait_for_something(k);
        r = serve(k, err);
        if (r == 0) {
            fill(k, b);
        }
    }
    b->position = k->position;
    b->offset = -1;
    if (r < 0) {
        return r;
    }
    return is_empty(b) && kafka_at_end(k) ? INPUT_END : INPUT_MORE;
}

// There is no batch to fill: the group must not think us dead. A fault is told by the next batch.
static void kafka_idle(struct input *in)
{
    struct kafka_input *k = (struct kafka_input *)in;
    struct error err;
    if (serve(k, &err) < 0 && k->who.refused == 0) {
        k->who.refused = err.code;
        k->who.why = err;
    }
}

static void kafka_stored(struct input *in, int64_t position)
{
    struct kafka_input *k = (struct kafka_input *)in;
    if (position > atomic_load(&k->stored)) {
        atomic_store(&k->stored, position); // one thread writes it
    }
}

static unsigned kafka_behind(const struct input *in, uint32_t shard)
{
    const struct kafka_input *k = (const struct kafka_input *)in;
    unsigned behind = 0;
    for (uint32_t t = 0; shard < k->n_shards && t < k->n_topics; t++) {
        const struct kafka_part *p = kafka_part_of(k, t, shard);
        int64_t high = atomic_load(&p->high);
        if (atomic_load(&p->assigned) && (high < 0 || atomic_load(&p->position) < high)) {
            unsigned kinds = atomic_load(&k->kinds[t]);
            behind |= kinds ? kinds : 1U << RECORD_SAMPLE | 1U << RECORD_USAGE;
        }
    }
    return behind;
}

// Offsets know where to go on: nothing of it is in the store.
static int kafka_seek(struct input *in, int64_t records, int64_t offset, struct error *err)
{
    (void)in, (void)offset;
    return records == 0 ? 0 : error_set(err, -ESTALE, "kafka: positions are kept by the group");
}

// ---- the end -----------------------------------------------------------------------------------

static void last_commit(struct kafka_input *k)
{
    struct mono until = {kafka_now(k).ns + CLOSE_COMMIT_NS};
    struct error err;
    kafka_commits_serve(k);
    while (k->forward.n > 0 && kafka_forward_serve(k, &err) == 0 && kafka_now(k).ns < until.ns) {
        rd_kafka_poll(k->forward.rk, CLOSE_POLL_MS);
    }
    kafka_commit(k, COMMIT_LAST);
    while (kafka_commit_waits(k) && kafka_now(k).ns < until.ns) {
        struct pollfd p = {.fd = k->wake, .events = POLLIN};
        poll(&p, 1, POLL_LATE_MS);
        rd_kafka_message_t *m = rd_kafka_consumer_poll(k->rk, 0);
        if (m) {
            rd_kafka_message_destroy(m);
        }
        kafka_commits_serve(k);
    }
}

// Says good-bye to the group, so that others need not wait for the session to end. With a
// deadline: in librdkafka 2.0.2 closing may hang.
static void leave_group(struct kafka_input *k)
{
    struct mono until = {kafka_now(k).ns + CLOSE_NS};
    k->closing = true;
    rd_kafka_error_t *e = rd_kafka_consumer_close_queue(k->rk, k->main);
    if (e) {
        rd_kafka_error_destroy(e);
        return;
    }
    while (!rd_kafka_consumer_closed(k->rk) && kafka_now(k).ns < until.ns) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(k->rk, CLOSE_POLL_MS);
        if (m) {
            rd_kafka_message_destroy(m);
        }
    }
}

static bool end_client(struct kafka_input *k)
{
    if (!k->rk) {
        return true;
    }
    last_commit(k);
    kafka_group_done(k);
    leave_group(k);
    rd_kafka_queue_io_event_enable(k->main, -1, NULL, 0);
    rd_kafka_queue_io_event_enable(k->commits, -1, NULL, 0);
    rd_kafka_queue_destroy(k->commits);
    rd_kafka_queue_destroy(k->main);
    return kafka_client_destroy(k->rk, DESTROY_MS);
}

static void kafka_close(struct input *in)
{
    struct kafka_input *k = (struct kafka_input *)in;
    bool ended = end_client(k);
    kafka_forward_done(k);
    if (ended) {
        kafka_log_free(k->log); // else the client may still write to it
    }
    kafka_checkpoints_done(k);
    decoder_free(k->decoder);
    buf_done(&k->shaped);
    kafka_settings_done(&k->settings);
    if (k->wake >= 0) {
        close(k->wake);
    }
    free(k->parts);
    free(k->owned);
    arena_done(&k->arena);
    free(k);
}

static int kafka_open(const struct uri *uri, const struct input_env *env, struct input **ret,
                      struct error *err)
{
    struct kafka_input *k = x_zalloc(sizeof(*k));
    k->base = (struct input){.driver = &input_kafka, .env = env, .uri = uri};
    k->wake = -1;
    k->decoder = decoder_new();
    buf_init(&k->shaped, RECORD_BYTES_MAX + RECORD_TEXT_MAX * 8);
    atomic_store(&k->checkpoints.uncommitted_since, INT64_MAX);
    int r = kafka_set_up(k, err);
    if (r < 0) {
        kafka_close(&k->base);
        return r;
    }
    *ret = &k->base;
    return 0;
}

static const struct input_option options[] = {
    {"group", "NAME", "consumer group (default processor)"},
    {"host", "NAME", "host of records that name none (default: such records stay unplaced)"},
    {"until", "end", "stop at the ends that the topics have now (default: never)"},
    KAFKA_PROPERTY_OPTION,
    {NULL, NULL, NULL},
};

const struct input_driver input_kafka = {
    .scheme = "kafka",
    .synopsis = "kafka://HOST:PORT[,HOST:PORT...]/TOPIC[,TOPIC...]",
    .help = "records from Kafka topics, as a member of a consumer group",
    .options = options,
    .open = kafka_open,
    .seek = kafka_seek,
    .next = kafka_next,
    .stored = kafka_stored,
    .current = kafka_current,
    .behind = kafka_behind,
    .metrics = kafka_metrics,
    .idle = kafka_idle,
    .close = kafka_close,
};
