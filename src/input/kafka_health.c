// How it fares, and whether it may still believe to own what it was given.
#include <errno.h>

#include "input/kafka_impl.h"

#define PREFIX "kafka: " // whoever shows how an input fares names it
#define PROBE_EVERY NS_PER_S
#define HOLD_NS (5 * NS_PER_S) // longer than anybody takes to look
enum { PROBE_MS = 200 };

// ---- are we current? ---------------------------------------------------------------------------

// A process that stood still for as long as the group waits for a sign of life may have been
// replaced. librdkafka finds out by itself, but a moment after we run again; until it has, or an
// answer shows that the group still knows us, nothing is to be made final.
void kafka_polled(struct kafka_input *k)
{
    int64_t now = kafka_now(k).ns;
    if (k->n_owned > 0 && now - atomic_load(&k->health.polled) > k->session_ns / 2) {
        atomic_store(&k->health.suspect_until, now + k->session_ns);
        k->next_commit.ns = k->next_recommit.ns = now; // ask at once
    }
    atomic_store(&k->health.polled, now);
}

bool kafka_current(const struct input *in)
{
    const struct kafka_input *k = (const struct kafka_input *)in;
    int64_t now = kafka_now(k).ns;
    bool heard = atomic_load(&k->stored) >= atomic_load(&k->who.lost_at);
    return heard && now - atomic_load(&k->health.polled) <= k->session_ns / 2 &&
           now >= atomic_load(&k->health.suspect_until);
}

// ---- errors ------------------------------------------------------------------------------------

void kafka_went_well(struct kafka_input *k)
{
    struct kafka_health *h = &k->health;
    if (!h->ok && !h->uncommitted && !h->split && !k->closing && kafka_now(k).ns >= h->hold.ns) {
        h->ok = true;
        input_report(&k->base, NULL);
    }
}

void kafka_went_missing(struct kafka_input *k, const struct error *err)
{
    k->health.hold.ns = kafka_now(k).ns + HOLD_NS;
    kafka_went_wrong(k, err);
}

void kafka_went_wrong(struct kafka_input *k, const struct error *err)
{
    atomic_fetch_add(&k->counts.errors, 1);
    k->health.ok = false;
    k->health.next_probe.ns = kafka_now(k).ns + PROBE_EVERY;
    struct error said = *err;
    size_t prefix = strncmp(said.msg, PREFIX, sizeof(PREFIX) - 1) == 0 ? sizeof(PREFIX) - 1 : 0;
    memmove(said.msg, said.msg + prefix, strlen(said.msg) + 1 - prefix);
    if (!k->closing) {
        input_report(&k->base, &said);
    }
}

// Where nothing is read and nothing committed, only asking shows that brokers are back.
static void probe(struct kafka_input *k)
{
    const struct rd_kafka_metadata *meta = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(k->rk, 0, NULL, &meta, PROBE_MS);
    bool whole = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int t = 0; whole && t < meta->topic_cnt; t++) {
        whole = !meta->topics[t].err;
        for (int i = 0; i < meta->topics[t].partition_cnt; i++) {
            whole = whole && meta->topics[t].partitions[i].leader >= 0;
        }
    }
    if (meta) {
        rd_kafka_metadata_destroy(meta);
    }
    if (whole) {
        kafka_went_well(k);
    }
}

static void hear_troubles(struct kafka_input *k)
{
    struct kafka_trouble trouble;
    struct error why;
    kafka_log_trouble(k->log, &trouble);
    if (trouble.count > k->health.troubles) {
        k->health.troubles = trouble.count;
        kafka_error(&why, trouble.code, "kafka: %s", trouble.text);
        kafka_went_wrong(k, &why);
    }
}

int kafka_health_step(struct kafka_input *k, struct error *err)
{
    char text[KAFKA_LINE_MAX];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(k->rk, text, sizeof(text));
    if (code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID) {
        return kafka_error(err, code,
                           "kafka: another member of group %s has this group.instance.id: give "
                           "each process its own",
                           k->group);
    }
    if (code) {
        return kafka_error(err, code, "kafka: %s", text);
    }
    hear_troubles(k);
    if (!k->health.ok && k->who.joined && kafka_now(k).ns >= k->health.next_probe.ns) {
        probe(k);
        k->health.next_probe.ns = kafka_now(k).ns + PROBE_EVERY;
    }
    return 0;
}
