// The inputs that read servers' counters, on pages handed in and with a clock of the test's own.
#include <errno.h>

#include "input/server_map.h"
#include "pages.h"

static struct harness h;
static struct pages net;
static struct buf notes;

static int setup(void **state)
{
    (void)state;
    harness_init(&h);
    pages_install(&net, &h);
    buf_init(&notes, 1 << 24);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_done(&notes);
    harness_done(&h);
    return 0;
}

#define PAGE(prompt, completion)                                                                   \
    "vllm:prompt_tokens_total{model_name=\"m\"} " prompt                                           \
    "\nvllm:generation_tokens_total{model_name=\"m\"} " completion "\n"

static const struct input_health *health_of(const struct input *in)
{
    static struct input_health health;
    input_health(in, &health);
    return &health;
}

// The part of a record that is what was counted, not when: behind its id.
static bool says(const char *text)
{
    return harness_count(&notes, text) > 0;
}

static void scrape(struct input *in)
{
    buf_clear(&notes);
    pages_run(&net, in, 10 * NS_PER_MS, &notes);
}

#define ANSWER(...)                                                                                \
    static const struct page_answer answers[] = {__VA_ARGS__};                                     \
    pages_answer(&net, answers, ARRAY_LEN(answers))

static void test_an_interval_is_a_record(void **state)
{
    (void)state;
    ANSWER({.page = PAGE("100", "50")}, {.page = PAGE("120", "57")}, {.page = PAGE("120", "57")});
    struct input *in = harness_open(
        &h, "vllm+http://localhost:8000/metrics?gpus=0-1&host=gpu-01&tenant=search&site=lab");
    assert_string_equal(net.config.url, "http://localhost:8000/metrics");
    scrape(in);
    assert_i64((int64_t)notes.n, 0);
    int64_t first = h.clock.wall;
    scrape(in);
    assert_i64(h.clock.wall - first, NS_PER_S);
    static const char *const parts[] = {
        "1 01a208",
        "\"ts\":\"2026-11-23T14:00:01Z\"",
        "\"latency_ms\":1000",
        "\"model\":\"m\"",
        "\"prompt_tokens\":20",
        "\"completion_tokens\":7",
        "\"host\":\"gpu-01\"",
        "\"gpu_indices\":[0,1]",
        "\"tenant\":\"search\"",
        "\"site\":\"lab\"",
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (!says(parts[i])) {
            fail_msg("no %s in %s", parts[i], notes.p);
        }
    }
    assert_false(says("requests") || says("cached"));
    scrape(in);
    assert_i64((int64_t)notes.n, 0);
    assert_true(health_of(in)->ok);
    input_close(in);
    assert_false(net.open);
}

// A slow scrape makes its interval longer and the next one wait for the beat.
static void test_rhythm(void **state)
{
    (void)state;
    ANSWER({.page = PAGE("1", "1")}, {.page = PAGE("2", "1"), .takes = 2300 * NS_PER_MS},
           {.page = PAGE("3", "1")}, {.page = PAGE("4", "1"), .going = 3},
           {.page = PAGE("5", "1")});
    static const int64_t begun_ms[] = {0, 1000, 4000, 5000, 6000};
    static const char *const latency[] = {"", "\"latency_ms\":3300,", "\"latency_ms\":700,",
                                          "\"latency_ms\":1000,", "\"latency_ms\":1000,"};
    struct input *in = harness_open(&h, "vllm+http://localhost:8000/metrics");
    int64_t start = h.clock.mono;
    for (size_t i = 0; i < ARRAY_LEN(begun_ms); i++) {
        scrape(in);
        assert_i64(net.asked_at - start, begun_ms[i] * NS_PER_MS);
        if (!says(latency[i]) && i > 0) {
            fail_msg("%zu: %s", i, notes.p);
        }
    }
    input_close(in);
}

