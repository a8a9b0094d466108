// Which partition is read next. Each has a queue of its own; not to read one is all the
// back-pressure there is. Within a shard the topic that is behind in event time is read first, and
// none runs far ahead of another that has more to come: what the engine would have to hold back
// meanwhile stays in Kafka.
#include <stdlib.h>

#include "base/alloc.h"
#include "input/kafka_impl.h"

#define AHEAD_MAX (60 * NS_PER_S)
enum { CHUNK = 256, BATCH_BYTES = 1 << 20 };

static bool has_more(const struct kafka_part *p)
{
    int64_t high = atomic_load_explicit(&p->high, memory_order_relaxed);
    return p->queue && !p->leaving && (p->maybe || high < 0 || p->next < high);
}

static bool is_ahead(const struct kafka_input *k, const struct kafka_part *p)
{
    bool ahead = false;
    for (uint32_t t = 0; t < k->n_topics && p->newest != INT64_MIN; t++) {
        const struct kafka_part *o = kafka_part_of(k, t, p->shard);
        bool far = o->newest == INT64_MIN || p->newest > o->newest + AHEAD_MAX;
        ahead = ahead || (o != p && far && has_more(o));
    }
    return ahead;
}

static struct kafka_part *choose(struct kafka_input *k, uint32_t shard)
{
    struct kafka_part *best = NULL;
    for (uint32_t t = 0; t < k->n_topics; t++) {
        struct kafka_part *p = kafka_part_of(k, t, shard);
        bool may = p->queue && !p->leaving && p->maybe && !is_ahead(k, p);
        if (may && (!best || p->newest < best->newest)) {
            best = p;
        }
    }
    return best;
}

static size_t room(const struct batch *b)
{
    size_t n = b->n_records + b->n_dead;
    bool full = n >= BATCH_RECORDS || b->arena.used >= BATCH_BYTES;
    return full ? 0 : MIN((size_t)CHUNK, BATCH_RECORDS - n);
}

// How many messages were there; 0: nothing to read in this shard.
static size_t read_shard(struct kafka_input *k, struct batch *b, uint32_t shard)
{
    rd_kafka_message_t *m[CHUNK];
    struct kafka_part *p;
    size_t most = room(b);
    while (most > 0 && (p = choose(k, shard))) {
        ssize_t n = rd_kafka_consume_batch_queue(p->queue, 0, m, most);
        p->maybe = n == (ssize_t)most; // else it is empty, and says so when it is not any more
        if (n <= 0) {
            continue;
        }
        kafka_take_messages(k, b, p, m, (size_t)n);
        for (ssize_t i = 0; i < n; i++) {
            rd_kafka_message_destroy(m[i]);
        }
        return (size_t)n;
    }
    return 0;
}

// ---- fetching goes on --------------------------------------------------------------------------

static bool runs_dry(const struct kafka_part *p)
{
    int64_t high = atomic_load_explicit(&p->high, memory_order_relaxed);
    return p->queue && !p->leaving && p->next < high && p->next != p->woken &&
           rd_kafka_queue_length(p->queue) < CHUNK;
}

// A thread of librdkafka 2.0.2 that fetches looks at the queues when something comes from its
// broker. When it finds all of them full it asks for nothing, and does not look again for up to a
// second, in which we run dry. Of the calls that there are, this one wakes it and does nothing
// else: what it sets is what is set.
static void wake_fetchers(struct kafka_input *k)
{
    const struct kafka_property *user = kafka_settings_find(&k->settings, "sasl.username");
    const struct kafka_property *password = kafka_settings_find(&k->settings, "sasl.password");
    rd_kafka_error_t *e = rd_kafka_sasl_set_credentials(k->rk, user ? user->value : "",
                                                        password ? password->value : "");
    if (e) {
        rd_kafka_error_destroy(e);
    }
}

// Once is enough for what a partition has read by then: whoever was awake has seen it.
static void keep_fetching(struct kafka_input *k)
{
    struct mono now = kafka_now(k);
    bool may = now.ns >= k->next_wake.ns, wake = false;
    k->wake_owed = false;
    for (uint32_t i = 0; i < k->n_topics * k->n_shards; i++) {
        struct kafka_part *p = &k->parts[i];
        if (runs_dry(p)) {
            k->wake_owed |= !may;
            wake |= may;
            p->woken = may ? p->next : p->woken;
        }
    }
    if (wake) {
        wake_fetchers(k);
        k->next_wake.ns = now.ns + WAKE_EVERY;
    }
}

void kafka_read(struct kafka_input *k, struct batch *b)
{
    uint32_t quiet = 0;
    while (quiet < k->n_owned && room(b) > 0 && kafka_forward_has_room(k)) {
        k->turn = (k->turn + 1) % k->n_owned;
        quiet = read_shard(k, b, k->owned[k->turn]) > 0 ? 0 : quiet + 1;
    }
    for (uint32_t i = 0; i < k->n_topics * k->n_shards; i++) {
        struct kafka_part *p = &k->parts[i];
        if (p->noted != p->next) {
            p->noted = p->next;
            kafka_checkpoint(k, p);
            atomic_store(&p->position, p->next);
            atomic_store(&p->high, MAX(atomic_load(&p->high), p->next));
        }
    }
    keep_fetching(k);
}

void kafka_look(struct kafka_input *k)
{
    for (uint32_t i = 0; i < k->n_topics * k->n_shards; i++) {
        struct kafka_part *p = &k->parts[i];
        int64_t low, high;
        if (p->queue &&
            rd_kafka_get_watermark_offsets(k->rk, k->target.topics[p->topic], (int32_t)p->shard,
                                           &low, &high) == RD_KAFKA_RESP_ERR_NO_ERROR &&
            high >= 0) {
            atomic_store(&p->high, high);
        }
    }
}

bool kafka_at_end(struct kafka_input *k)
{
    bool end = k->until_end && k->who.joined && k->who.phase == GROUP_STEADY &&
               k->who.n_owed == 0 && k->forward.n == 0 && k->forward.refused == 0;
    for (uint32_t i = 0; end && i < k->n_topics * k->n_shards; i++) {
        const struct kafka_part *p = &k->parts[i];
        end = !p->queue || p->next >= p->end;
    }
    return end;
}
