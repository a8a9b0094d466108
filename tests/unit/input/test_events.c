// http: from the POST to the answer, with the test in the place of the pipeline.
#include <errno.h>

#include "sent.h"

#define RECORD(id)                                                                                 \
    "{\"event_id\":\"" id                                                                          \
    "\",\"ts\":\"2026-11-26T12:00:00Z\",\"model\":\"m\",\"prompt_tokens\":3,"                      \
    "\"completion_tokens\":4,\"latency_ms\":10}"
#define WITHOUT_ID                                                                                 \
    "{\"ts\":\"2026-11-26T12:00:00Z\",\"model\":\"m\",\"prompt_tokens\":3,\"completion_tokens\":"  \
    "4,"                                                                                           \
    "\"latency_ms\":10}"

static int send_to(const struct sent *f, const char *headers, const char *body)
{
    return client_send(sent_port(f), "/v1/events", headers, str_of(body));
}

// Reads until `position` records and dead letters have come.
static void read_up_to(struct sent *f, int64_t position)
{
    for (int i = 0; f->position < position; i++) {
        assert_true(i < TEST_PATIENCE_MS);
        sent_read_batch(f);
    }
}

// Reads on until what is read and stored is answered.
static void read_until_answer(struct sent *f, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int64_t position = f->position;
    for (int i = 0; poll(&p, 1, 0) == 0; i++) {
        assert_true(i < TEST_PATIENCE_MS);
        sent_read_batch(f);
    }
    assert_i64(f->position, position);
}

static void assert_answer(int fd, int status, const char *body)
{
    AUTO_FREE char *answer = client_hear(fd);
    if (client_status(answer) != status || strcmp(client_body(answer), body) != 0) {
        fail_msg("%s", answer);
    }
}

static void assert_no_answer(int fd)
{
    char c;
    assert_i64(recv(fd, &c, 1, MSG_DONTWAIT), -1);
}

static void test_acknowledged_when_stored(void **state)
{
    (void)state;
    struct sent f;
    sent_open(&f, "http", "");
    int first = send_to(&f, "", RECORD("a") "\n" RECORD("b") "\n");
    read_up_to(&f, 2);
    int second = send_to(&f, "", RECORD("c"));
    read_up_to(&f, 3);
    input_stored(f.in, 1);
    assert_no_answer(first);
    input_stored(f.in, 2);
    assert_answer(first, 200, "{\"accepted\":2,\"rejected\":0,\"errors\":[]}\n");
    assert_no_answer(second);
    input_stored(f.in, 3);
    assert_answer(second, 200, "{\"accepted\":1,\"rejected\":0,\"errors\":[]}\n");
    assert_i64((int64_t)harness_count(&f.notes, " ! "), 0);
    sent_close(&f);
}

static void test_bad_records(void **state)
{
    (void)state;
    struct sent f;
    sent_open(&f, "http", "");
    int some = send_to(&f, "", RECORD("a") "\n{\"x\":1}\n" RECORD("b"));
    read_up_to(&f, 3);
    int all = send_to(&f, "", "no json");
    read_up_to(&f, 4);
    input_stored(f.in, 4);
    AUTO_FREE char *answer = client_hear(some);
    assert_i64(client_status(answer), 200);
    assert_non_null(strstr(answer, "{\"accepted\":2,\"rejected\":1,\"errors\":[{\"record\":2,"));
    AUTO_FREE char *bad = client_hear(all);
    assert_i64(client_status(bad), 400);
    assert_non_null(strstr(bad, "not JSON"));
    assert_i64((int64_t)harness_count(&f.notes, " ! "), 2);
    sent_close(&f);
}

static void test_too_far_ahead(void **state)
{
    (void)state;
    struct sent f;
    sent_open(&f, "http", "");
    harness_advance(&f.h, -2 * NS_PER_HOUR);
    int fd = send_to(&f, "", RECORD("a"));
    read_up_to(&f, 1);
    input_stored(f.in, 1);
    AUTO_FREE char *answer = client_hear(fd);
    assert_i64(client_status(answer), 400);
    assert_non_null(strstr(answer, "ahead of the clock"));
    sent_close(&f);
}

static void test_nothing_in_it(void **state)
{
    (void)state;
    struct sent f;
    sent_open(&f, "http", "");
    int fd = send_to(&f, "", "\n");
    read_until_answer(&f, fd);
    assert_answer(fd, 200, "{\"accepted\":0,\"rejected\":0,\"errors\":[]}\n");
    sent_close(&f);
}

