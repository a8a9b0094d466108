// Messages without a key: which partition they are in says nothing about their host, whose other
// records are elsewhere. They are produced once more into their topic, keyed, with a header that
// says where they were first, so that reading one twice makes one record. Offsets wait for the
// acknowledgement; a message that Kafka does not take back becomes a dead letter.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "input/kafka_impl.h"

enum { FORWARDS_MAX = 8192, FORWARD_BYTES_MAX = 16 << 20, FLUSH_MS = 2000, DESTROY_MS = 3000 };

#define SAFE_WHY "a message must not be lost or doubled on its way back"

static const struct kafka_value defaults[] = {
    {"compression.codec", "lz4", NULL},
    {"linger.ms", "5", NULL},
    {NULL, NULL, NULL},
};

static const struct kafka_value forced[] = {
    {"enable.idempotence", "true", SAFE_WHY},
    {"acks", "all", SAFE_WHY},
    {"request.required.acks", "-1", SAFE_WHY},
    {"message.timeout.ms", "0", SAFE_WHY},
    {"delivery.timeout.ms", "0", SAFE_WHY},
    {"partitioner", "murmur2_random", "a host's records must meet in one partition"},
    // The bounds here are lower: its own are never met.
    {"queue.buffering.max.messages", "100000", "it is bounded otherwise"},
    {"queue.buffering.max.kbytes", "131072", "it is bounded otherwise"},
    {NULL, NULL, NULL},
};

// ---- acknowledgements --------------------------------------------------------------------------

static void drop_done(struct kafka_part *p)
{
    while (p->first && p->first->state == FORWARD_DONE) {
        struct kafka_forwarded *f = p->first;
        p->first = f->next;
        free(f->reason);
        free((void *)(uintptr_t)f->payload.p);
        free(f);
    }
    if (!p->first) {
        p->last = &p->first;
    }
}

static void note_refused(struct kafka_input *k, struct kafka_forwarded *f,
                         const rd_kafka_message_t *m)
{
    f->state = FORWARD_REFUSED;
    f->reason = x_asprintf("message: has no key, and is not taken back with one: %s",
                           rd_kafka_err2str(m->err));
    f->payload = (struct str){x_strndup(m->payload, m->len), m->len};
    k->forward.refused++;
}

// A run to the ends of the topics goes on to where this one went.
static void move_end(struct kafka_input *k, const rd_kafka_message_t *m)
{
    struct kafka_part *p = kafka_part_find(k, rd_kafka_topic_name(m->rkt), m->partition);
    if (p && m->offset >= p->end) {
        p->end = m->offset + 1;
    }
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct kafka_input *k = kafka_log_owner(opaque);
    struct kafka_forwarded *f = m->_private;
    (void)rk;
    k->forward.n--;
    k->forward.bytes -= m->len;
    if (!f->part) {
        free(f);
        return;
    }
    if (m->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE || m->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) {
        return; // we are going: it is read again
    }
    if (m->err) {
        note_refused(k, f, m);
        return;
    }
    atomic_fetch_add(&k->counts.forwarded, 1);
    move_end(k, m);
    f->state = FORWARD_DONE;
    drop_done(f->part);
}

static int make_conf(struct kafka_input *k, rd_kafka_conf_t **ret, struct error *err)
{
    const struct kafka_plan plan = {defaults, forced};
    return kafka_conf_new(&k->settings, &plan, k->target.bootstrap, k->forward.log, ret, err);
}

int kafka_forward_init(struct kafka_input *k, struct error *err)
{
    rd_kafka_conf_t *conf;
    k->forward.log = kafka_log_new(k);
    int r = make_conf(k, &conf, err);
    if (r == 0) {
        rd_kafka_conf_destroy(conf); // another is made when it is needed
    }
    return r;
}