// The interval is measured by the clock that does not jump.
static void test_a_wall_clock_that_jumps(void **state)
{
    (void)state;
    ANSWER({.page = PAGE("1", "1")}, {.page = PAGE("2", "1")}, {.page = PAGE("3", "1")});
    struct input *in = harness_open(&h, "vllm+http://localhost:8000/metrics");
    scrape(in);
    h.clock.wall -= NS_PER_HOUR;
    scrape(in);
    assert_true(says("\"ts\":\"2026-11-23T13:00:01Z\"") && says("\"latency_ms\":1000,"));
    h.clock.wall += 2 * NS_PER_HOUR;
    scrape(in);
    assert_true(says("\"ts\":\"2026-11-23T15:00:02Z\"") && says("\"latency_ms\":1000,"));
    input_close(in);
}

// After failures it tries again ever later, says so, and what was counted meanwhile is one
// interval.
static void test_failures(void **state)
{
    (void)state;
    ANSWER({.page = PAGE("1", "1")}, {.fails = "connection refused"}, {.fails = "still"},
           {.page = "<html>"}, {.fails = "no"}, {.fails = "no"}, {.fails = "no"}, {.fails = "no"},
           {.page = PAGE("9", "1")});
    struct input *in = harness_open(&h, "vllm+http://localhost:8000/metrics");
    scrape(in);
    int64_t good = h.clock.mono, last = good;
    static const int64_t least_s[] = {0, 1, 2, 4, 8, 16, 24};
    for (size_t i = 0; i < ARRAY_LEN(least_s); i++) {
        scrape(in);
        assert_i64((int64_t)notes.n, 0);
        assert_false(health_of(in)->ok);
        assert_i64((int64_t)health_of(in)->failures, (int64_t)i + 1);
        int64_t waited = net.asked_at - last;
        int64_t least = i == 0 ? NS_PER_S : least_s[i] * NS_PER_S;
        assert_true(waited >= least && waited <= least + least / 4 + 10 * NS_PER_MS);
        last = net.asked_at;
        assert_true(i != 2 || strstr(health_of(in)->error, "no page of metrics"));
    }
    assert_non_null(strstr(health_of(in)->error, "no"));
    scrape(in);
    assert_true(health_of(in)->ok && says("\"prompt_tokens\":8"));
    char latency[64];
    int64_t ms = (h.clock.mono - good) / NS_PER_MS;
    snprintf(latency, sizeof(latency), "\"latency_ms\":%lld", (long long)ms);
    assert_true(says(latency));
    input_close(in);
}

static void test_what_is_wrong_with_a_good_page_is_said(void **state)
{
    (void)state;
    ANSWER({.page = PAGE("1", "1")}, {.page = PAGE("2", "x")}, {.page = PAGE("3", "x")},
           {.page = PAGE("4", "1")});
    struct input *in = harness_open(&h, "vllm+http://localhost:8000/metrics");
    scrape(in);
    scrape(in);
    int64_t since = health_of(in)->since;
    assert_false(health_of(in)->ok);
    scrape(in); // in the rhythm, and wrong since then
    assert_true(says("\"prompt_tokens\":1") && says("\"latency_ms\":1000,"));
    assert_i64(health_of(in)->since, since);
    assert_false(health_of(in)->ok);
    assert_non_null(strstr(health_of(in)->error, "cannot be read"));
    scrape(in);
    assert_true(health_of(in)->ok);
    input_close(in);
}

// A record holds 10^9 tokens of a kind: more make several, the sum being what was counted.
static void test_more_than_a_record_holds(void **state)
{
    (void)state;
    ANSWER({.page = PAGE("0", "0")}, {.page = PAGE("2000000005", "1000000000")});
    struct input *in = harness_open(&h, "vllm+http://localhost:8000/metrics");
    scrape(in);
    scrape(in);
    assert_int_equal(harness_count(&notes, "\"prompt_tokens\":1000000000,"), 2);
    assert_int_equal(harness_count(&notes, "\"prompt_tokens\":5,"), 1);
    assert_int_equal(harness_count(&notes, "\"completion_tokens\":1000000000"), 1);
    assert_int_equal(harness_count(&notes, "\"completion_tokens\":0"), 2);
    input_close(in);
}

