// The same spans in both encodings, written by hand from the protocol's definition.
#include "input/otlp_body.h"

#include <errno.h>

#include "hex.h"

static void put_hex(struct buf *out, const char *name, const uint8_t *id, size_t n)
{
    buf_printf(out, "%s=", name);
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "%02x", id[i]);
    }
    buf_char(out, ' ');
}

static void put_attributes(struct buf *out, struct otel_attributes list)
{
    for (size_t i = 0; i < list.n; i++) {
        const struct otel_value *v = &list.v[i].value;
        buf_printf(out, " " STR_FMT "=", STR_ARG(list.v[i].key));
        switch (v->type) {
        case OTEL_NONE:
            buf_cstr(out, "-");
            break;
        case OTEL_TEXT:
            buf_printf(out, "'" STR_FMT "'", STR_ARG(v->text));
            break;
        case OTEL_BOOL:
            buf_cstr(out, v->yes ? "yes" : "no");
            break;
        case OTEL_INT:
            buf_i64(out, v->integer);
            break;
        case OTEL_REAL:
            buf_printf(out, "%.17g", v->real);
            break;
        case OTEL_OTHER:
            buf_cstr(out, "?");
            break;
        }
    }
}

static void describe(struct buf *out, const struct otel_span *s)
{
    put_hex(out, "trace", s->trace_id, sizeof(s->trace_id));
    put_hex(out, "span", s->span_id, sizeof(s->span_id));
    put_hex(out, "parent", s->parent_id, sizeof(s->parent_id));
    buf_printf(out, "name=" STR_FMT " kind=%d status=%d %lld..%lld", STR_ARG(s->name), (int)s->kind,
               (int)s->status, (long long)s->start, (long long)s->end);
    put_attributes(out, s->attributes);
    buf_cstr(out, " |");
    put_attributes(out, s->resource);
    buf_cstr(out, " |");
    for (size_t i = 0; i < s->n_events; i++) {
        buf_printf(out, " " STR_FMT "@%lld", STR_ARG(s->events[i].name),
                   (long long)s->events[i].time);
    }
    buf_char(out, '\n');
}

// All spans, a line each; then the error, if there is one.
static void walk(enum otlp_encoding encoding, struct str body, struct buf *out)
{
    struct otlp_walk w;
    struct otel_span s;
    struct error err;
    int r;
    otlp_walk_begin(&w, encoding, body);
    while ((r = otlp_walk_next(&w, &s, &err)) > 0) {
        describe(out, &s);
    }
    if (r < 0) {
        buf_printf(out, "%s\n", err.msg);
    }
    otlp_walk_done(&w);
}

static void assert_spans(enum otlp_encoding encoding, struct str body, const char *want)
{
    struct buf got;
    buf_init(&got, 1 << 20);
    walk(encoding, body, &got);
    assert_str(buf_view(&got), want);
    buf_done(&got);
}

#define EVERYTHING                                                                                 \
    "trace=0102030405060708090a0b0c0d0e0f10 span=1112131415161718 parent=2122232425262728 "        \
    "name=chat kind=3 status=2 1795694400000000000..1795694402500000000 "                          \
    "n=300 t='x' b=yes r=0.25 l=? e=- m=-1 | host.name='gpu-07' | stream@1795694400750000000\n"

static const char everything_proto[] =
    "0a d1 01" // ResourceSpans
    "12 b5 01" // ScopeSpans, in front of the resource
    "0a 03  0a 01 's'"
    "12 ad 01" // Span
    "0a 10  01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10"
    "12 08  11 12 13 14 15 16 17 18"
    "22 08  21 22 23 24 25 26 27 28"
    "2a 04 'chat'  30 03"
    "39  00 80 28 f5 8a 96 eb 18"
    "41  00 79 2b 8a 8b 96 eb 18"
    "4a 08  0a 01 'n'  12 03  18 ac 02"
    "4a 08  0a 01 't'  12 03  0a 01 'x'"
    "4a 07  0a 01 'b'  12 02  10 01"
    "4a 0e  0a 01 'r'  12 09  21 00 00 00 00 00 00 d0 3f"
    "4a 07  0a 01 'l'  12 02  2a 00"
    "4a 03  0a 01 'e'"
    "4a 10  0a 01 'm'  12 0b  18 ff ff ff ff ff ff ff ff ff 01"
    "5a 11  09 80 97 dc 21 8b 96 eb 18  12 06 'stream'"
    "7a 02  18 02"
    "85 01  00 01 00 00"                                      // flags
    "a0 06 01"                                                // a field of the future
    "0a 17  0a 15  0a 09 'host.name'  12 08  0a 06 'gpu-07'"; // Resource