// The same request again makes the same ids; without a key each is new.
static void test_ids(void **state)
{
    (void)state;
    struct sent f;
    sent_open(&f, "http", "");
    const char *key = "Idempotency-Key: k1\r\n", *two = WITHOUT_ID "\n" WITHOUT_ID "\n";
    int fds[] = {send_to(&f, key, two), -1, -1};
    read_up_to(&f, 2);
    fds[1] = send_to(&f, key, two);
    read_up_to(&f, 4);
    fds[2] = send_to(&f, "", WITHOUT_ID);
    read_up_to(&f, 5);
    input_stored(f.in, 5);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        free(client_hear(fds[i]));
    }
    assert_i64((int64_t)harness_count(&f.notes, "k1:000001"), 2);
    assert_i64((int64_t)harness_count(&f.notes, "k1:000002"), 2);
    sent_close(&f);
}

// The end of an array, and white space behind the last line, are no part of a record.
static void test_ends_of_bodies(void **state)
{
    (void)state;
    static const char *const bodies[] = {"[" RECORD("a") "," RECORD("b") "]\n",
                                         "[ " RECORD("a") " , {\"x\":1} ]", RECORD("a") "\n \n"};
    struct sent f;
    sent_open(&f, "http", "");
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        int64_t records = i < 2 ? 2 : 1;
        int fd = send_to(&f, "Content-Type: application/json\r\n", bodies[i]);
        read_up_to(&f, f.position + records);
        input_stored(f.in, f.position);
        AUTO_FREE char *answer = client_hear(fd);
        assert_i64(client_status(answer), 200);
    }
    assert_i64(harness_count(&f.notes, " a {"), 3);
    assert_i64(harness_count(&f.notes, " ! "), 1);
    sent_close(&f);
}

// A body of more records than a batch holds is acknowledged when the last of them is stored.
static void test_long_body(void **state)
{
    (void)state;
    enum { N = 2 * BATCH_RECORDS + 10 };
    struct sent f;
    struct buf body;
    sent_open(&f, "http", "");
    buf_init(&body, 8 << 20);
    for (int i = 0; i < N; i++) {
        buf_cstr(&body, WITHOUT_ID "\n");
    }
    int fd = send_to(&f, "", buf_view(&body).p);
    read_up_to(&f, N);
    input_stored(f.in, N - 1);
    assert_no_answer(fd);
    input_stored(f.in, N);
    AUTO_FREE char *answer = client_hear(fd);
    AUTO_FREE char *want = x_asprintf("{\"accepted\":%d,", N);
    assert_non_null(strstr(answer, want));
    buf_done(&body);
    sent_close(&f);
}

static void test_placed_by_options(void **state)
{
    (void)state;
    struct sent f;
    sent_open(&f, "http", "?host=gpu-09&gpus=0-1&tenant=search");
    int fd = send_to(&f, "", RECORD("a"));
    read_up_to(&f, 1);
    input_stored(f.in, 1);
    free(client_hear(fd));
    assert_i64((int64_t)harness_count(&f.notes, "\"host\":\"gpu-09\""), 1);
    assert_i64((int64_t)harness_count(&f.notes, "\"gpu_indices\":[0,1]"), 1);
    assert_i64((int64_t)harness_count(&f.notes, "\"tenant\":\"search\""), 1);
    sent_close(&f);
}

#define LOG(id, cache_hit)                                                                         \
    "{\"litellm_call_id\":\"" id "\",\"call_type\":\"acompletion\",\"model\":\"m\","               \
    "\"cache_hit\":" cache_hit ",\"startTime\":1795694398.5,\"endTime\":1795694399.25,"            \
    "\"prompt_tokens\":3,\"completion_tokens\":4,\"messages\":[\""

