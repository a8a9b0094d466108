#include "base/metric.h"
#include "input/kafka_impl.h"

static const struct metric_def consumer_lag = {
    "gtap_kafka_consumer_lag", "Messages of the partition that are not read yet", METRIC_GAUGE};
static const struct metric_def commit_lag = {
    "gtap_kafka_commit_lag", "Messages of the partition behind the committed offset", METRIC_GAUGE};
static const struct metric_def commit_age = {
    "gtap_kafka_commit_age_seconds",
    "For how long the oldest message read has not been committed; 0: all are", METRIC_GAUGE};
static const struct metric_def assigned = {"gtap_kafka_assigned_partitions",
                                           "Partitions that this member reads", METRIC_GAUGE};
static const struct metric_def rebalances = {"gtap_kafka_rebalances_total",
                                             "Changes of this member's assignment", METRIC_COUNTER};

struct counter {
    struct metric_def def;
    size_t at; // in struct kafka_counts
};
#define COUNTER(member, help)                                                                      \
    {                                                                                              \
        {"gtap_kafka_" #member "_total", help, METRIC_COUNTER},                                    \
            offsetof(struct kafka_counts, member)                                                  \
    }
static const struct counter counters[] = {
    COUNTER(unkeyed, "Messages without a key"),
    COUNTER(forwarded, "Messages without a key that were sent back with one"),
    COUNTER(misplaced, "Messages with a key whose host belongs to another partition"),
    COUNTER(gaps, "Offsets without a message: compacted, aborted, or expired"),
    COUNTER(repeats, "Messages delivered again, and dropped"),
    COUNTER(expired, "Messages deleted by retention before they were read"),
    COUNTER(commits, "Requests that committed offsets"),
    COUNTER(commit_failures, "Requests to commit offsets that failed"),
    COUNTER(mismatches, "Partitions assigned without their counterpart in another topic"),
    COUNTER(errors, "Errors of brokers and client"),
};

static void label_part(struct metric *m, const struct kafka_input *k, const struct kafka_part *p)
{
    metric_label(m, "topic", k->target.topics[p->topic]);
    metric_label_int(m, "partition", p->shard);
}

static void add_part(const struct kafka_input *k, const struct kafka_part *p,
                     struct metric_list *to)
{
    int64_t high = atomic_load(&p->high), position = atomic_load(&p->position);
    int64_t committed = atomic_load(&p->committed);
    if (high >= 0 && position >= 0) {
        double lag = (double)MAX(high - position, INT64_C(0));
        label_part(metric_add(to, &consumer_lag, lag), k, p);
    }
    if (high >= 0 && committed >= 0) {
        double lag = (double)MAX(high - committed, INT64_C(0));
        label_part(metric_add(to, &commit_lag, lag), k, p);
    }
}

static void add_rebalances(const struct kafka_input *k, struct metric_list *to)
{
    const struct kafka_counts *c = &k->counts;
    metric_label(metric_add(to, &rebalances, (double)atomic_load(&c->assigned)), "kind",
                 "assigned");
    metric_label(metric_add(to, &rebalances, (double)atomic_load(&c->revoked)), "kind", "revoked");
    metric_label(metric_add(to, &rebalances, (double)atomic_load(&c->lost)), "kind", "lost");
}

void kafka_metrics(const struct input *in, struct metric_list *to)
{
    const struct kafka_input *k = (const struct kafka_input *)in;
    double n = 0;
    for (uint32_t i = 0; i < k->n_topics * k->n_shards; i++) {
        if (atomic_load(&k->parts[i].assigned)) {
            add_part(k, &k->parts[i], to);
            n++;
        }
    }
    metric_add(to, &assigned, n);
    int64_t since = atomic_load(&k->checkpoints.uncommitted_since);
    int64_t age = since == INT64_MAX ? 0 : MAX(kafka_now(k).ns - since, INT64_C(0));
    metric_add(to, &commit_age, (double)age / (double)NS_PER_S);
    add_rebalances(k, to);
    for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
        const char *at = (const char *)&k->counts + counters[i].at;
        const _Atomic uint64_t *v = (const _Atomic uint64_t *)(const void *)at;
        metric_add(to, &counters[i].def, (double)atomic_load(v));
    }
}
