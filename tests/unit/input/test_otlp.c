// otlp: from the POST to the answer, with the test in the place of the pipeline.
#include <errno.h>

#include "hex.h"
#include "sent.h"

#define JSON "Content-Type: application/json\r\n"
#define PROTO "Content-Type: application/x-protobuf\r\n"

static int send_to(const struct sent *f, const char *headers, struct str body)
{
    return client_send(sent_port(f), "/v1/traces", headers, body);
}

// Reads until `position` records and dead letters have come, or there is an answer.
static void read_up_to(struct sent *f, int64_t position, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (int i = 0; f->position < position && poll(&p, 1, 0) == 0; i++) {
        assert_true(i < TEST_PATIENCE_MS);
        sent_read_batch(f);
    }
    assert_i64(f->position, position);
}

// Sends, reads, stores, and hears the answer.
static char *exchange(struct sent *f, const char *headers, struct str body, int64_t records)
{
    int fd = send_to(f, headers, body);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int64_t position = f->position + records;
    for (int i = 0; f->position < position || (records == 0 && poll(&p, 1, 0) == 0); i++) {
        assert_true(i < TEST_PATIENCE_MS);
        sent_read_batch(f);
    }
    assert_i64(f->position, position);
    input_stored(f->in, position);
    return client_hear(fd);
}

#define SPAN(id, parent, members)                                                                  \
    "{\"traceId\":\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":\"00000000000000" id "\","       \
    "\"parentSpanId\":\"" parent "\",\"kind\":3,\"startTimeUnixNano\":\"1795694400000000000\","    \
    "\"endTimeUnixNano\":\"1795694402000000000\",\"attributes\":[" members "]}"
#define TEXT(k, v) "{\"key\":\"" k "\",\"value\":{\"stringValue\":\"" v "\"}}"
#define INT(k, v) "{\"key\":\"" k "\",\"value\":{\"intValue\":\"" v "\"}}"
#define CALL                                                                                       \
    TEXT("gen_ai.request.model", "m")                                                              \
    "," INT("gen_ai.usage.input_tokens", "3") "," INT("gen_ai.usage.output_tokens", "4")
#define NAMELESS INT("gen_ai.usage.input_tokens", "3") "," INT("gen_ai.usage.output_tokens", "4")
#define REQUEST(spans) "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[" spans "]}]}]}"

static void test_json(void **state)
{
    (void)state;
    struct sent f;
    sent_open(&f, "otlp", "?host=gpu-09&gpus=0-1&tenant=search");
    int fd = send_to(&f, JSON, STR(REQUEST(SPAN("01", "", CALL) "," SPAN("02", "", ""))));
    read_up_to(&f, 1, fd);
    char c;
    assert_i64(recv(fd, &c, 1, MSG_DONTWAIT), -1); // not before it is stored
    input_stored(f.in, 1);
    AUTO_FREE char *answer = client_hear(fd);
    assert_i64(client_status(answer), 200);
    assert_string_equal(client_body(answer), "{}");
    assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(answer, "Gtap-Spans: accepted=1, passed-over=1, rejected=0\r\n"));
    assert_str(buf_view(&f.notes),
               "1 0102030405060708090a0b0c0d0e0f10-0000000000000001 "
               "{\"ts\":\"2026-11-26T12:00:02Z\",\"host\":\"gpu-09\",\"gpu_indices\":[0,1],"
               "\"model\":\"m\",\"tenant\":\"search\","
               "\"request_id\":\"0102030405060708090a0b0c0d0e0f10-0000000000000001\","
               "\"prompt_tokens\":3,\"completion_tokens\":4,\"latency_ms\":2000,"
               "\"event_id\":\"0102030405060708090a0b0c0d0e0f10-0000000000000001\"}\n");
    sent_close(&f);
}

// A span of two attributes and a model, byte by byte.
static const char call_proto[] = "0a 96 01  12 93 01  12 90 01"
                                 "0a 10  01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10"
                                 "12 08  00 00 00 00 00 00 00 01  30 03"
                                 "39  00 80 28 f5 8a 96 eb 18"
                                 "41  00 79 2b 8a 8b 96 eb 18"
                                 "4a 1f  0a 19 'gen_ai.usage.input_tokens'  12 02  18 03"
                                 "4a 20  0a 1a 'gen_ai.usage.output_tokens'  12 02  18 04"
                                 "4a 1b  0a 14 'gen_ai.request.model'  12 03  0a 01 'm'";

