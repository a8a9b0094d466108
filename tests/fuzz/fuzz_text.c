// The parsers of base that have no fuzzer of their own: numbers, times with their zones, durations,
// patterns, and JSON strings written from any bytes. What was read is written and read again: it
// must be the same.
#include "fuzz.h"

#include <assert.h>

#include "base/decimal.h"
#include "base/time.h"

// The same number with more decimals rounds to it.
static void finer(struct str text, int64_t v, int scale)
{
    int64_t fine;
    if (scale < 18 && decimal_parse(text, scale + 1, &fine) == 0) {
        __int128 off = (__int128)fine - (__int128)v * 10;
        assert(off >= -5 && off <= 5);
    }
}

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
        finer(text, v, scale);
    }
}

// A time in a zone is the same time in UTC, less what the zone is ahead.
static void zoned(struct str text, struct buf *b)
{
    static const struct {
        const char *name;
        int64_t ahead;
    } zones[] = {{"Z", 0}, {"+00:00", 0}, {"-0130", -5400}, {"+23:59", 86340}, {"-12:00", -43200}};
    int64_t utc, t;
    if (time_parse_iso(text, &utc) < 0) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
        buf_clear(b);
        time_format_iso(b, utc);
        b->n--; // the Z
        buf_cstr(b, zones[i].name);
        int64_t want = utc - zones[i].ahead * NS_PER_S;
        int r = time_parse_iso(buf_view(b), &t);
        assert((r == 0) == (want >= 0 && want < TIME_MAX));
        assert(r < 0 || t == want);
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
        assert(time_from_civil(time_civil(t)) == time_floor(t, NS_PER_S));
        zoned(text, b);
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

static void pattern(struct str text)
{
    struct str rest = text, glob = STR_NONE;
    if (str_split(&rest, '\n', &glob) && glob.n < 256 && rest.n < 4096) {
        assert(str_glob(STR("*"), rest));
        bool plain = memchr(glob.p, '*', glob.n) == NULL && memchr(glob.p, '?', glob.n) == NULL;
        assert(!plain || str_glob(glob, glob));
        assert(!str_glob(glob, rest) || !plain || glob.n == rest.n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct buf b;
    buf_init(&b, 8 * size + 128);
    number(text, 0, &b);
    number(text, 9, &b);
    number(text, 18, &b);
    instant(text, &b);
    duration(text, &b);
    pattern(text);
    buf_clear(&b);
    buf_json_str(&b, text);
    assert(buf_ok(&b));
    buf_done(&b);
    return 0;
}
