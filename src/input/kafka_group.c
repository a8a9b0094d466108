// Which partitions are ours. librdkafka says in a callback what the group wants, and waits until we
// call assign: so the callback only notes it, and what it takes (storing what was read, committing
// it, looking up offsets) is done step by step while the consumer is polled on.
//
// Assignments are eager with the range assignor: everything is revoked and assigned anew. The
// incremental protocol differs only in which partitions a list names, and is obeyed, too.
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "input/kafka_impl.h"

#define LEAVE_NS (20 * NS_PER_S)
#define LAST_COMMIT_NS (3 * NS_PER_S)
enum { COMMITTED_MS = 300 };

typedef rd_kafka_topic_partition_list_t part_list;

static bool is_cooperative(const struct kafka_input *k)
{
    const char *protocol = rd_kafka_rebalance_protocol(k->rk);
    return protocol && strcmp(protocol, "COOPERATIVE") == 0;
}

static void tell_library(struct kafka_input *k, bool assign, const part_list *list)
{
    if (is_cooperative(k)) {
        rd_kafka_error_t *e = assign ? rd_kafka_incremental_assign(k->rk, list)
                                     : rd_kafka_incremental_unassign(k->rk, list);
        rd_kafka_error_destroy(e); // accepts NULL; it fails only where the assignment is lost
        return;
    }
    rd_kafka_assign(k->rk, assign ? list : NULL);
}

static void take_list(struct kafka_input *k, const part_list *list)
{
    if (k->who.list) {
        rd_kafka_topic_partition_list_destroy(k->who.list);
    }
    k->who.list = list ? rd_kafka_topic_partition_list_copy(list) : NULL;
}

// ---- shards ------------------------------------------------------------------------------------

static void owe(struct kafka_input *k, enum batch_change change, const uint32_t *shards, uint32_t n)
{
    struct kafka_group *g = &k->who;
    if (n == 0) {
        return;
    }
    ARRAY_RESERVE(g->owed, g->n_owed, g->cap_owed);
    struct kafka_change *c = &g->owed[g->n_owed++];
    *c = (struct kafka_change){.change = change, .shards = x_array(n, sizeof(*shards)), .n = n};
    memcpy(c->shards, shards, n * sizeof(*shards));
    if (change == SHARDS_LOST) {
        atomic_store(&g->lost_at, INT64_MAX); // until somebody has heard
    }
}

// The shards whose partitions, of all topics, are ours and not leaving.
static uint32_t whole_shards(const struct kafka_input *k, uint32_t *ret)
{
    uint32_t n = 0;
    for (uint32_t s = 0; s < k->n_shards; s++) {
        bool whole = true;
        for (uint32_t t = 0; t < k->n_topics; t++) {
            const struct kafka_part *p = kafka_part_of(k, t, s);
            whole = whole && p->queue && !p->leaving;
        }
        if (whole) {
            ret[n++] = s;
        }
    }
    return n;
}