static void test_proto(void **state)
{
    (void)state;
    struct sent f;
    struct buf body, packed;
    sent_open(&f, "otlp", "");
    buf_init(&body, 1024);
    buf_init(&packed, 1024);
    hex_put(&body, call_proto);
    AUTO_FREE char *answer = exchange(&f, PROTO, buf_view(&body), 1);
    assert_i64(client_status(answer), 200);
    assert_string_equal(client_body(answer), "");
    assert_non_null(strstr(answer, "Content-Type: application/x-protobuf\r\n"));
    harness_pack(&packed, AS_GZIP, buf_view(&body));
    AUTO_FREE char *again = exchange(&f, PROTO "Content-Encoding: gzip\r\n", buf_view(&packed), 1);
    assert_i64(client_status(again), 200);
    // The same span again is the same record, so that the store takes it for a duplicate.
    assert_i64(harness_count(&f.notes, " 0102030405060708090a0b0c0d0e0f10-0000000000000001 {\"ts\":"
                                       "\"2026-11-26T12:00:02.500Z\",\"model\":\"m\","),
               2);
    buf_done(&body);
    buf_done(&packed);
    sent_close(&f);
}

static void test_partial_success(void **state)
{
    (void)state;
    struct sent f;
    struct buf body;
    sent_open(&f, "otlp", "");
    AUTO_FREE char *answer =
        exchange(&f, JSON, STR(REQUEST(SPAN("01", "", CALL) "," SPAN("02", "", NAMELESS))), 2);
    assert_i64(client_status(answer), 200);
    assert_string_equal(client_body(answer),
                        "{\"partialSuccess\":{\"rejectedSpans\":\"1\",\"errorMessage\":\"1 of the "
                        "spans cannot be used; the first: model: missing; the input's option "
                        "model= names it\"}}");
    assert_i64(harness_count(&f.notes, "2 ! model: missing"), 1);
    // The dead letter can be sent again, to an input that is told the model.
    assert_str(buf_view(&f.dead), REQUEST(SPAN("02", "", NAMELESS)) "\n");
    buf_init(&body, 1024);
    hex_put(&body, "0a 3e  12 3c  12 3a  0a 10 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10"
                   "4a 1f  0a 19 'gen_ai.usage.input_tokens'  12 02  18 03"
                   "12 05 'short'");
    AUTO_FREE char *proto = exchange(&f, PROTO, buf_view(&body), 1);
    assert_i64(client_status(proto), 200);
    assert_int_equal(client_body(proto)[0], 0x0a); // partial_success
    assert_int_equal(client_body(proto)[2], 0x08); // rejected_spans
    assert_int_equal(client_body(proto)[3], 1);
    assert_non_null(strstr(client_body(proto), "completion_tokens: missing"));
    buf_done(&body);
    sent_close(&f);
}

static void test_broken_bodies(void **state)
{
    (void)state;
    struct sent f;
    sent_open(&f, "otlp", "");
    AUTO_FREE char *json = exchange(&f, JSON, STR(REQUEST(SPAN("01", "", CALL)) "x"), 1);
    assert_i64(client_status(json), 400);
    assert_string_equal(client_body(json), "{\"code\":3,\"message\":\"not an "
                                           "ExportTraceServiceRequest: not JSON\"}");
    AUTO_FREE char *proto = exchange(&f, PROTO, STR("{}"), 1);
    assert_i64(client_status(proto), 400);
    assert_non_null(strstr(proto, "\x08\x03\x12\x30not an ExportTraceServiceRequest: "
                                  "broken message"));
    assert_i64(harness_count(&f.notes, " ! not an ExportTraceServiceRequest"), 2);
    assert_str(buf_view(&f.dead), REQUEST(SPAN("01", "", CALL)) "x\ne30=\n");
    AUTO_FREE char *text = client_post(http_server_port(f.server, 0), "/v1/traces",
                                       "Content-Type: text/plain\r\n", STR("{}"));
    assert_i64(client_status(text), 415);
    sent_close(&f);
}

static void test_nothing_in_it(void **state)
{
    (void)state;
    struct sent f;
    sent_open(&f, "otlp", "");
    AUTO_FREE char *json = exchange(&f, JSON, STR("{}"), 0);
    assert_i64(client_status(json), 200);
    assert_string_equal(client_body(json), "{}");
    AUTO_FREE char *other = exchange(&f, JSON, STR(REQUEST(SPAN("01", "", ""))), 0);
    assert_non_null(strstr(other, "Gtap-Spans: accepted=0, passed-over=1, rejected=0\r\n"));
    sent_close(&f);
}

// A gateway's span around a client's: one call, also when it comes with a later request.
static void test_nested(void **state)
{
    (void)state;
    struct sent f;
    sent_open(&f, "otlp", "");
    AUTO_FREE char *both =
        exchange(&f, JSON,
                 STR(REQUEST(SPAN("01", "", CALL) "," SPAN("03", "0000000000000002", CALL) "," SPAN(
                     "02", "0000000000000001", ""))),
                 1);
    assert_non_null(strstr(both, "Gtap-Spans: accepted=1, passed-over=2, rejected=0\r\n"));
    AUTO_FREE char *inner =
        exchange(&f, JSON, STR(REQUEST(SPAN("12", "0000000000000011", CALL))), 1);
    AUTO_FREE char *outer = exchange(&f, JSON, STR(REQUEST(SPAN("11", "", CALL))), 0);
    assert_i64(client_status(inner), 200);
    assert_non_null(strstr(outer, "Gtap-Spans: accepted=0, passed-over=1, rejected=0\r\n"));
    sent_close(&f);
}

