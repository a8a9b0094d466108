// otlp: spans of calls of models, sent by OpenTelemetry exporters; see docs/inputs/otlp.md.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "input/delivery.h"
#include "input/genai_span.h"
#include "input/input_impl.h"
#include "input/otlp_body.h"
#include "input/placement.h"
#include "input/span_nest.h"
#include "model/validate.h"

#define BODY_MAX ((size_t)16 << 20)
enum {
    WAITING_MAX = 64,
    SPANS_MAX = 100000, // of one request; exporters send 512 by default
    MESSAGE_MAX = 512,
    ANSWER_MAX = 4096,
    NAME_MAX_BYTES = 300,
    RPC_INVALID_ARGUMENT = 3, // google.rpc.Code
};

// A delivery's format: the encoding, and that it turned out not to be a request at all.
enum { FORMAT_BROKEN = OTLP_ENCODINGS };

struct otlp_input {
    struct input base;
    char name[NAME_MAX_BYTES];
    struct arena arena; // texts of the placement
    struct placement placement;
    struct genai_options options;
    struct deliveries *deliveries;
    struct span_nest nest;
    int64_t position; // records and dead letters delivered

    struct delivery *current; // being taken apart
    enum otlp_encoding encoding;
    struct otlp_walk walk;
    size_t number; // of spans taken from it
};

// ---- on the server's threads -------------------------------------------------------------------

static void post_traces(void *ctx, struct http_exchange *x)
{
    struct otlp_input *o = ctx;
    struct str type = http_header(x, "Content-Type");
    if (str_glob(STR("application/json*"), type)) {
        deliveries_arrive(o->deliveries, x, OTLP_JSON);
    } else if (str_glob(STR("application/x-protobuf*"), type)) {
        deliveries_arrive(o->deliveries, x, OTLP_PROTO);
    } else {
        http_refuse(x, 415, "the body must be application/x-protobuf or application/json");
    }
}

static const struct http_route routes[] = {
    {.method = "POST",
     .path = "/v1/traces",
     .flags = HTTP_GUARDED | HTTP_LIMITED | HTTP_GZIP,
     .body_max = BODY_MAX,
     .handle = post_traces,
     .help = "OpenTelemetry spans (OTLP/HTTP, protobuf or JSON); answered when they are durable"},
};

// ---- the answer, on any thread -----------------------------------------------------------------

static void answer(struct delivery *d)
{
    struct buf body;
    char message[MESSAGE_MAX], headers[MESSAGE_MAX];
    bool broken = d->format >= FORMAT_BROKEN;
    enum otlp_encoding encoding = (enum otlp_encoding)(d->format % OTLP_ENCODINGS);
    buf_init(&body, ANSWER_MAX);
    if (broken) {
        otlp_answer_status(encoding, RPC_INVALID_ARGUMENT, str_of(d->reason), &body);
    } else {
        snprintf(message, sizeof(message), "%lld of the spans cannot be used; the first: %s",
                 (long long)d->rejected, d->reason);
        otlp_answer(encoding, d->rejected, str_of(message), &body);
    }
    snprintf(headers, sizeof(headers),
             "Gtap-Spans: accepted=%lld, passed-over=%lld, rejected=%lld%s%s\n",
             (long long)d->accepted, (long long)d->passed_over, (long long)d->rejected,
             delivery_place(d) ? ", stored=" : "", delivery_place(d) ? delivery_place(d) : "");
    http_answer(d->exchange, broken ? 400 : 200, otlp_content_type(encoding), headers,
                buf_view(&body));
    buf_done(&body);
}

// ---- on the input's own thread -----------------------------------------------------------------

static void add_dead(struct otlp_input *o, struct batch *b, const char *reason,
                     const struct buf *payload)
{
    struct dead_letter *d = batch_add_dead(b);
    *d = (struct dead_letter){
        .at = clock_wall(o->base.env->clock),
        .origin = str_of(o->base.info.name),
        .position = ++o->position,
        .reason = arena_copy(&b->arena, str_of(reason)),
        .payload = arena_copy(&b->arena, buf_view(payload)),
    };
    delivery_reject(o->current, (int64_t)o->number, reason);
}

static void finish(struct otlp_input *o)
{
    otlp_walk_done(&o->walk);
    deliveries_read(o->deliveries, TAKE_PTR(o->current), o->position);
}

static void refuse_body(struct otlp_input *o, struct batch *b, const char *reason)
{
    struct buf text;
    buf_init(&text, RECORD_BYTES_MAX);
    otlp_quote_body(o->encoding, o->current->body, &text);
    add_dead(o, b, reason, &text);
    buf_done(&text);
    o->current->format += FORMAT_BROKEN;
    finish(o);
}

static void refuse_span(struct otlp_input *o, struct batch *b, const struct otel_span *span,
                        const char *reason)
{
    struct buf text;
    buf_init(&text, RECORD_BYTES_MAX);
    otlp_quote(o->encoding, span, &text); // one that is too long is kept as its reason alone
    add_dead(o, b, reason, &text);
    buf_done(&text);
}

static int survey(struct otlp_input *o, struct error *err)
{
    struct otel_span span;
    int r;
    span_nest_begin(&o->nest);
    otlp_walk_begin(&o->walk, o->encoding, o->current->body);
    while ((r = otlp_walk_next(&o->walk, &span, err)) > 0) {
        if (o->nest.n == SPANS_MAX) {
            r = error_set(err, -EINVAL, "more than %d spans in one request: send fewer at a time",
                          SPANS_MAX);
            break;
        }
        span_nest_add(&o->nest, &span, genai_span_counts(&span, &o->options));
    }
    otlp_walk_done(&o->walk);
    return r;
}

