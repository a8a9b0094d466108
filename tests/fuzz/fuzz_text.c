// The parsers of base: numbers, times, durations, URIs, patterns, and JSON strings written from any
// bytes. What was read is written and read again: it must be the same.
#include "fuzz.h"

#include <assert.h>

#include "base/decimal.h"
#include "base/time.h"
#include "base/uri.h"

static void number(struct str text, int scale, struct buf *b)
{
    int64_t v, back;
    if (decimal_parse(text, scale, &v) == 0) {
        buf_clear(b);
        decimal_format(b, v, scale);
        assert(decimal_parse(buf_view(b), scale, &back) == 0 && back == v);
        buf_clear(b);
        decimal_format_short(b, v, scale);
        assert(decimal_parse(buf_view(b), scale, &back) == 0 && back == v);
    }
}

static void instant(struct str text, struct buf *b)
{
    int64_t t, back;
    if (time_parse_iso(text, &t) == 0) {
        assert(t >= 0 && t < TIME_MAX);
        buf_clear(b);
        time_format_iso(b, t);
        assert(time_parse_iso(buf_view(b), &back) == 0 && back == t);
    }
}

static void duration(struct str text, struct buf *b)
{
    int64_t ns, back;
    if (duration_parse(text, &ns) == 0) {
        assert(ns >= 0);
        buf_clear(b);
        duration_format(b, ns);
        assert(duration_parse(buf_view(b), &back) == 0 && back == ns);
    }
}

static void uri(struct str text, struct arena *arena)
{
    struct uri u;
    struct error err = {0};
    if (uri_parse(arena, text, &u, &err) < 0) {
        assert(err.code < 0 && err.msg[0] != '\0');
        return;
    }
    int64_t i = 0;
    double d = 0;
    for (size_t n = 0; n < u.n_options; n++) {
        const char *key = u.options[n].key.p;
        int r = uri_option_i64(&u, key, -5, 5, &i, &err);
        r |= uri_option_double(&u, key, 0, 1, &d, &err);
        r |= uri_option_duration(&u, key, &i, &err);
        r |= uri_option_money(&u, key, &i, &err);
        assert(r <= 0 && i >= -5 && d >= 0 && d <= 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct arena arena = {0};
    struct buf b;
    buf_init(&b, 8 * size + 128);
    number(text, 0, &b);
    number(text, 9, &b);
    number(text, 18, &b);
    instant(text, &b);
    duration(text, &b);
    uri(text, &arena);
    buf_clear(&b);
    buf_json_str(&b, text);
    assert(buf_ok(&b));
    struct str rest = text, pattern = {NULL, 0};
    if (str_split(&rest, '\n', &pattern) && pattern.n < 256 && rest.n < 4096) {
        assert(str_glob(STR("*"), rest));
        (void)str_glob(pattern, rest);
    }
    buf_done(&b);
    arena_done(&arena);
    return 0;
}