// Positions go on where the store says, and a model's name that no record may have is no loss of
// the others.
static void test_positions_and_dead_letters(void **state)
{
    (void)state;
    struct buf page[2];
    for (int i = 0; i < 2; i++) {
        buf_init(&page[i], 4096);
        buf_printf(&page[i], "vllm:prompt_tokens_total{model_name=\"%0600d\"} %d\n", 7, i);
        buf_printf(&page[i], "vllm:prompt_tokens_total{model_name=\"m\"} %d\n", i);
    }
    const struct page_answer answers[] = {{.page = page[0].p}, {.page = page[1].p}};
    pages_answer(&net, answers, 2);
    struct input *in = harness_open(&h, "vllm+http://localhost:8000/metrics");
    struct error err;
    assert_ok(input_seek(in, 41, -1, &err), &err);
    scrape(in);
    scrape(in);
    assert_int_equal(harness_count(&notes, "42 ! model: is longer"), 1);
    assert_int_equal(harness_count(&notes, "43 01a208"), 1);
    input_close(in);
    buf_done(&page[0]);
    buf_done(&page[1]);
}

static void test_servers_without_a_models_name(void **state)
{
    (void)state;
    ANSWER({.page = "\"llamacpp:prompt_tokens_total 5\\nllamacpp:requests_processing 0\\n\""},
           {.page = "\"llamacpp:prompt_tokens_total 7\\nllamacpp:requests_processing 0\\n\""});
    struct input *in = harness_open(&h, "llamacpp+https://box?model=qwen3%%2030b");
    assert_string_equal(net.config.url, "https://box/metrics?model=qwen3+30b");
    scrape(in);
    scrape(in);
    assert_true(says("\"model\":\"qwen3 30b\"") && says("\"prompt_tokens\":2"));
    input_close(in);
}

static void test_bad_options(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *says;
    } rows[] = {
        {"vllm+http:", "not an address"},
        {"vllm+http:localhost:8000/metrics", "not an address"},
        {"vllm+http:///metrics", "not an address"},
        {"vllm+http://user:geheim@localhost:8000/metrics", "auth=FILE"},
        {"vllm+http://localhost?every=99ms", "every= must be from 100ms to 60s"},
        {"vllm+http://localhost?every=61s", "every= must be from 100ms to 60s"},
        {"vllm+http://localhost?timeout=10m", "timeout= must be from"},
        {"vllm+http://localhost?gpus=x", "gpus="},
        {"vllm+http://localhost?gpu=1", "unknown option 'gpu'"},
        {"tgi+http://localhost", "give model=NAME"},
        {"llamacpp+http://localhost", "give model=NAME"},
        {"vllm+ftp://localhost", "no input is called"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct input *in = NULL;
        struct error err = {0};
        assert_int_equal(harness_try(&h, rows[i].uri, &in, &err), -EINVAL);
        if (strstr(err.msg, rows[i].says) == NULL || strstr(err.msg, "geheim")) {
            fail_msg("%s: %s", rows[i].uri, err.msg);
        }
        assert_false(net.open);
    }
}

// Every scheme opens, with its own page where the address names none.
static void test_every_scheme(void **state)
{
    (void)state;
#define SERVER_ROW(id, ...) {#id, &server_##id},
    static const struct {
        const char *scheme;
        const struct server *server;
    } rows[] = {SERVER_TABLE(SERVER_ROW)};
    for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        const char *proto = i % 2 ? "https" : "http";
        struct input *in = harness_open(&h, "%s+%s://h:1/?model=m&every=60s&timeout=5m",
                                        rows[i / 2].scheme, proto);
        char url[64];
        snprintf(url, sizeof(url), "%s://h:1%s%s", proto, rows[i / 2].server->path,
                 rows[i / 2].server->query_model ? "?model=m" : "");
        assert_string_equal(net.config.url, url);
        const struct input_info *info = input_info(in);
        assert_false(info->finite);
        assert_non_null(strstr(info->about, rows[i / 2].server->title));
        input_close(in);
    }
}

int main(void)
{
#define T(f) TEST_WITH(f, setup, teardown)
    return TEST_RUN(
        T(test_an_interval_is_a_record), T(test_rhythm), T(test_a_wall_clock_that_jumps),
        T(test_failures), T(test_what_is_wrong_with_a_good_page_is_said),
        T(test_more_than_a_record_holds), T(test_positions_and_dead_letters),
        T(test_servers_without_a_models_name), T(test_bad_options), T(test_every_scheme));
}
