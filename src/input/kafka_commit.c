// Offsets. What is read is noted as checkpoints: "with position 812, partition 3 was read up to
// offset 4711". When the pipeline says that 812 is stored, 4711 may be committed: about once a
// second, all partitions in one request, never waiting for the answer. A checkpoint belongs to one
// assignment and is worth nothing in the next.
#include <stdlib.h>

#include "base/alloc.h"
#include "input/kafka_impl.h"

// After this an answer is not waited for. Committing the same once more does no harm.
#define ANSWER_NS (30 * NS_PER_S)

void kafka_checkpoint(struct kafka_input *k, struct kafka_part *p)
{
    struct kafka_checkpoints *c = &k->checkpoints;
    if (c->first > 0 && c->first == c->n) {
        c->first = c->n = 0;
    }
    if (c->n == c->cap && c->first > c->cap / 2) {
        ARRAY_DROP_FRONT(c->v, c->n, c->first);
        c->first = 0;
    }
    ARRAY_RESERVE(c->v, c->n, c->cap);
    c->v[c->n++] = (struct kafka_checkpoint){
        .part = p,
        .generation = p->generation,
        .position = k->position,
        .next = p->next,
        .at = kafka_now(k),
    };
    if (atomic_load(&c->uncommitted_since) == INT64_MAX) {
        atomic_store(&c->uncommitted_since, c->v[c->n - 1].at.ns);
    }
}

void kafka_checkpoints_done(struct kafka_input *k)
{
    free(k->checkpoints.v);
    k->checkpoints.v = NULL;
}

static bool is_ours(const struct kafka_checkpoint *c)
{
    return c->part->queue && c->part->generation == c->generation;
}

static void release_stored(struct kafka_input *k)
{
    struct kafka_checkpoints *c = &k->checkpoints;
    int64_t stored = atomic_load(&k->stored);
    for (; c->first < c->n && c->v[c->first].position <= stored; c->first++) {
        const struct kafka_checkpoint *one = &c->v[c->first];
        if (is_ours(one)) {
            one->part->released = MAX(one->part->released, one->next);
            if (c->oldest_released.ns == 0) {
                c->oldest_released = one->at;
            }
        }
    }
}

static bool is_for_good(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
        return true;
    default:
        return false;
    }
}

static void note_failure(struct kafka_input *k, rd_kafka_resp_err_t code)
{
    struct error why;
    atomic_fetch_add(&k->counts.commit_failures, 1);
    if (is_for_good(code)) {
        // Trying again would keep the group from taking us back (measured: for ever).
        k->who.broken = true;
    }
    if (code != RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS && !is_for_good(code)) {
        k->health.uncommitted = true;
        kafka_error(&why, code, "kafka: offsets of group %s are not committed", k->group);
        kafka_went_wrong(k, &why);
    }
}

// What was asked is not committed: how old that is counts on.
static void keep_age(struct kafka_checkpoints *c)
{
    if (c->oldest_asked.ns != 0) {
        c->oldest_released = c->oldest_asked;
        c->oldest_asked.ns = 0;
    }
}

static void resend_all(struct kafka_input *k)
{
    for (uint32_t i = 0; i < k->n_topics * k->n_shards; i++) {
        k->parts[i].sent = atomic_load(&k->parts[i].committed);
    }
    keep_age(&k->checkpoints);
}

static void note_committed(struct kafka_input *k, const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t worst = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; list && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *e = &list->elems[i];
        struct kafka_part *p = kafka_part_find(k, e->topic, e->partition);
        if (e->err) {
            worst = e->err;
            if (p) {
                p->sent = atomic_load(&p->committed); // once more
            }
        } else if (p && p->queue) {
            atomic_store(&p->committed, e->offset);
        }
    }
    if (worst) {
        keep_age(&k->checkpoints);
        note_failure(k, worst);
    } else {
        k->checkpoints.oldest_asked.ns = 0;
        atomic_fetch_add(&k->counts.commits, 1);
        atomic_store(&k->health.suspect_until, 0); // the group knows us
        k->health.uncommitted = false;
        kafka_went_well(k);
    }
}