static void close_part(struct kafka_input *k, struct kafka_part *p)
{
    if (p->queue) {
        rd_kafka_queue_io_event_enable(p->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(p->queue);
    }
    p->queue = NULL;
    p->leaving = false;
    atomic_store(&p->assigned, false);
    atomic_store(&p->high, KAFKA_UNKNOWN);
    kafka_forward_drop(k, p);
}

static void open_part(struct kafka_input *k, struct kafka_part *p, int64_t committed)
{
    static const uint64_t one = 1;
    const char *topic = k->target.topics[p->topic];
    p->queue = rd_kafka_queue_get_partition(k->rk, topic, (int32_t)p->shard);
    rd_kafka_queue_forward(p->queue, NULL); // before it is assigned: nothing may go astray
    rd_kafka_queue_io_event_enable(p->queue, k->wake, &one, sizeof(one));
    p->generation = k->who.generation;
    p->maybe = true;
    p->next_question.ns = 0;
    p->newest = INT64_MIN;
    p->next = p->noted = p->released = p->sent = committed >= 0 ? committed : KAFKA_UNKNOWN;
    atomic_store(&p->position, p->next);
    atomic_store(&p->committed, p->next);
    atomic_store(&p->high, KAFKA_UNKNOWN);
    atomic_store(&p->assigned, true);
}

static void describe(struct kafka_input *k)
{
    input_describe(&k->base, "%.90s; %u of %u partitions here", k->base.info.about, k->n_owned,
                   k->n_shards);
}

// What is ours changed: marks of the list as leaving, or dropped.
enum fate { FATE_LEAVING, FATE_GONE };

static void mark(struct kafka_input *k, const part_list *list, enum fate fate)
{
    for (int i = 0; list && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *e = &list->elems[i];
        struct kafka_part *p = kafka_part_find(k, e->topic, e->partition);
        if (p && fate == FATE_LEAVING) {
            p->leaving = true;
        } else if (p) {
            close_part(k, p);
        }
    }
}

// Says what became of the shards that were whole and are not any more.
static uint32_t recount(struct kafka_input *k, enum batch_change change)
{
    AUTO_FREE uint32_t *now = x_array(k->n_shards, sizeof(*now));
    AUTO_FREE uint32_t *diff = x_array(k->n_shards, sizeof(*diff));
    uint32_t n = whole_shards(k, now), n_diff = 0;
    bool more = change == SHARDS_TAKEN;
    const uint32_t *all = more ? now : k->owned, *but = more ? k->owned : now;
    uint32_t n_all = more ? n : k->n_owned, n_but = more ? k->n_owned : n;
    for (uint32_t i = 0, j = 0; i < n_all; i++) { // both ascend
        while (j < n_but && but[j] < all[i]) {
            j++;
        }
        if (j == n_but || but[j] != all[i]) {
            diff[n_diff++] = all[i];
        }
    }
    owe(k, change, diff, n_diff);
    memcpy(k->owned, now, n * sizeof(*now));
    k->n_owned = n;
    k->turn = 0;
    describe(k);
    return n_diff;
}

// ---- revoked -----------------------------------------------------------------------------------

static void begin_leaving(struct kafka_input *k, const part_list *list)
{
    struct kafka_group *g = &k->who;
    atomic_fetch_add(&k->counts.revoked, 1);
    take_list(k, list);
    mark(k, list, FATE_LEAVING);
    g->left_at = recount(k, SHARDS_LEFT) > 0 ? KAFKA_UNKNOWN : 0;
    g->phase = GROUP_LEAVING;
    g->deadline.ns = kafka_now(k).ns + LEAVE_NS;
}

// Those that were told as left, or are to be, but were not answered in time.
static void lose_unanswered(struct kafka_input *k)
{
    struct kafka_group *g = &k->who;
    AUTO_FREE uint32_t *shards = x_array(k->n_shards, sizeof(*shards));
    uint32_t n = 0;
    for (uint32_t s = 0; s < k->n_shards; s++) {
        bool leaving = false;
        for (uint32_t t = 0; t < k->n_topics; t++) {
            const struct kafka_part *p = kafka_part_of(k, t, s);
            leaving = leaving || (p->queue && p->leaving);
        }
        if (leaving) {
            shards[n++] = s;
        }
    }
    if (g->n_owed > 0 && g->owed[g->n_owed - 1].change == SHARDS_LEFT) {
        free(g->owed[--g->n_owed].shards); // not even told
    }
    owe(k, SHARDS_LOST, shards, n);
}

static void end_assignment(struct kafka_input *k)
{
    struct kafka_group *g = &k->who;
    if (g->list) {
        tell_library(k, false, g->list);
    }
    mark(k, g->list, FATE_GONE);
    kafka_commit_forget(k);
    g->generation++;
    g->broken = false;
    g->phase = GROUP_STEADY;
    take_list(k, NULL);
}

// Somebody else may read them already: nothing is waited for, nothing committed.
static void lose(struct kafka_input *k, const part_list *list)
{
    struct kafka_group *g = &k->who;
    atomic_fetch_add(&k->counts.lost, 1);
    if (g->phase == GROUP_LEAVING) {
        lose_unanswered(k);
    } else if (g->phase != GROUP_COMMITTING) {
        take_list(k, list);
        mark(k, list, FATE_LEAVING);
        recount(k, SHARDS_LOST);
    }
    end_assignment(k);
}

static bool forwards_wait(struct kafka_input *k)
{
    bool wait = false;
    for (uint32_t i = 0; i < k->n_topics * k->n_shards; i++) {
        wait = wait || (k->parts[i].leaving && k->parts[i].first);
    }
    return wait;
}

static void step_leaving(struct kafka_input *k)
{
    struct kafka_group *g = &k->who;
    bool answered = g->left_at >= 0 && atomic_load(&k->stored) >= g->left_at && !forwards_wait(k);
    bool late = kafka_now(k).ns >= g->deadline.ns;
    if (!answered && !late) {
        return;
    }
    if (!answered) {
        lose_unanswered(k);
    }
    kafka_commit(k, COMMIT_LAST);
    g->phase = GROUP_COMMITTING;
    g->deadline.ns = kafka_now(k).ns + LAST_COMMIT_NS;
}

// ---- assigned ----------------------------------------------------------------------------------

static int refuse_partition(struct kafka_input *k, const rd_kafka_topic_partition_t *e,
                            struct error *err)
{
    return error_set(err, -EPROTO,
                     "kafka: topic '%s' has a partition %d, and had %u when this began: hosts "
                     "belong to other partitions now; give all topics the same number and start "
                     "again",
                     e->topic, (int)e->partition, k->n_shards);
}

// Opens what comes in pairs; *list is left with that. The rest of the shard may be at a member that
// reads other topics, or with another assignor: half of a shard would give wrong costs.
static int open_list(struct kafka_input *k, part_list *list, struct error *err)
{
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *e = &list->elems[i];
        struct kafka_part *p = kafka_part_find(k, e->topic, e->partition);
        if (!p) {
            return refuse_partition(k, e, err);
        }
        if (!p->queue) {
            open_part(k, p, e->offset);
        }
        e->offset = e->offset >= 0 ? e->offset : RD_KAFKA_OFFSET_BEGINNING;
    }
    return 0;
}

