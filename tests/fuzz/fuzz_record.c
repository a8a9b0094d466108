// Records as JSON, against another parser (jansson): what is taken is JSON and says what the record
// says; what is refused as no JSON is none. Encoded and decoded again it is the same record.
#include "fuzz.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/time.h"
#include "model/decode.h"
#include "model/encode.h"
#include "model/fields.h"
#include "model/validate.h"

enum { ENCODED_MAX = 4 << 20 };

// Counts and money are exact in the record and rounded in a double.
static void about(double got, int64_t want)
{
    double off = got - (double)want;
    assert(off <= 1 + got / 1e15 && off >= -1 - got / 1e15);
}

static void check_gpus(const json_t *list, struct gpu_list gpus)
{
    assert(json_array_size(list) == gpus.n);
    int64_t left = 0;
    for (uint32_t i = 0; i < gpus.n; i++) {
        left += gpus.v[i] - (int64_t)json_number_value(json_array_get(list, i));
    }
    assert(left == 0);
}

static void check_field(const struct field *f, union field_value v, const json_t *value)
{
    static const double scales[] = {[0] = 1, [6] = 1e6, [9] = 1e9};
    switch (f->type) {
    case FIELD_TIME:
        if (json_is_string(value)) {
            int64_t t = -1;
            assert(time_parse_iso(str_of(json_string_value(value)), &t) == 0 && t == v.i);
            break;
        }
        about(json_number_value(value) * scales[f->scale] / 1e6, v.i / 1000000);
        break;
    case FIELD_TEXT:
        assert(str_eq(v.s, (struct str){json_string_value(value), json_string_length(value)}));
        break;
    case FIELD_REAL:
        assert(json_number_value(value) + 0.0 == v.d);
        break;
    case FIELD_GPUS:
        check_gpus(value, v.gpus);
        break;
    case FIELD_COUNT:
    case FIELD_DECIMAL:
    case FIELD_GPU:
    case FIELD_INSTANCE:
        about(json_number_value(value) * scales[f->scale], v.i);
        break;
    }
}

// Every field that the record has is one that the text has, with that value, and the other way
// round.
static void check_fields(const struct record *r, const json_t *object)
{
    for (size_t i = 0; i < n_record_fields; i++) {
        const struct field *f = &record_fields[i];
        const json_t *value = json_object_get(object, f->name);
        const json_t *list = json_object_get(object, "gpu_indices");
        union field_value v;
        if (f->type == FIELD_GPU && r->kind == RECORD_USAGE && json_is_array(list)) {
            value = json_array_size(list) == 1 ? json_array_get(list, 0) : NULL;
        } else if (f->type == FIELD_GPUS && json_array_size(value) == 1) {
            value = NULL;
        }
        bool given = value && !json_is_null(value) && field_of(f, r->kind);
        bool has = field_load(f, r, &v);
        assert(has == given);
        if (has) {
            check_field(f, v, value);
        }
    }
}

static void check_again(struct decoder *d, const struct record *r, struct arena *a)
{
    struct buf b;
    struct record again;
    struct error err = {0};
    buf_init(&b, ENCODED_MAX);
    record_encode(&b, r);
    size_t n = b.n;
    assert(buf_ok(&b) && buf_reserve(&b, DECODER_PADDING));
    int result = decoder_record(d, (struct str){b.p, n}, a, &again, &err);
    if (n <= RECORD_BYTES_MAX) {
        assert(result == 0 && again.kind == r->kind && again.digest == r->digest);
        assert(str_eq(again.event_id, r->event_id) && str_eq(again.extra, r->extra));
        assert(record_digest(&again) == again.digest);
    }
    buf_done(&b);
}

static json_t *load(const char *p, size_t n, bool *ret_unable)
{
    json_error_t why;
    json_t *value =
        json_loadb(p, n, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL | JSON_DECODE_ANY, &why);
    *ret_unable = value == NULL && json_error_code(&why) == json_error_numeric_overflow;
    return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct record r;
    struct error err = {0};
    bool unable;
    static struct decoder *d; // one for all: it is large
    d = d ? d : decoder_new();
    AUTO_FREE char *text = x_zalloc(size + DECODER_PADDING);
    memcpy(text, data, size);
    json_t *value = load(text, size, &unable);
    if (decoder_record(d, (struct str){text, size}, &arena, &r, &err) == 0) {
        assert(value || unable);
        assert(record_check(&r, &err) == 0);
        if (value) {
            check_fields(&r, value);
        }
        check_again(d, &r, &arena);
    } else {
        // To jansson a NUL ends the text.
        assert(err.code < 0 && err.msg[0] != '\0');
        bool no_json = str_starts(str_of(err.msg), STR("not JSON:")) &&
                       strstr(err.msg, "nested too deeply") == NULL;
        assert(!no_json || value == NULL || memchr(data, '\0', size) != NULL);
    }
    json_decref(value);
    arena_done(&arena);
    return 0;
}
