// http: records that are sent in by POST /v1/events; see docs/inputs/http.md.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/uuid.h"
#include "input/body.h"
#include "input/delivery.h"
#include "input/input_impl.h"
#include "input/placement.h"
#include "input/usage_shape.h"
#include "model/decode.h"
#include "model/validate.h"

#define BODY_MAX ((size_t)32 << 20)
enum {
    WAITING_MAX = 1024,
    BATCH_BODY_BYTES = 1 << 20,
    SHAPED_MAX = RECORD_BYTES_MAX + 8192, // a record, and what is added to it
};

enum format { FORMAT_NDJSON, FORMAT_JSON };

struct events_input {
    struct input base;
    struct arena arena; // texts of the placement
    struct placement placement;
    struct deliveries *deliveries;
    struct decoder *decoder;
    struct buf shaped; // a record in another shape, rewritten
    struct uuid7 ids;
    int64_t position; // records and dead letters delivered

    struct delivery *current; // being taken apart
    struct body body;
    int64_t number; // of the record in it, from 1
};

// ---- on the server's threads ---------------------------------------------------------------

static void post_events(void *ctx, struct http_exchange *x)
{
    struct events_input *e = ctx;
    struct str type = http_header(x, "Content-Type");
    bool json = str_starts(type, STR("application/json"));
    deliveries_arrive(e->deliveries, x, json ? FORMAT_JSON : FORMAT_NDJSON);
}

static const struct http_route routes[] = {
    {.method = "POST",
     .path = "/v1/events",
     .flags = HTTP_GUARDED | HTTP_LIMITED | HTTP_GZIP,
     .body_max = BODY_MAX,
     .handle = post_events,
     .help = "records as JSON (one, or an array) or NDJSON; answered when they are durable"},
};

// ---- on the input's own thread -------------------------------------------------------------

static struct str id_of(struct events_input *e, struct arena *a)
{
    const char *key = e->current->key;
    if (*key) { // the same request again makes the same ids
        char id[DELIVERY_KEY_MAX + 32];
        int n = snprintf(id, sizeof(id), "%s:%06lld", key, (long long)e->number);
        return arena_copy(a, (struct str){id, (size_t)n});
    }
    char id[UUID_TEXT];
    uuid7_next(&e->ids, clock_wall(e->base.env->clock), id);
    return arena_copy(a, (struct str){id, UUID_TEXT});
}

static void refuse(struct events_input *e, struct batch *b, struct str text, const char *reason)
{
    struct dead_letter *d = batch_add_dead(b);
    *d = (struct dead_letter){
        .at = clock_wall(e->base.env->clock),
        .origin = str_of(e->base.info.name),
        .position = e->position,
        .reason = arena_copy(&b->arena, str_of(reason)),
        .payload = text,
    };
    delivery_reject(e->current, e->number, reason);
}

static int decode(struct events_input *e, struct str text, struct arena *a, struct record *ret,
                  struct error *err)
{
    return text.n > RECORD_BYTES_MAX ? error_set(err, -EINVAL, "record: longer than 1 MiB")
                                     : decoder_record(e->decoder, text, a, ret, err);
}

// What is no record of ours may be one in another shape. PASSED_OVER: it is none, and need not be.
enum { PASSED_OVER = 1 };

static int decode_shape(struct events_input *e, struct str text, struct arena *a,
                        struct record *ret, struct error *err)
{
    buf_clear(&e->shaped);
    struct shape shape = usage_shape(text, e->placement.model, &e->shaped);
    size_t n = e->shaped.n;
    if (shape.verdict == SHAPE_PASS_OVER) {
        return PASSED_OVER;
    }
    if (shape.verdict == SHAPE_UNKNOWN || !buf_reserve(&e->shaped, DECODER_PADDING) ||
        !buf_ok(&e->shaped)) {
        return -EINVAL;
    }
    int r = decode(e, (struct str){e->shaped.p, n}, a, ret, err);
    return r < 0 ? error_prefix(err, "taken as %s", shape.name) : 0;
}

static void take(struct events_input *e, struct batch *b, struct str text)
{
    struct error why;
    struct record *r = batch_add(b);
    e->number++;
    int result = decode(e, text, &b->arena, r, &why);
    result = result < 0 ? decode_shape(e, text, &b->arena, r, &why) : result;
    if (result == PASSED_OVER) {
        b->n_records--;
        delivery_pass_over(e->current);
        return;
    }
    e->position++;
    text.n = MIN(text.n, (size_t)RECORD_BYTES_MAX);
    if (result < 0 || record_check_now(r, clock_wall(e->base.env->clock), &why) < 0) {
        b->n_records--;
        refuse(e, b, text, why.msg);
        return;
    }
    r->position = e->position;
    if (!str_present(r->event_id)) {
        r->event_id = id_of(e, &b->arena);
    }
    placement_apply(&e->placement, r, &b->arena);
    b->payloads[b->n_records - 1] = text;
    delivery_accept(e->current);
}

