// Bodies of POST /v1/events: taken apart into records, and each in whatever shape it is.
#include "fuzz.h"

#include <assert.h>

#include "base/alloc.h"
#include "http/server.h"
#include "input/body.h"
#include "input/usage_shape.h"
#include "model/decode.h"
#include "model/validate.h"

enum { SHAPED_MAX = RECORD_BYTES_MAX + 8192 };

static void shape(struct decoder *decoder, struct arena *a, struct str text)
{
    struct buf out;
    struct record r;
    struct error err = {0};
    buf_init(&out, SHAPED_MAX);
    struct shape s = usage_shape(text, STR("m"), &out);
    size_t n = out.n;
    assert((s.verdict == SHAPE_UNKNOWN) == (s.name == NULL));
    assert(s.verdict == SHAPE_IS_RECORD || n == 0);
    if (s.verdict == SHAPE_IS_RECORD && buf_reserve(&out, DECODER_PADDING) && buf_ok(&out)) {
        if (decoder_record(decoder, (struct str){out.p, n}, a, &r, &err) == 0) {
            assert(record_check(&r, &err) == 0);
            assert(str_present(r.kind == RECORD_USAGE ? r.usage.model : r.sample.gpu.host));
        } else {
            assert(err.msg[0] != '\0');
        }
    }
    buf_done(&out);
}

static void take(struct decoder *decoder, struct str text, bool json)
{
    struct body body;
    struct str one;
    struct record r;
    struct error err = {0};
    const char *end = text.p;
    body_begin(&body, text, json);
    while (body_next(&body, &one)) {
        struct arena a = {0};
        assert(one.n > 0 && one.p >= end && one.p + one.n <= text.p + text.n);
        end = one.p + one.n; // one behind the other: nothing is taken twice
        if (decoder_record(decoder, one, &a, &r, &err) < 0) {
            shape(decoder, &a, one);
        }
        arena_done(&a);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct decoder *decoder; // making one takes longer than using it
    decoder = decoder ? decoder : decoder_new();
    AUTO_FREE char *text = x_zalloc(size + HTTP_BODY_PADDING);
    memcpy(text, data, size);
    take(decoder, (struct str){text, size}, false);
    take(decoder, (struct str){text, size}, true);
    return 0;
}
