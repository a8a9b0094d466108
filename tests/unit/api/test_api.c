// The routes of a run, asked over the loopback interface, with a clock of the test's own.
#include "api/api.h"

#include "http_client.h"

struct fake_clock {
    struct clock base;
    int64_t ns;
};

static int64_t wall(const struct clock *c)
{
    return ((const struct fake_clock *)c)->ns;
}

static struct mono mono(const struct clock *c)
{
    return (struct mono){((const struct fake_clock *)c)->ns};
}

struct fixture {
    struct fake_clock clock;
    struct http_server *server;
    struct api *api;
    struct run_source sources[2];
    struct run_progress progress;
    char *answer;
};

#define NOW INT64_C(1795694400000000000)

static int set_up(void **state)
{
    struct fixture *f = x_zalloc(sizeof(*f));
    struct error err;
    f->clock = (struct fake_clock){.base = {.wall = wall, .mono = mono}, .ns = NOW};
    struct http_config http = {.address = "127.0.0.1:0"};
    struct api_config api = {.store = "memory:nothing", .version = "9.8", .clock = &f->clock.base};
    f->sources[0] = (struct run_source){.name = "nvml:",
                                        .about = "8 GPUs",
                                        .live = true,
                                        .joined = true,
                                        .records = 12,
                                        .health = {.ok = true}};
    f->sources[0].health.last_ok = NOW - 2 * NS_PER_S;
    f->sources[1] =
        (struct run_source){.name = "vllm+http://h/metrics", .about = "a \"server\"", .live = true};
    f->sources[1].joined = true;
    f->sources[1].health.last_ok = INT64_MIN;
    f->sources[1].health.failures = 3;
    memcpy(f->sources[1].health.error, "connection refused", sizeof("connection refused"));
    f->progress = (struct run_progress){
        .samples = 12, .newest = NOW, .frontier = INT64_MIN, .sources = f->sources, .n_sources = 2};
    f->progress.store = (struct run_store){.ok = true, .since = NOW - NS_PER_S};
    f->progress.writer_moves = true;
    *state = f;
    return http_server_new(&http, &f->server, &err) < 0 ||
           api_new(&api, f->server, &f->api, &err) < 0 || http_server_start(f->server, &err) < 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    api_free(f->api);
    http_server_free(f->server);
    free(f->answer);
    free(f);
    return 0;
}

static const char *get(struct fixture *f, const char *path, const char *headers)
{
    AUTO_FREE char *request =
        x_asprintf("GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s\r\n", path, headers);
    free(f->answer);
    f->answer = client_ask(http_server_port(f->server, 0), request);
    return f->answer;
}

static void test_health(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(client_body(get(f, "/health", "")), "{\"status\":\"ok\"}\n");
    api_progress(f->api, &f->progress);
    f->clock.ns += 59 * NS_PER_S;
    assert_i64(client_status(get(f, "/health", "")), 200);
    f->clock.ns += 2 * NS_PER_S;
    assert_i64(client_status(get(f, "/health", "")), 503);
    api_progress(f->api, &f->progress);
    assert_i64(client_status(get(f, "/health", "")), 200);
    f->progress.store.ok = false; // no reason to begin again
    api_progress(f->api, &f->progress);
    assert_i64(client_status(get(f, "/health", "")), 200);
    f->progress.writer_moves = false;
    api_progress(f->api, &f->progress);
    assert_i64(client_status(get(f, "/health", "")), 503);
}

// Each of what keeps it from being ready is told.
static void test_reasons(void **state)
{
    struct fixture *f = *state;
    api_progress(f->api, &f->progress);
    assert_non_null(strstr(get(f, "/ready", ""),
                           "\"store\":{\"ok\":true,\"since_s\":1,\"retries\":0,\"last_error\":"
                           "null},\"reasons\":[]}"));
    f->progress.store.ok = false;
    f->progress.store.retries = 7;
    memcpy(f->progress.store.error, "no primary", sizeof("no primary"));
    f->sources[1].joined = false;
    f->progress.draining = true;
    api_progress(f->api, &f->progress);
    const char *a = get(f, "/ready", "");
    assert_i64(client_status(a), 503);
    assert_non_null(strstr(a, "\"retries\":7,\"last_error\":\"no primary\"}"));
    assert_non_null(strstr(a, "\"reasons\":[\"an input has not been told yet which shards are its "
                              "own\",\"the store cannot be written\",\"told to stop\"]"));
    f->progress = (struct run_progress){.store.ok = true, .writer_moves = true};
    api_progress(f->api, &f->progress);
    assert_i64(client_status(get(f, "/ready", "")), 200);
}

static const struct metric_def seconds = {"t_seconds", "Takes.", METRIC_HISTOGRAM};
static const struct metric_def lag = {"t_lag", "Behind.", METRIC_GAUGE};
static const struct metric_def lag_too = {"t_lag", "Behind.", METRIC_GAUGE}; // another part's
static const struct metric_def made = {"t_made_total", "Made.", METRIC_COUNTER};

