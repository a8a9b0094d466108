// One message: a record, a dead letter, or one that is sent back with a key.
#include <errno.h>
#include <stdio.h>

#include "base/alloc.h"
#include "input/kafka_impl.h"
#include "model/validate.h"

#define ORIGIN_HEADER "gtap-origin"
#define QUESTION_EVERY (10 * NS_PER_S)
enum { SMALL_GAP = 16, QUERY_MS = 1000 };

struct taking {
    struct kafka_input *k;
    struct batch *b;
    struct kafka_part *p;
    int64_t now;
};

// "tokens/3/4711": what stands for an event_id where the producer gave none.
static struct str place(const struct taking *t, const char *prefix, int64_t offset)
{
    const char *topic = t->k->target.topics[t->p->topic];
    char text[320];
    int n =
        snprintf(text, sizeof(text), "%s%s/%u/%lld", prefix, topic, t->p->shard, (long long)offset);
    return arena_copy(&t->b->arena, (struct str){text, (size_t)n});
}

static void refuse(struct taking *t, const rd_kafka_message_t *m, struct str payload,
                   const char *reason)
{
    struct dead_letter *d = batch_add_dead(t->b);
    payload.n = MIN(payload.n, (size_t)RECORD_BYTES_MAX);
    t->k->position++;
    *d = (struct dead_letter){
        .at = t->now,
        .origin = place(t, "kafka:", m->offset),
        .position = m->offset, // whoever reads it again says the same
        .reason = arena_copy(&t->b->arena, str_of(reason)),
        .payload = payload,
    };
}

// ---- decoding ----------------------------------------------------------------------------------

// The text with the assumed host as its first field.
static struct str with_host(struct kafka_input *k, struct str text)
{
    const char *brace = text.n ? memchr(text.p, '{', text.n) : NULL;
    if (!brace) {
        return STR_NONE;
    }
    size_t head = (size_t)(brace + 1 - text.p);
    struct buf *b = &k->shaped;
    buf_clear(b);
    buf_add(b, text.p, head);
    buf_cstr(b, "\"host\":");
    buf_json_str(b, k->host);
    buf_char(b, ',');
    buf_add(b, text.p + head, text.n - head);
    size_t n = b->n;
    return buf_reserve(b, DECODER_PADDING) && buf_ok(b) ? (struct str){b->p, n} : STR_NONE;
}

// A sample must name its host, so one that does not is decoded once more with the assumed one.
static int decode_assumed(struct taking *t, struct str text, struct record *r, struct error *err)
{
    struct error again;
    struct str shaped = with_host(t->k, text);
    if (!str_present(shaped) ||
        decoder_record(t->k->decoder, shaped, &t->b->arena, r, &again) < 0) {
        return err->code; // what is wrong with the message as it came
    }
    return 0;
}

static int decode(struct taking *t, struct str text, struct record *r, struct error *err)
{
    struct kafka_input *k = t->k;
    if (text.n > RECORD_BYTES_MAX) {
        return error_set(err, -EINVAL, "record: longer than 1 MiB");
    }
    int result = decoder_record(k->decoder, text, &t->b->arena, r, err);
    if (result < 0 && str_present(k->host)) {
        result = decode_assumed(t, text, r, err);
    }
    if (result == 0 && str_present(k->host) && !str_present(record_host(r))) {
        r->usage.host = arena_copy(&t->b->arena, k->host);
        r->digest = record_digest(r);
    }
    return result < 0 ? result : record_check_now(r, t->now, err);
}

// ---- keys --------------------------------------------------------------------------------------

// Whether the record's host has its home in another partition. -1: it has none.
static bool is_elsewhere(const struct taking *t, const struct record *r)
{
    struct str host = record_host(r);
    return t->k->n_shards > 1 && host.n > 0 &&
           kafka_partition_of(host, (int32_t)t->k->n_shards) != (int32_t)t->p->shard;
}

// True: it goes to its host's partition, where whoever reads that will count it.
static bool goes_elsewhere(struct taking *t, const rd_kafka_message_t *m, const struct record *r)
{
    bool keyed = m->key && m->key_len > 0;
    bool elsewhere = is_elsewhere(t, r);
    struct kafka_counts *counts = &t->k->counts;
    if (!keyed) {
        atomic_fetch_add_explicit(&counts->unkeyed, 1, memory_order_relaxed);
    } else if (elsewhere) {
        atomic_fetch_add_explicit(&counts->misplaced, 1, memory_order_relaxed);
    }
    if (keyed || !elsewhere) {
        return false;
    }
    kafka_forward(t->k, t->p, m, record_host(r));
    return true;
}

static struct str id_of(const struct taking *t, const rd_kafka_message_t *m)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t n;
    if (rd_kafka_message_headers(m, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        rd_kafka_header_get_last(headers, ORIGIN_HEADER, &value, &n) ==
            RD_KAFKA_RESP_ERR_NO_ERROR &&
        n > 0 && n <= RECORD_TEXT_MAX) {
        return arena_copy(&t->b->arena, (struct str){value, n});
    }
    return place(t, "", m->offset);
}