// Nothing of a request is taken unless all of it can be read: it is read twice.
static void begin(struct otlp_input *o, struct batch *b)
{
    struct error err;
    o->encoding = (enum otlp_encoding)o->current->format;
    o->number = 0;
    if (survey(o, &err) < 0) {
        refuse_body(o, b, err.msg);
        return;
    }
    span_nest_decide(&o->nest);
    otlp_walk_begin(&o->walk, o->encoding, o->current->body);
}

static void take(struct otlp_input *o, struct batch *b, const struct otel_span *span)
{
    struct error why;
    if (!span_nest_counts(&o->nest, o->number++)) {
        delivery_pass_over(o->current);
        return;
    }
    struct record *r = batch_add(b);
    if (genai_span_record(span, &o->options, &b->arena, r, &why) < 0 ||
        record_check_now(r, clock_wall(o->base.env->clock), &why) < 0) {
        b->n_records--;
        refuse_span(o, b, span, why.msg);
        return;
    }
    r->position = ++o->position;
    placement_apply(&o->placement, r, &b->arena);
    delivery_accept(o->current);
}

// As many of the current request's as fit into a batch.
static void take_batch(struct otlp_input *o, struct batch *b)
{
    struct otel_span span;
    struct error err;
    int r = 1;
    while (b->n_records + b->n_dead < BATCH_RECORDS &&
           (r = otlp_walk_next(&o->walk, &span, &err)) > 0) {
        take(o, b, &span);
    }
    if (r <= 0) {
        finish(o);
    }
}

static int otlp_next(struct input *in, struct batch *b, struct error *err)
{
    struct otlp_input *o = (struct otlp_input *)in;
    (void)err;
    if (!o->current && (o->current = deliveries_next(o->deliveries, in->env))) {
        input_report(in, NULL);
        begin(o, b);
    }
    if (o->current) {
        take_batch(o, b);
    }
    b->position = o->position;
    b->offset = -1;
    return INPUT_MORE;
}

static void otlp_settled(struct input *in, int64_t position, enum input_fate fate)
{
    deliveries_settle(((struct otlp_input *)in)->deliveries, position, fate);
}

// What was sent to an earlier run is not sent again; positions go on where that one was.
static int otlp_seek(struct input *in, int64_t records, int64_t offset, struct error *err)
{
    (void)offset, (void)err;
    ((struct otlp_input *)in)->position = records;
    return 0;
}

static void otlp_close(struct input *in)
{
    struct otlp_input *o = (struct otlp_input *)in;
    if (o->current) {
        o->position++; // never stored: refused
        delivery_accept(o->current);
        finish(o);
    }
    deliveries_free(o->deliveries);
    span_nest_done(&o->nest);
    arena_done(&o->arena);
    free(o);
}

static int read_options(const struct uri *uri, struct otlp_input *o, struct error *err)
{
    struct str only = uri_option(uri, "only");
    int r = placement_read(uri, o->base.env, &o->arena, &o->placement, err);
    if (r < 0) {
        return r;
    }
    if (str_present(only) && !str_eq(only, STR("server")) && !str_eq(only, STR("client"))) {
        return error_set(err, -EINVAL, "option only= must be server or client");
    }
    o->options = (struct genai_options){
        .tenant_attribute = uri_option(uri, "tenant_attribute"),
        .model = o->placement.model,
        .only = !str_present(only)            ? OTEL_KIND_UNSPECIFIED
                : str_eq(only, STR("server")) ? OTEL_KIND_SERVER
                                              : OTEL_KIND_CLIENT,
    };
    return 0;
}

static int otlp_open(const struct uri *uri, const struct input_env *env, struct input **ret,
                     struct error *err)
{
    if (!env->http) {
        return error_set(err, -EINVAL, "nothing serves HTTP here");
    }
    struct otlp_input *o = x_zalloc(sizeof(*o));
    o->base = (struct input){.driver = &input_otlp, .env = env, .uri = uri};
    const char *address = uri->path.n ? uri->path.p : NULL;
    int r = deliveries_new(WAITING_MAX, answer, &o->deliveries, err);
    r = r < 0 ? r : read_options(uri, o, err);
    r = r < 0 ? r : http_server_add(env->http, address, routes, ARRAY_LEN(routes), o, err);
    if (r < 0) {
        otlp_close(&o->base);
        return r;
    }
    snprintf(o->name, sizeof(o->name), "otlp:%s", address ? address : "");
    o->base.info = (struct input_info){.name = o->name, .total = -1};
    snprintf(o->base.info.about, sizeof(o->base.info.about),
             "OpenTelemetry spans sent to POST %s/v1/traces", address ? address : "");
    *ret = &o->base;
    return 0;
}

static const struct input_option options[] = {
    PLACEMENT_OPTIONS,
    {"tenant_attribute", "KEY", "attribute that names who asked (default: user.id and the like)"},
    {"only", "KIND", "take the spans of server or of client alone (default: all)"},
    {NULL, NULL, NULL},
};

const struct input_driver input_otlp = {
    .scheme = "otlp",
    .synopsis = "otlp: | otlp:ADDRESS:PORT",
    .help = "OpenTelemetry spans of calls of models, sent in by OTLP/HTTP",
    .options = options,
    .open = otlp_open,
    .seek = otlp_seek,
    .next = otlp_next,
    .settled = otlp_settled,
    .close = otlp_close,
};