// A family stands together, wherever its samples came from.
static void test_measurements(void **state)
{
    struct fixture *f = *state;
    struct metric_list list = {0};
    struct histogram h = {.least = 0.25};
    histogram_add(&h, 0.25);
    histogram_add(&h, 0.5);
    histogram_add(&h, 1e300);
    metric_label_int(metric_add(&list, &lag, 3), "partition", 7);
    metric_add(&list, &made, 5);
    metric_label(metric_add_histogram(&list, &seconds, &h), "stage", "a\"b");
    metric_label_int(metric_add(&list, &lag_too, 4.5), "partition", 8);
    f->progress.metrics = &list;
    api_progress(f->api, &f->progress);
    metric_list_done(&list);
    const char *a = get(f, "/metrics", "");
    static const char *const lines[] = {
        "\n# HELP t_lag Behind.\n# TYPE t_lag gauge\nt_lag{partition=\"7\"} "
        "3\nt_lag{partition=\"8\"} 4.5\n# HELP t_made_total Made.\n",
        "\n# TYPE t_seconds histogram\nt_seconds_bucket{stage=\"a\\\"b\",le=\"0.25\"} 1\n"
        "t_seconds_bucket{stage=\"a\\\"b\",le=\"1\"} 2\n",
        "t_seconds_bucket{stage=\"a\\\"b\",le=\"+Inf\"} 3\nt_seconds_sum{stage=\"a\\\"b\"} 1e",
        "\nt_seconds_count{stage=\"a\\\"b\"} 3\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        if (!strstr(a, lines[i])) {
            fail_msg("'%s' is not in\n%s", lines[i], a);
        }
    }
    a = get(f, "/metrics", "Accept: application/openmetrics-text\r\n");
    assert_non_null(strstr(a, "\n# TYPE t_made counter\nt_made_total 5\n"));
}

static void test_ready(void **state)
{
    struct fixture *f = *state;
    assert_i64(client_status(get(f, "/ready", "")), 503); // nothing was heard of the run yet
    api_progress(f->api, &f->progress);
    const char *a = get(f, "/ready", "");
    assert_i64(client_status(a), 200);
    assert_non_null(strstr(a,
                           "{\"ready\":true,\"inputs\":[{\"input\":\"nvml:\",\"about\":\"8 GPUs\","
                           "\"ok\":true,\"ended\":false,\"records\":12,\"failures\":0,"
                           "\"last_success_age_s\":2,\"last_error\":null},"));
    assert_non_null(
        strstr(a, "\"last_success_age_s\":null,\"last_error\":\"connection refused\"}"));
    f->sources[0].ended = true; // nothing more comes from it, and nothing from the other
    api_progress(f->api, &f->progress);
    assert_i64(client_status(get(f, "/ready", "")), 503);
    f->sources[1].ended = true; // what there was to read is read
    api_progress(f->api, &f->progress);
    assert_i64(client_status(get(f, "/ready", "")), 200);
    f->sources[0] = (struct run_source){.name = "a", .about = "", .live = true, .joined = true};
    api_progress(f->api, &f->progress);
    assert_i64(client_status(get(f, "/ready", "")), 503);
}

static void test_inputs_of_one_name(void **state)
{
    struct fixture *f = *state;
    f->sources[1].name = f->sources[0].name;
    api_progress(f->api, &f->progress);
    const char *a = get(f, "/metrics", "");
    assert_non_null(strstr(a, "\ngtap_input_up{input=\"nvml:\"} 1\n"));
    assert_non_null(strstr(a, "\ngtap_input_up{input=\"nvml: (2)\"} 0\n"));
}

static void test_metrics(void **state)
{
    struct fixture *f = *state;
    api_progress(f->api, &f->progress);
    const char *a = get(f, "/metrics", "");
    assert_i64(client_status(a), 200);
    static const char *const lines[] = {
        "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n",
        "\ngtap_build_info{version=\"9.8\"} 1\n",
        "\n# TYPE gtap_samples_total counter\ngtap_samples_total 12\n",
        "\ngtap_newest_event_timestamp_seconds 1795694400\n",
        "\ngtap_input_up{input=\"nvml:\"} 1\n",
        "\ngtap_input_up{input=\"vllm+http://h/metrics\"} 0\n",
        "\ngtap_input_failures_total{input=\"vllm+http://h/metrics\"} 3\n",
        "\ngtap_input_last_success_timestamp_seconds{input=\"nvml:\"} 1795694398\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        if (!strstr(a, lines[i])) {
            fail_msg("'%s' is not in\n%s", lines[i], a);
        }
    }
    assert_null(strstr(a, "gtap_final_until_timestamp_seconds")); // nothing is final
    assert_null(strstr(a, "gtap_input_last_success_timestamp_seconds{input=\"vllm"));
}

static void test_openmetrics(void **state)
{
    struct fixture *f = *state;
    api_progress(f->api, &f->progress);
    const char *a = get(f, "/metrics", "Accept: application/openmetrics-text; version=1.0.0\r\n");
    assert_non_null(strstr(a, "Content-Type: application/openmetrics-text; version=1.0.0"));
    assert_non_null(strstr(a, "\n# TYPE gtap_samples counter\ngtap_samples_total 12\n"));
    assert_string_equal(a + strlen(a) - 6, "# EOF\n");
}

// A store that is not there yet is a reason to come again.
static void test_gpus_without_store(void **state)
{
    struct fixture *f = *state;
    assert_i64(client_status(get(f, "/gpu/info", "")), 503);
}

int main(void)
{
    return TEST_RUN(
        TEST_WITH(test_reasons, set_up, tear_down), TEST_WITH(test_measurements, set_up, tear_down),
        TEST_WITH(test_health, set_up, tear_down), TEST_WITH(test_ready, set_up, tear_down),
        TEST_WITH(test_metrics, set_up, tear_down), TEST_WITH(test_openmetrics, set_up, tear_down),
        TEST_WITH(test_inputs_of_one_name, set_up, tear_down),
        TEST_WITH(test_gpus_without_store, set_up, tear_down));
}