static const char everything_json[] =
    "{\"resourceSpans\":[{\"scopeSpans\":[{\"scope\":{\"name\":\"s\"},\"spans\":[{"
    "\"traceId\":\"0102030405060708090A0B0C0D0E0F10\",\"spanId\":\"1112131415161718\","
    "\"parentSpanId\":\"2122232425262728\",\"name\":\"ch\\u0061t\",\"kind\":3,"
    "\"startTimeUnixNano\":\"1795694400000000000\",\"endTimeUnixNano\":1795694402500000000,"
    "\"attributes\":[{\"key\":\"n\",\"value\":{\"intValue\":\"300\"}},"
    "{\"key\":\"t\",\"value\":{\"stringValue\":\"x\"}},"
    "{\"key\":\"b\",\"value\":{\"boolValue\":true}},"
    "{\"key\":\"r\",\"value\":{\"doubleValue\":2.5e-1}},"
    "{\"key\":\"l\",\"value\":{\"arrayValue\":{\"values\":[{\"intValue\":\"1\"}]}}},"
    "{\"key\":\"e\"},{\"key\":\"m\",\"value\":{\"intValue\":-1}}],"
    "\"events\":[{\"timeUnixNano\":\"1795694400750000000\",\"name\":\"stream\"}],"
    "\"status\":{\"code\":2,\"message\":\"no\"},\"flags\":256,\"future\":{\"a\":[1]},"
    "\"links\":null}]}],"
    "\"resource\":{\"attributes\":[{\"key\":\"host.name\",\"value\":{\"stringValue\":\"gpu-07\"}}]}"
    "}]}\n";

static void test_everything(void **state)
{
    (void)state;
    struct buf bytes;
    buf_init(&bytes, 4096);
    hex_put(&bytes, everything_proto);
    assert_spans(OTLP_PROTO, buf_view(&bytes), EVERYTHING);
    assert_spans(OTLP_JSON, str_of(everything_json), EVERYTHING);
    buf_done(&bytes);
}

#define NOBODY                                                                                     \
    "trace=00000000000000000000000000000000 span=0000000000000000 parent=0000000000000000 name="
#define NEVER "-9223372036854775808..-9223372036854775808"

static void test_few(void **state)
{
    (void)state;
    static const struct {
        enum otlp_encoding encoding;
        const char *body, *want;
    } rows[] = {
        {OTLP_PROTO, "", ""},
        {OTLP_PROTO, "0a 00", ""},
        {OTLP_PROTO, "0a 02 12 00", ""},
        {OTLP_PROTO, "0a 04 12 02 12 00", NOBODY " kind=0 status=0 " NEVER " | |\n"},
        // Two resources; the attributes of one are not the other's.
        {OTLP_PROTO,
         "0a 10  0a 07 0a 05 0a 03 'one' 12 05 12 03 2a 01 'a'  0a 07 12 05 12 03 2a 01 'b'",
         NOBODY "a kind=0 status=0 " NEVER " | one=- |\n" NOBODY "b kind=0 status=0 " NEVER
                " | |\n"},
        // Ids of another length are none; a time after 2262 is none; kinds there are not.
        {OTLP_PROTO,
         "0a 18  12 16  12 14  0a 03 'abc'  12 02 'de'  30 09  39 ff ff ff ff ff ff ff ff",
         NOBODY " kind=0 status=0 " NEVER " | |\n"},
        {OTLP_JSON, "{}", ""},
        {OTLP_JSON, "{\"resourceSpans\":null}", ""},
        {OTLP_JSON, "{\"resourceSpans\":[]}", ""},
        {OTLP_JSON, "{\"resourceSpans\":[{}]}", ""},
        {OTLP_JSON, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{}]}]}]}",
         NOBODY " kind=0 status=0 " NEVER " | |\n"},
        {OTLP_JSON,
         "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"zz\",\"spanId\":7,"
         "\"kind\":\"SPAN_KIND_SERVER\",\"status\":{\"code\":\"STATUS_CODE_OK\"},"
         "\"startTimeUnixNano\":\"18446744073709551615\"}]}]}]}",
         NOBODY " kind=2 status=1 " NEVER " | |\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf body;
        buf_init(&body, 1024);
        if (rows[i].encoding == OTLP_PROTO) {
            hex_put(&body, rows[i].body);
        } else {
            buf_cstr(&body, rows[i].body);
        }
        assert_spans(rows[i].encoding, buf_view(&body), rows[i].want);
        buf_done(&body);
    }
}