static void take_message(struct taking *t, const rd_kafka_message_t *m, struct str text)
{
    struct error why;
    struct record *r = batch_add(t->b);
    if (!m->payload) {
        t->b->n_records--;
        refuse(t, m, STR(""), "message: empty (a tombstone)");
        return;
    }
    if (decode(t, text, r, &why) < 0) {
        t->b->n_records--;
        refuse(t, m, text, why.msg);
        return;
    }
    atomic_fetch_or_explicit(&t->k->kinds[t->p->topic], 1U << r->kind, memory_order_relaxed);
    t->p->newest = record_ts(r);
    if (goes_elsewhere(t, m, r)) {
        t->b->n_records--;
        return;
    }
    r->shard = t->p->shard;
    r->position = ++t->k->position;
    if (!str_present(r->event_id)) {
        r->event_id = id_of(t, m);
    }
    t->b->payloads[t->b->n_records - 1] = text;
}

// ---- offsets -----------------------------------------------------------------------------------

// Where the partition begins now. What librdkafka 2.0.2 has cached is of its last query, so it is
// asked for; where nobody answers, everything is taken for gone: better too loud.
static int64_t log_start(const struct taking *t, int64_t otherwise)
{
    int64_t low, high;
    const char *topic = t->k->target.topics[t->p->topic];
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
        t->k->rk, topic, (int32_t)t->p->shard, &low, &high, QUERY_MS);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? low : otherwise;
}

// Messages between the last and this one: compacted away, aborted, or gone because the brokers
// kept them for less long than we took. Only the last is loss, and the log's beginning tells.
static void note_gap(struct taking *t, int64_t to)
{
    struct kafka_input *k = t->k;
    struct kafka_part *p = t->p;
    const char *topic = k->target.topics[p->topic];
    struct mono now = kafka_now(k);
    atomic_fetch_add(&k->counts.gaps, (uint64_t)(to - p->next));
    if (to - p->next <= SMALL_GAP && now.ns < p->next_question.ns) {
        return; // transactions end with a message that is none, each time
    }
    p->next_question.ns = now.ns + QUESTION_EVERY;
    int64_t lost = MIN(log_start(t, to), to) - p->next;
    if (lost > 0) {
        struct error err;
        uint64_t all = atomic_fetch_add(&k->counts.expired, (uint64_t)lost) + (uint64_t)lost;
        error_set(&err, -ENODATA,
                  "kafka: %lld messages of %s [%u] from offset %lld on were deleted before they "
                  "were read (%llu in all by now): its retention is shorter than this group was "
                  "behind",
                  (long long)lost, topic, p->shard, (long long)p->next, (unsigned long long)all);
        kafka_went_missing(k, &err);
    }
}

// False: it is none, or was delivered before.
static bool is_next(struct taking *t, const rd_kafka_message_t *m)
{
    struct kafka_part *p = t->p;
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (m->offset > p->next && p->next != KAFKA_UNKNOWN) {
            note_gap(t, m->offset);
        }
        p->next = MAX(p->next, m->offset); // behind what is no message, too
        atomic_store(&p->high, MAX(atomic_load(&p->high), m->offset));
        return false;
    }
    if (m->err) {
        struct error err;
        kafka_error(&err, m->err, "kafka: %s [%u]: %s", t->k->target.topics[p->topic], p->shard,
                    rd_kafka_message_errstr(m));
        kafka_went_wrong(t->k, &err);
        return false;
    }
    if (m->offset < p->next) {
        atomic_fetch_add(&t->k->counts.repeats, 1);
        return false;
    }
    if (m->offset > p->next && p->next != KAFKA_UNKNOWN) {
        note_gap(t, m->offset);
    }
    p->next = m->offset + 1;
    return true;
}

// The payloads, one behind the other: a message pins all that was fetched with it, so none is
// kept. The line feed between them keeps the decoder from looking into the next.
static char *copy_payloads(struct batch *b, rd_kafka_message_t *const *m, size_t n)
{
    size_t bytes = DECODER_PADDING;
    for (size_t i = 0; i < n; i++) {
        bytes += m[i]->err ? 0 : m[i]->len + 1;
    }
    char *at = arena_alloc(&b->arena, bytes), *copy = at;
    for (size_t i = 0; i < n; i++) {
        if (!m[i]->err) {
            memcpy(at, m[i]->len ? m[i]->payload : "", m[i]->len);
            at += m[i]->len;
            *at++ = '\n';
        }
    }
    return copy;
}

void kafka_take_messages(struct kafka_input *k, struct batch *b, struct kafka_part *p,
                         rd_kafka_message_t *const *m, size_t n)
{
    struct taking t = {.k = k, .b = b, .p = p, .now = clock_wall(k->base.env->clock)};
    const char *text = copy_payloads(b, m, n);
    for (size_t i = 0; i < n; i++) {
        if (is_next(&t, m[i])) {
            take_message(&t, m[i], (struct str){text, m[i]->len});
        }
        text += m[i]->err ? 0 : m[i]->len + 1;
    }
    kafka_went_well(k);
}