// The records of a batch stand in one piece of the body: one copy keeps them all.
static void keep_payloads(struct batch *b, const char *begin, const char *end)
{
    const char *copy = arena_copy(&b->arena, (struct str){begin, (size_t)(end - begin)}).p;
    for (size_t i = 0; i < b->n_records; i++) {
        b->payloads[i].p = copy + (b->payloads[i].p - begin);
    }
    for (size_t i = 0; i < b->n_dead; i++) {
        b->dead[i].payload.p = copy + (b->dead[i].payload.p - begin);
    }
}

// As much of the current body as fits into a batch.
static void take_batch(struct events_input *e, struct batch *b)
{
    struct str text;
    const char *begin = NULL, *end = NULL;
    bool more = true;
    while (b->n_records + b->n_dead < BATCH_RECORDS && end - begin < BATCH_BODY_BYTES &&
           (more = body_next(&e->body, &text))) {
        begin = begin ? begin : text.p;
        end = text.p + text.n;
        take(e, b, text);
    }
    if (begin) {
        keep_payloads(b, begin, end);
    }
    if (!more) {
        deliveries_read(e->deliveries, TAKE_PTR(e->current), e->position);
    }
}

static int events_next(struct input *in, struct batch *b, struct error *err)
{
    struct events_input *e = (struct events_input *)in;
    (void)err;
    if (!e->current && (e->current = deliveries_next(e->deliveries, in->env))) {
        e->number = 0;
        body_begin(&e->body, e->current->body, e->current->format == FORMAT_JSON);
        input_report(in, NULL);
    }
    if (e->current) {
        take_batch(e, b);
    }
    b->position = e->position;
    b->offset = -1;
    return INPUT_MORE;
}

static void events_settled(struct input *in, int64_t position, enum input_fate fate)
{
    deliveries_settle(((struct events_input *)in)->deliveries, position, fate);
}

// What was sent to an earlier run is not sent again; positions go on where that one was.
static int events_seek(struct input *in, int64_t records, int64_t offset, struct error *err)
{
    struct events_input *e = (struct events_input *)in;
    (void)offset, (void)err;
    e->position = records;
    return 0;
}

static void events_close(struct input *in)
{
    struct events_input *e = (struct events_input *)in;
    if (e->current) {
        deliveries_read(e->deliveries, e->current, e->position + 1); // never stored: refused
    }
    deliveries_free(e->deliveries);
    decoder_free(e->decoder);
    buf_done(&e->shaped);
    arena_done(&e->arena);
    free(e);
}

static int events_open(const struct uri *uri, const struct input_env *env, struct input **ret,
                       struct error *err)
{
    if (!env->http) {
        return error_set(err, -EINVAL, "nothing serves HTTP here");
    }
    struct events_input *e = x_zalloc(sizeof(*e));
    e->base = (struct input){.driver = &input_events, .env = env, .uri = uri};
    e->decoder = decoder_new();
    buf_init(&e->shaped, SHAPED_MAX);
    const char *address = uri->path.n ? uri->path.p : NULL;
    int r = deliveries_new(WAITING_MAX, delivery_answer_json, &e->deliveries, err);
    r = r < 0 ? r : placement_read(uri, env, &e->arena, &e->placement, err);
    r = r < 0 ? r : http_server_add(env->http, address, routes, ARRAY_LEN(routes), e, err);
    if (r < 0) {
        events_close(&e->base);
        return r;
    }
    e->base.info = (struct input_info){.name = "http:", .total = -1};
    snprintf(e->base.info.about, sizeof(e->base.info.about), "records sent to POST %s/v1/events",
             address ? address : "");
    *ret = &e->base;
    return 0;
}

static const struct input_option options[] = {
    PLACEMENT_OPTIONS,
    {NULL, NULL, NULL},
};

const struct input_driver input_events = {
    .scheme = "http",
    .synopsis = "http: | http:ADDRESS:PORT",
    .help = "records sent in by POST /v1/events, acknowledged when they are durable",
    .options = options,
    .open = events_open,
    .seek = events_seek,
    .next = events_next,
    .settled = events_settled,
    .close = events_close,
};