static bool has_shard(const uint32_t *shards, uint32_t n, uint32_t shard)
{
    uint32_t i = 0;
    while (i < n && shards[i] != shard) {
        i++;
    }
    return i < n;
}

static void drop_halves(struct kafka_input *k, part_list *list)
{
    AUTO_FREE uint32_t *whole = x_array(k->n_shards, sizeof(*whole));
    uint32_t n = whole_shards(k, whole);
    int dropped = 0;
    for (int i = list->cnt - 1; i >= 0; i--) {
        const rd_kafka_topic_partition_t *e = &list->elems[i];
        if (!has_shard(whole, n, (uint32_t)e->partition)) {
            close_part(k, kafka_part_find(k, e->topic, e->partition));
            rd_kafka_topic_partition_list_del_by_idx(list, i);
            dropped++;
        }
    }
    k->health.split = dropped > 0;
    if (dropped > 0) {
        struct error err;
        atomic_fetch_add(&k->counts.mismatches, (uint64_t)dropped);
        error_set(&err, -ESTALE,
                  "kafka: %d partitions without their counterpart in the other topics are not "
                  "read: all members of group %s must read the same topics with the range assignor",
                  dropped, k->group);
        kafka_went_wrong(k, &err);
    }
}

static int take(struct kafka_input *k, part_list *list, struct error *err)
{
    struct kafka_group *g = &k->who;
    g->generation++;
    g->broken = false;
    g->phase = GROUP_STEADY;
    int r = open_list(k, list, err);
    if (r < 0) {
        g->refused = r;
        g->why = *err;
        return r;
    }
    drop_halves(k, list);
    tell_library(k, true, list);
    recount(k, SHARDS_TAKEN);
    g->joined = true;
    kafka_went_well(k);
    return 0;
}