// More spans than a batch holds are answered when the last of them is stored.
static void test_many(void **state)
{
    (void)state;
    enum { N = 2 * BATCH_RECORDS + 10 };
    struct sent f;
    struct buf body;
    sent_open(&f, "otlp", "");
    buf_init(&body, 8 << 20);
    buf_cstr(&body, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[");
    for (int i = 0; i < N; i++) {
        buf_cstr(&body, i ? "," : "");
        buf_printf(&body,
                   "{\"traceId\":\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":\"%016x\","
                   "\"startTimeUnixNano\":\"1795694400000000000\","
                   "\"endTimeUnixNano\":\"1795694402000000000\",\"attributes\":[%s]}",
                   i + 1, CALL);
    }
    buf_cstr(&body, "]}]}]}");
    int fd = send_to(&f, JSON, buf_view(&body));
    read_up_to(&f, N, fd);
    input_stored(f.in, N - 1);
    char c;
    assert_i64(recv(fd, &c, 1, MSG_DONTWAIT), -1);
    input_stored(f.in, N);
    AUTO_FREE char *answer = client_hear(fd);
    AUTO_FREE char *want = x_asprintf("Gtap-Spans: accepted=%d,", N);
    assert_non_null(strstr(answer, want));
    buf_done(&body);
    sent_close(&f);
}

static void test_too_many(void **state)
{
    (void)state;
    enum { N = 100001 };
    struct sent f;
    struct buf body;
    sent_open(&f, "otlp", "");
    buf_init(&body, 1 << 20);
    buf_cstr(&body, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{}");
    for (int i = 1; i < N; i++) {
        buf_cstr(&body, ",{}");
    }
    buf_cstr(&body, "]}]}]}");
    AUTO_FREE char *answer = exchange(&f, JSON, buf_view(&body), 1);
    assert_i64(client_status(answer), 400);
    assert_non_null(strstr(answer, "more than 100000 spans in one request"));
    buf_done(&body);
    sent_close(&f);
}

static void test_too_far_ahead(void **state)
{
    (void)state;
    struct sent f;
    sent_open(&f, "otlp", "");
    harness_advance(&f.h, -2 * NS_PER_HOUR);
    AUTO_FREE char *answer = exchange(&f, JSON, STR(REQUEST(SPAN("01", "", CALL))), 1);
    assert_i64(client_status(answer), 200);
    assert_non_null(strstr(answer, "ahead of the clock"));
    sent_close(&f);
}

static void test_stopped_before(void **state)
{
    (void)state;
    struct sent f;
    sent_open(&f, "otlp", "");
    int fd = send_to(&f, JSON, STR(REQUEST(SPAN("01", "", CALL))));
    read_up_to(&f, 1, fd);
    http_server_stop(f.server, 0);
    AUTO_FREE char *answer = client_hear(fd);
    assert_i64(client_status(answer), 503);
    sent_close(&f);
}

static void test_opening(void **state)
{
    (void)state;
    struct sent f;
    struct harness h;
    struct input *in = NULL;
    struct error err;
    sent_open(&f, "otlp", "?model=llama&only=server&tenant_attribute=app.team");
    assert_string_equal(input_info(f.in)->name, "otlp:");
    AUTO_FREE char *client = exchange(&f, JSON, STR(REQUEST(SPAN("01", "", CALL))), 0);
    assert_non_null(strstr(client, "passed-over=1"));
    sent_close(&f);
    harness_init(&h);
    assert_i64(harness_try(&h, "otlp:", &in, &err), -EINVAL);
    harness_done(&h);
    sent_open(&f, "otlp", "?model=llama");
    assert_i64(harness_try(&f.h, "otlp:?only=some", &in, &err), -EINVAL);
    assert_string_equal(err.msg, "option only= must be server or client");
    assert_i64(harness_try(&f.h, "otlp:", &in, &err), -EEXIST);
    AUTO_FREE char *named = exchange(&f, JSON, STR(REQUEST(SPAN("01", "", NAMELESS))), 1);
    assert_i64(client_status(named), 200);
    assert_i64(harness_count(&f.notes, "\"model\":\"llama\""), 1);
    sent_close(&f);
}

int main(void)
{
    return TEST_RUN(TEST(test_json), TEST(test_proto), TEST(test_partial_success),
                    TEST(test_broken_bodies), TEST(test_nothing_in_it), TEST(test_nested),
                    TEST(test_many), TEST(test_too_many), TEST(test_too_far_ahead),
                    TEST(test_stopped_before), TEST(test_opening));
}
