#include "input/otlp_body.h"

#include <errno.h>
#include <string.h>

static const struct otlp_format *const formats[OTLP_ENCODINGS] = {
    [OTLP_PROTO] = &otlp_proto,
    [OTLP_JSON] = &otlp_json,
};

const struct otel_value *otel_find(struct otel_attributes attributes, struct str key)
{
    for (size_t i = attributes.n; i > 0; i--) {
        if (str_eq(attributes.v[i - 1].key, key)) {
            return &attributes.v[i - 1].value;
        }
    }
    return NULL;
}

void *otlp_list_add(struct otlp_list *list)
{
    if (list->n == list->most) {
        return NULL;
    }
    if (list->n == list->cap) {
        list->cap = list->cap ? MIN(2 * list->cap, list->most) : 16;
        void *grown = arena_alloc(list->arena, list->cap * list->size);
        if (list->n > 0) {
            memcpy(grown, list->v, list->n * list->size);
        }
        list->v = grown;
    }
    void *added = (char *)list->v + list->n++ * list->size;
    memset(added, 0, list->size);
    return added;
}

void otlp_walk_begin(struct otlp_walk *w, enum otlp_encoding encoding, struct str body)
{
    *w = (struct otlp_walk){.encoding = encoding, .body = body, .depth = -1};
}

void otlp_walk_done(struct otlp_walk *w)
{
    arena_done(&w->span_arena);
    arena_done(&w->resource_arena);
}

static int enter_resource(struct otlp_walk *w, struct str message, struct error *err)
{
    arena_reset(&w->resource_arena);
    w->resource = (struct otel_attributes){0};
    w->raw_resource = STR_NONE;
    return formats[w->encoding]->resource(w, message, err);
}

// Opens the next level over a message of the innermost.
static int descend(struct otlp_walk *w, struct str message, struct error *err)
{
    int r = w->depth == 0 ? enter_resource(w, message, err) : 0;
    r = r < 0 ? r : formats[w->encoding]->open(w, w->depth + 1, message, err);
    w->depth++;
    return r;
}

// The next span's message.
static int next_message(struct otlp_walk *w, struct str *ret, struct error *err)
{
    int r = 0;
    if (str_present(w->body)) {
        r = descend(w, w->body, err);
        w->body = STR_NONE;
    }
    while (r == 0 && w->depth >= 0) {
        r = formats[w->encoding]->next(w, w->depth, ret, err);
        if (r == 0) {
            w->depth--;
        } else if (r > 0 && w->depth < OTLP_LEVELS - 1) {
            r = descend(w, *ret, err);
        }
    }
    return r;
}

int otlp_walk_next(struct otlp_walk *w, struct otel_span *ret, struct error *err)
{
    struct str message;
    int r = next_message(w, &message, err);
    if (r <= 0) {
        return r;
    }
    arena_reset(&w->span_arena);
    *ret = (struct otel_span){
        .start = INT64_MIN,
        .end = INT64_MIN,
        .resource = w->resource,
        .raw = message,
        .raw_resource = w->raw_resource,
    };
    r = formats[w->encoding]->span(w, message, ret, err);
    return r < 0 ? r : 1;
}

static void put_base64(struct buf *b, struct str bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t n = MIN(bytes.n - i, (size_t)3);
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++) {
            group = group << 8 | (k < n ? (uint8_t)bytes.p[i + k] : 0);
        }
        for (size_t k = 0; k < 4; k++) {
            buf_char(b, k <= n ? digits[group >> (6 * (3 - k)) & 63] : '=');
        }
    }
}

void otlp_quote(enum otlp_encoding encoding, const struct otel_span *span, struct buf *b)
{
    if (encoding == OTLP_JSON) {
        otlp_json.quote(span, b);
        return;
    }
    struct buf message;
    buf_init(&message, b->limit);
    otlp_proto.quote(span, &message);
    put_base64(b, buf_view(&message));
    b->failed = b->failed || message.failed;
    buf_done(&message);
}

void otlp_quote_body(enum otlp_encoding encoding, struct str body, struct buf *b)
{
    if (encoding == OTLP_JSON) {
        buf_str(b, (struct str){body.p, MIN(body.n, b->limit)});
    } else {
        put_base64(b, (struct str){body.p, MIN(body.n, b->limit / 4 * 3)});
    }
}

void otlp_answer(enum otlp_encoding encoding, int64_t rejected, struct str message, struct buf *b)
{
    formats[encoding]->answer(rejected, message, b);
}

void otlp_answer_status(enum otlp_encoding encoding, int code, struct str message, struct buf *b)
{
    formats[encoding]->status(code, message, b);
}

const char *otlp_content_type(enum otlp_encoding encoding)
{
    return formats[encoding]->content_type;
}