static int step_taking(struct kafka_input *k, struct error *err)
{
    struct kafka_group *g = &k->who;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (g->list->cnt > 0) {
        code = rd_kafka_committed(k->rk, g->list, COMMITTED_MS);
    }
    for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < g->list->cnt; i++) {
        code = g->list->elems[i].err;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        struct error why;
        kafka_error(&why, code, "kafka: the offsets of group %s are not told", k->group);
        kafka_went_wrong(k, &why);
        return 0; // once more with the next step
    }
    part_list *list = TAKE_PTR(g->list);
    int r = take(k, list, err);
    rd_kafka_topic_partition_list_destroy(list);
    return r;
}

// ---- what librdkafka calls ---------------------------------------------------------------------

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, part_list *list, void *opaque)
{
    struct kafka_input *k = kafka_log_owner(opaque);
    (void)rk;
    if (k->closing) {
        tell_library(k, code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, list);
    } else if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        atomic_fetch_add(&k->counts.assigned, 1);
        take_list(k, list);
        k->who.phase = GROUP_TAKING;
    } else if (rd_kafka_assignment_lost(k->rk)) {
        lose(k, list);
    } else {
        begin_leaving(k, list);
    }
}

void kafka_group_attach(rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
}

int kafka_group_step(struct kafka_input *k, struct error *err)
{
    struct kafka_group *g = &k->who;
    if (g->refused < 0) {
        *err = g->why;
        return g->refused;
    }
    bool leaving = g->phase == GROUP_LEAVING || g->phase == GROUP_COMMITTING;
    if (leaving && rd_kafka_assignment_lost(k->rk)) {
        lose(k, NULL);
    }
    switch (g->phase) {
    case GROUP_TAKING:
        return step_taking(k, err);
    case GROUP_LEAVING:
        step_leaving(k);
        return 0;
    case GROUP_COMMITTING:
        if (!kafka_commit_waits(k) || kafka_now(k).ns >= g->deadline.ns) {
            end_assignment(k);
        }
        return 0;
    case GROUP_STEADY:
        break;
    }
    return 0;
}

bool kafka_group_tell(struct kafka_input *k, struct batch *b)
{
    struct kafka_group *g = &k->who;
    if (g->n_owed == 0) {
        return false;
    }
    struct kafka_change c = g->owed[0];
    ARRAY_DROP_FRONT(g->owed, g->n_owed, 1);
    b->change = c.change;
    b->n_shards = c.n;
    b->shards = arena_alloc(&b->arena, c.n * sizeof(*c.shards));
    memcpy(b->shards, c.shards, c.n * sizeof(*c.shards));
    free(c.shards);
    k->position++;
    if (c.change == SHARDS_LEFT && g->phase == GROUP_LEAVING) {
        g->left_at = k->position;
    }
    if (c.change == SHARDS_LOST) {
        atomic_store(&g->lost_at, k->position);
    }
    return true;
}

void kafka_group_done(struct kafka_input *k)
{
    struct kafka_group *g = &k->who;
    if (g->list) {
        tell_library(k, false, g->list); // it waits for an answer
    }
    for (uint32_t i = 0; k->parts && i < k->n_topics * k->n_shards; i++) {
        close_part(k, &k->parts[i]);
    }
    take_list(k, NULL);
    for (size_t i = 0; i < g->n_owed; i++) {
        free(g->owed[i].shards);
    }
    free(g->owed);
    g->owed = NULL;
    g->n_owed = g->cap_owed = 0;
}