// What LiteLLM posts: an array, with an answer from its cache and a long conversation in it.
static void test_other_shapes(void **state)
{
    (void)state;
    struct sent f;
    struct buf body;
    sent_open(&f, "http", "");
    buf_init(&body, 4 << 20);
    buf_cstr(&body, "[" LOG("a", "null") "\"]}," LOG("b", "true") "\"]}," LOG("c", "false"));
    while (body.n < 2 << 20) {
        buf_cstr(&body, "and so on, ");
    }
    buf_cstr(&body, "\"]}]");
    int fd = send_to(&f, "Content-Type: application/json\r\n", body.p);
    read_up_to(&f, 2);
    input_stored(f.in, 2);
    read_until_answer(&f, fd);
    assert_answer(fd, 200, "{\"accepted\":2,\"rejected\":0,\"passed_over\":1,\"errors\":[]}\n");
    assert_i64(harness_count(&f.notes, " a {\"ts\":\"2026-11-26T11:59:59.250Z\",\"model\":\"m\","
                                       "\"prompt_tokens\":3,\"completion_tokens\":4,"
                                       "\"latency_ms\":750,\"event_id\":\"a\"}"),
               1);
    assert_i64(harness_count(&f.notes, " c {\"ts\":"), 1);
    buf_done(&body);
    sent_close(&f);
}

// Who sends a known shape is told what it lacks; who does not, what is wrong with the record.
static void test_refused_shapes(void **state)
{
    (void)state;
    struct sent f;
    sent_open(&f, "http", "");
    int shaped = send_to(&f, "",
                         "{\"object\":\"chat.completion\",\"id\":\"x\",\"created\":1,"
                         "\"model\":\"m\",\"usage\":{\"prompt_tokens\":1,"
                         "\"completion_tokens\":2}}");
    read_up_to(&f, 1);
    int other = send_to(&f, "", "{\"model\":\"m\",\"prompt_tokens\":1}");
    read_up_to(&f, 2);
    input_stored(f.in, 2);
    assert_answer(
        shaped, 400,
        "{\"accepted\":0,\"rejected\":1,\"errors\":[{\"record\":1,\"reason\":\"taken as an "
        "OpenAI response: latency_ms: missing\"}]}\n");
    assert_answer(other, 400,
                  "{\"accepted\":0,\"rejected\":1,\"errors\":[{\"record\":1,\"reason\":\"ts: "
                  "missing\"}]}\n");
    sent_close(&f);
}

static void test_model_by_option(void **state)
{
    (void)state;
    struct sent f;
    sent_open(&f, "http", "?model=llama");
    int fd = send_to(&f, "",
                     "{\"ts\":\"2026-11-26T12:00:00Z\",\"prompt_tokens\":3,"
                     "\"completion_tokens\":4,\"latency_ms\":10}");
    read_up_to(&f, 1);
    input_stored(f.in, 1);
    free(client_hear(fd));
    assert_i64(harness_count(&f.notes, "\"model\":\"llama\""), 1);
    sent_close(&f);
}

// What was not stored when the run ended is not acknowledged.
static void test_stopped_before(void **state)
{
    (void)state;
    struct sent f;
    sent_open(&f, "http", "");
    int read = send_to(&f, "", RECORD("a"));
    read_up_to(&f, 1);
    int unread = send_to(&f, "", RECORD("b"));
    http_server_stop(f.server, 0);
    AUTO_FREE char *first = client_hear(read);
    assert_i64(client_status(first), 503);
    AUTO_FREE char *second = client_hear(unread);
    assert_true(client_status(second) == 503 || *second == '\0');
    sent_close(&f);
}

// A run that stops waits for none that may still come: in a test, stop_fd is readable all the time.
static void test_a_stop_ends_the_wait(void **state)
{
    (void)state;
    struct sent f;
    sent_open(&f, "http", "");
    struct mono begin = clock_mono(&clock_system);
    for (int i = 0; i < 100; i++) {
        sent_read_batch(&f);
    }
    assert_true(clock_mono(&clock_system).ns - begin.ns < 10 * NS_PER_S);
    sent_close(&f);
}

static void test_needs_a_server(void **state)
{
    (void)state;
    struct harness h;
    struct input *in = NULL;
    struct error err;
    harness_init(&h);
    assert_i64(harness_try(&h, "http:", &in, &err), -EINVAL);
    harness_done(&h);
}

int main(void)
{
    return TEST_RUN(TEST(test_acknowledged_when_stored), TEST(test_bad_records),
                    TEST(test_too_far_ahead), TEST(test_nothing_in_it), TEST(test_ids),
                    TEST(test_ends_of_bodies), TEST(test_long_body), TEST(test_placed_by_options),
                    TEST(test_other_shapes), TEST(test_refused_shapes), TEST(test_model_by_option),
                    TEST(test_stopped_before), TEST(test_a_stop_ends_the_wait),
                    TEST(test_needs_a_server));
}