static void test_broken_proto(void **state)
{
    (void)state;
    static const struct {
        const char *hex, *want;
    } rows[] = {
        {"'{\"resourceSpans\":[]}'", "broken message"},
        {"0a 05 12", "broken message"},
        {"0a 02 12 05", "broken ResourceSpans"},
        {"0a 04 0a 02 0a 05", "broken resource"},
        {"0a 04 12 02 12 05", "broken ScopeSpans"},
        {"0a 06 12 04 12 02 39 00", "broken span"},
        {"0a 08 12 06 12 04 4a 02 0a 05", "broken attribute"},
        {"0a 0a 12 08 12 06 4a 04 12 02 0a 05", "broken value of an attribute"},
        {"0a 08 12 06 12 04 5a 02 09 00", "broken event"},
        {"0a 08 12 06 12 04 7a 02 0a 05", "broken status"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf body, want;
        buf_init(&body, 1024);
        buf_init(&want, 1024);
        hex_put(&body, rows[i].hex);
        buf_printf(&want, "not an ExportTraceServiceRequest: %s\n", rows[i].want);
        assert_spans(OTLP_PROTO, buf_view(&body), want.p);
        buf_done(&body);
        buf_done(&want);
    }
}

#define SPAN(members) "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{" members "}]}]}]}"
#define VALUE(value) SPAN("\"attributes\":[{\"key\":\"k\",\"value\":" value "}]")

static void test_broken_json(void **state)
{
    (void)state;
    static const struct {
        const char *body, *want;
    } rows[] = {
        {"", "an object is expected"},
        {"[]", "an object is expected"},
        {"\x0a\x00", "an object is expected"},
        {"{\"resourceSpans\":{}}", "an array is expected"},
        {"{\"resourceSpans\":[7]}", "an object is expected"},
        {"{\"resourceSpans\":[{}]} x", "not JSON"},
        {"{\"resourceSpans\":[{}", "not JSON"},
        {"{\"resourceSpans\":[{\"resource\":[]}]}", "an object is expected"},
        {SPAN("\"name\":7"), "a text is expected where another value is"},
        {SPAN("\"name\":\"\\q\""), "a text is not JSON or not UTF-8"},
        {SPAN("\"name\":\"\\u00e\""), "a text is not JSON or not UTF-8"},
        {SPAN("\"name\":\"\xff\\n\""), "a text is not JSON or not UTF-8"},
        {SPAN("\"startTimeUnixNano\":\"x\""),
         "a time is expected to be a decimal number of nanoseconds"},
        {SPAN("\"startTimeUnixNano\":\"-1\""),
         "a time is expected to be a decimal number of nanoseconds"},
        {SPAN("\"startTimeUnixNano\":1.5"),
         "a time is expected to be a decimal number of nanoseconds"},
        {SPAN("\"attributes\":{}"), "an array is expected"},
        {SPAN("\"attributes\":[1]"), "an object is expected"},
        {SPAN("\"events\":[1]"), "an object is expected"},
        {SPAN("\"status\":2"), "an object is expected"},
        {VALUE("7"), "an object is expected"},
        {VALUE("{\"intValue\":1.5}"), "an intValue is no integer"},
        {VALUE("{\"intValue\":\"9223372036854775808\"}"), "an intValue is no integer"},
        {VALUE("{\"boolValue\":1}"), "a boolValue is no bool"},
        {VALUE("{\"doubleValue\":abc}"), "a doubleValue is no number"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf want;
        buf_init(&want, 1024);
        buf_printf(&want, "not an ExportTraceServiceRequest: %s\n", rows[i].want);
        assert_spans(OTLP_JSON, str_of(rows[i].body), want.p);
        buf_done(&want);
    }
}

// What is over the bounds is passed over, and the walk goes on.
static void test_many_attributes(void **state)
{
    (void)state;
    struct buf body;
    struct otlp_walk w;
    struct otel_span s;
    struct error err;
    buf_init(&body, 1 << 20);
    buf_cstr(&body, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"attributes\":[");
    for (int i = 0; i < 2 * OTLP_ATTRIBUTES_MAX; i++) {
        buf_printf(&body, "%s{\"key\":\"k%d\"}", i ? "," : "", i);
    }
    buf_cstr(&body, "]},{\"name\":\"next\"}]}]}]}");
    otlp_walk_begin(&w, OTLP_JSON, buf_view(&body));
    assert_i64(otlp_walk_next(&w, &s, &err), 1);
    assert_i64((int64_t)s.attributes.n, OTLP_ATTRIBUTES_MAX);
    assert_str(s.attributes.v[OTLP_ATTRIBUTES_MAX - 1].key, "k1023");
    assert_i64(otlp_walk_next(&w, &s, &err), 1);
    assert_str(s.name, "next");
    assert_i64((int64_t)s.attributes.n, 0);
    assert_i64(otlp_walk_next(&w, &s, &err), 0);
    assert_i64(otlp_walk_next(&w, &s, &err), 0);
    otlp_walk_done(&w);
    buf_done(&body);
}

// What is quoted is a request with the one span, which reads back as it was.
static void test_quote(void **state)
{
    (void)state;
    struct buf quoted;
    struct otlp_walk w;
    struct otel_span s;
    struct error err;
    buf_init(&quoted, 4096);
    otlp_walk_begin(&w, OTLP_JSON, str_of(everything_json));
    assert_i64(otlp_walk_next(&w, &s, &err), 1);
    otlp_quote(OTLP_JSON, &s, &quoted);
    assert_spans(OTLP_JSON, buf_view(&quoted), EVERYTHING);
    otlp_walk_done(&w);
    buf_clear(&quoted);

    struct buf bytes;
    buf_init(&bytes, 4096);
    hex_put(&bytes,
            "0a 10  0a 07 0a 05 0a 03 'one' 12 05 12 03 2a 01 'a'  0a 07 12 05 12 03 2a 01 'b'");
    otlp_walk_begin(&w, OTLP_PROTO, buf_view(&bytes));
    assert_i64(otlp_walk_next(&w, &s, &err), 1);
    otlp_quote(OTLP_PROTO, &s, &quoted);
    // Base64 of 0a 10 0a 07 0a 05 0a 03 'one' 12 05 12 03 2a 01 'a'.
    assert_str(buf_view(&quoted), "ChAKBwoFCgNvbmUSBRIDKgFh");
    assert_i64(otlp_walk_next(&w, &s, &err), 1);
    buf_clear(&quoted);
    otlp_quote(OTLP_PROTO, &s, &quoted);
    assert_str(buf_view(&quoted), "CgcSBRIDKgFi");
    otlp_walk_done(&w);
    buf_done(&bytes);
    buf_done(&quoted);
}

static void test_quote_body(void **state)
{
    (void)state;
    static const struct {
        enum otlp_encoding encoding;
        const char *body, *want;
    } rows[] = {
        {OTLP_JSON, "{\"a\":", "{\"a\":"},
        {OTLP_JSON, "0123456789abcdefghi", "0123456789abcdef"},
        {OTLP_PROTO, "f", "Zg=="},
        {OTLP_PROTO, "fo", "Zm8="},
        {OTLP_PROTO, "foo", "Zm9v"},
        {OTLP_PROTO, "\xff\xfe\xfd\xfc", "//79/A=="},
        {OTLP_PROTO, "0123456789abcdefghi", "MDEyMzQ1Njc4OWFi"}, // 12 bytes of it
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf got;
        buf_init(&got, 16);
        otlp_quote_body(rows[i].encoding, str_of(rows[i].body), &got);
        assert_true(buf_ok(&got));
        assert_str(buf_view(&got), rows[i].want);
        buf_done(&got);
    }
}

static void assert_hex(struct str got, const char *hex)
{
    struct buf want;
    buf_init(&want, 1024);
    hex_put(&want, hex);
    assert_i64((int64_t)got.n, (int64_t)want.n);
    assert_memory_equal(got.p, want.p, want.n);
    buf_done(&want);
}

static void test_answers(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1024);
    otlp_answer(OTLP_PROTO, 0, STR("unused"), &b);
    assert_hex(buf_view(&b), "");
    otlp_answer(OTLP_PROTO, 300, STR("why"), &b);
    assert_hex(buf_view(&b), "0a 08  08 ac 02  12 03 'why'");
    buf_clear(&b);
    otlp_answer_status(OTLP_PROTO, 3, STR("why"), &b);
    assert_hex(buf_view(&b), "08 03  12 03 'why'");
    buf_clear(&b);
    otlp_answer(OTLP_JSON, 0, STR("unused"), &b);
    assert_str(buf_view(&b), "{}");
    buf_clear(&b);
    otlp_answer(OTLP_JSON, 300, STR("a \"b\""), &b);
    assert_str(buf_view(&b), "{\"partialSuccess\":{\"rejectedSpans\":\"300\",\"errorMessage\":"
                             "\"a \\\"b\\\"\"}}");
    buf_clear(&b);
    otlp_answer_status(OTLP_JSON, 3, STR("why"), &b);
    assert_str(buf_view(&b), "{\"code\":3,\"message\":\"why\"}");
    buf_done(&b);
}

int main(void)
{
    return TEST_RUN(TEST(test_everything), TEST(test_few), TEST(test_broken_proto),
                    TEST(test_broken_json), TEST(test_many_attributes), TEST(test_quote),
                    TEST(test_quote_body), TEST(test_answers));
}