static int start(struct kafka_input *k, struct error *err)
{
    struct kafka_forwarder *w = &k->forward;
    rd_kafka_conf_t *conf;
    static const uint64_t one = 1;
    int r = make_conf(k, &conf, err);
    if (r < 0) {
        return r;
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    r = kafka_client_new(RD_KAFKA_PRODUCER, conf, &w->rk, err);
    if (r == 0) {
        w->main = rd_kafka_queue_get_main(w->rk);
        rd_kafka_queue_io_event_enable(w->main, k->wake, &one, sizeof(one));
    }
    return r;
}

// ---- sending -----------------------------------------------------------------------------------

bool kafka_forward_has_room(const struct kafka_input *k)
{
    return k->forward.n < FORWARDS_MAX && k->forward.bytes < FORWARD_BYTES_MAX;
}

static rd_kafka_resp_err_t send_back(struct kafka_input *k, struct kafka_forwarded *f,
                                     const rd_kafka_message_t *m, struct str host)
{
    char origin[320];
    const char *topic = k->target.topics[f->part->topic];
    int n =
        snprintf(origin, sizeof(origin), "%s/%u/%lld", topic, f->part->shard, (long long)m->offset);
    return rd_kafka_producev(
        k->forward.rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY((void *)(uintptr_t)host.p, host.n),
        RD_KAFKA_V_VALUE(m->payload, m->len), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_HEADER("gtap-origin", origin, n), RD_KAFKA_V_OPAQUE(f), RD_KAFKA_V_END);
}

void kafka_forward(struct kafka_input *k, struct kafka_part *p, const rd_kafka_message_t *m,
                   struct str host)
{
    struct kafka_forwarder *w = &k->forward;
    struct kafka_forwarded *f = x_zalloc(sizeof(*f));
    f->part = p;
    f->offset = m->offset;
    *p->last = f;
    p->last = &f->next;
    if (!w->rk && w->failed == 0) {
        w->failed = start(k, &w->why);
    }
    if (w->failed < 0) {
        return; // said by the next kafka_forward_serve()
    }
    rd_kafka_resp_err_t code = send_back(k, f, m, host);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        f->state = FORWARD_SENT;
        w->n++;
        w->bytes += m->len;
        return;
    }
    rd_kafka_message_t refused = {.err = code, .payload = m->payload, .len = m->len};
    note_refused(k, f, &refused);
}

int kafka_forward_serve(struct kafka_input *k, struct error *err)
{
    struct kafka_forwarder *w = &k->forward;
    char text[KAFKA_LINE_MAX];
    if (w->rk) {
        rd_kafka_poll(w->rk, 0);
        rd_kafka_resp_err_t code = rd_kafka_fatal_error(w->rk, text, sizeof(text));
        if (code) {
            w->failed = kafka_error(&w->why, code,
                                    "kafka: messages without a key cannot be sent "
                                    "back: %s",
                                    text);
        }
    }
    if (w->failed < 0 && err) {
        *err = w->why;
    }
    return w->failed;
}

// ---- what was not taken back -------------------------------------------------------------------

static void tell_one(struct kafka_input *k, struct batch *b, struct kafka_forwarded *f)
{
    char origin[320];
    int n = snprintf(origin, sizeof(origin), "kafka:%s/%u/%lld", k->target.topics[f->part->topic],
                     f->part->shard, (long long)f->offset);
    f->position = ++k->position;
    f->state = FORWARD_TOLD;
    k->forward.refused--;
    struct str payload = f->payload;
    payload.n = MIN(payload.n, (size_t)RECORD_BYTES_MAX);
    *batch_add_dead(b) = (struct dead_letter){
        .at = clock_wall(k->base.env->clock),
        .origin = arena_copy(&b->arena, (struct str){origin, (size_t)n}),
        .position = f->offset,
        .reason = arena_copy(&b->arena, str_of(f->reason)),
        .payload = arena_copy(&b->arena, payload),
    };
}

void kafka_forward_tell(struct kafka_input *k, struct batch *b)
{
    for (uint32_t i = 0; i < k->n_topics * k->n_shards; i++) {
        for (struct kafka_forwarded *f = k->parts[i].first; f; f = f->next) {
            if (f->state == FORWARD_REFUSED && b->n_dead < BATCH_RECORDS) {
                tell_one(k, b, f);
            }
        }
    }
}

int64_t kafka_forward_floor(struct kafka_input *k, struct kafka_part *p)
{
    int64_t stored = atomic_load(&k->stored);
    for (struct kafka_forwarded *f = p->first; f; f = f->next) {
        if (f->state == FORWARD_TOLD && f->position <= stored) {
            f->state = FORWARD_DONE;
        }
    }
    drop_done(p);
    return p->first ? p->first->offset : KAFKA_UNKNOWN;
}

// Those on their way are freed when they are answered.
void kafka_forward_drop(struct kafka_input *k, struct kafka_part *p)
{
    for (struct kafka_forwarded *f = p->first, *next; f; f = next) {
        next = f->next;
        if (f->state == FORWARD_SENT) {
            f->part = NULL;
            continue;
        }
        k->forward.refused -= f->state == FORWARD_REFUSED;
        free(f->reason);
        free((void *)(uintptr_t)f->payload.p);
        free(f);
    }
    p->first = NULL;
    p->last = &p->first;
}

void kafka_forward_done(struct kafka_input *k)
{
    struct kafka_forwarder *w = &k->forward;
    if (w->rk) {
        rd_kafka_purge(w->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(w->rk, FLUSH_MS);
        rd_kafka_queue_io_event_enable(w->main, -1, NULL, 0);
        rd_kafka_queue_destroy(w->main);
    }
    if (kafka_client_destroy(w->rk, DESTROY_MS)) {
        kafka_log_free(w->log);
    }
}