static void take_answer(struct kafka_input *k, rd_kafka_event_t *event)
{
    struct kafka_checkpoints *c = &k->checkpoints;
    uint64_t answered = (uint64_t)(uintptr_t)rd_kafka_event_opaque(event);
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
    if (answered != c->sent) {
        return; // too late: another one was sent
    }
    c->waits = false;
    if (code) {
        resend_all(k);
        note_failure(k, code);
    } else {
        note_committed(k, list);
    }
}

static void note_age(struct kafka_input *k)
{
    struct kafka_checkpoints *c = &k->checkpoints;
    int64_t since = INT64_MAX;
    if (c->first < c->n) {
        since = c->v[c->first].at.ns;
    }
    if (c->oldest_released.ns != 0) {
        since = MIN(since, c->oldest_released.ns);
    }
    if (c->oldest_asked.ns != 0) {
        since = MIN(since, c->oldest_asked.ns);
    }
    atomic_store(&c->uncommitted_since, since);
}

void kafka_commits_serve(struct kafka_input *k)
{
    rd_kafka_event_t *event;
    while ((event = rd_kafka_queue_poll(k->commits, 0))) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_OFFSET_COMMIT) {
            take_answer(k, event);
        }
        rd_kafka_event_destroy(event);
    }
    struct kafka_checkpoints *c = &k->checkpoints;
    if (c->waits && kafka_now(k).ns - c->asked.ns > ANSWER_NS) {
        c->waits = false;
        resend_all(k);
        note_failure(k, RD_KAFKA_RESP_ERR__TIMED_OUT);
    }
    release_stored(k);
    note_age(k);
}

void kafka_commit_forget(struct kafka_input *k)
{
    struct kafka_checkpoints *c = &k->checkpoints;
    k->health.uncommitted = false;
    c->waits = false;
    c->sent++;
    c->oldest_asked.ns = c->oldest_released.ns = 0;
}

bool kafka_commit_waits(const struct kafka_input *k)
{
    return k->checkpoints.waits;
}

static void add_part(struct kafka_input *k, struct kafka_part *p, enum kafka_commit_what what,
                     rd_kafka_topic_partition_list_t *list)
{
    int64_t upto = MAX(p->released, atomic_load(&p->committed));
    int64_t floor = kafka_forward_floor(k, p);
    if (floor != KAFKA_UNKNOWN && floor < upto) {
        upto = floor;
    }
    if (upto >= 0 && (what == COMMIT_EVERYTHING || upto > p->sent)) {
        rd_kafka_topic_partition_list_add(list, k->target.topics[p->topic], (int32_t)p->shard)
            ->offset = upto;
        p->sent = upto;
    }
}

void kafka_commit(struct kafka_input *k, enum kafka_commit_what what)
{
    struct kafka_checkpoints *c = &k->checkpoints;
    if ((c->waits && what != COMMIT_LAST) || k->who.broken || !k->parts) {
        return;
    }
    if (c->waits) {
        resend_all(k);
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (uint32_t i = 0; i < k->n_topics * k->n_shards; i++) {
        if (k->parts[i].queue) {
            add_part(k, &k->parts[i], what, list);
        }
    }
    if (list->cnt > 0) {
        c->sent++;
        rd_kafka_resp_err_t code =
            rd_kafka_commit_queue(k->rk, list, k->commits, NULL, (void *)(uintptr_t)c->sent);
        c->waits = code == RD_KAFKA_RESP_ERR_NO_ERROR;
        c->asked = kafka_now(k);
        c->oldest_asked = c->oldest_released;
        c->oldest_released.ns = 0;
        if (code) {
            resend_all(k);
            note_failure(k, code);
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
}
