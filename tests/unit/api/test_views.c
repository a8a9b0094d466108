// The routes that read the store, asked over the loopback interface, on a store in memory.
#include "api/api.h"
#include "http_client.h"
#include "output/store.h"

#define NOW (INT64_C(1795694400) * NS_PER_S) // 2026-11-26T12:00:00Z
#define WINDOW (60 * NS_PER_S)
#define URI "memory:views"
enum { LETTERS = 5 };

struct fixture {
    struct clock clock;
    struct store *store;
    struct http_server *server;
    struct api *api;
    char *answer;
};

static int64_t wall(const struct clock *c)
{
    (void)c;
    return NOW;
}

static struct mono mono(const struct clock *c)
{
    (void)c;
    return (struct mono){NOW};
}

static struct window_row row(enum row_kind kind, const char *model, int64_t cost)
{
    return (struct window_row){.window_start = NOW - 10 * WINDOW,
                               .gpu = {STR("h"), 0, GPU_INSTANCE_NONE},
                               .kind = kind,
                               .model = str_of(model),
                               .cost_nusd = cost,
                               .cost_in_nusd = kind == ROW_USAGE ? cost : 0,
                               .prompt_tokens = kind == ROW_USAGE ? 1000 : 0,
                               .busy_ns = 10 * NS_PER_S,
                               .final = true,
                               .revision = 1};
}

// Two requests' rows, idle time, a GPU, and letters of which three came at one instant.
static void fill(struct store *s)
{
    struct error err;
    const struct window_row rows[] = {row(ROW_USAGE, "a", 3), row(ROW_USAGE, "b", INT64_C(1) << 53),
                                      row(ROW_IDLE, NULL, 4)};
    struct window_rows windows = {.window_start = NOW - 10 * WINDOW,
                                  .window_end = NOW - 9 * WINDOW,
                                  .rows = rows,
                                  .n = ARRAY_LEN(rows)};
    struct dead_letter letters[LETTERS];
    static const int64_t ages[LETTERS] = {3600, 5, 2, 2, 2};
    static const char *const reasons[LETTERS] = {"r0", "r1", "r2", "r3", "r4"};
    for (size_t i = 0; i < LETTERS; i++) {
        letters[i] = (struct dead_letter){.at = NOW - ages[i] * NS_PER_S,
                                          .origin = STR("file:x"),
                                          .position = (int64_t)i,
                                          .reason = str_of(reasons[i]),
                                          .payload = STR("{}")};
    }
    struct record sample = {.kind = RECORD_SAMPLE,
                            .event_id = STR("0123456789abcdef0123456789abcdef")};
    sample.sample = (struct gpu_sample){.ts = NOW - NS_PER_S,
                                        .gpu = rows[0].gpu,
                                        .has = SAMPLE_UTILIZATION | SAMPLE_PRICE,
                                        .utilization = 0.5,
                                        .price_nusd_hour = INT64_C(2950000000)};
    struct store_record record = {.record = &sample};
    struct shard_state shard = {
        .shard = 0, .frontier = NOW - WINDOW, .newest = NOW, .oldest_pending = INT64_MAX};
    struct store_write w = {.records = &record,
                            .n_records = 1,
                            .dead_letters = letters,
                            .n_dead_letters = LETTERS,
                            .windows = &windows,
                            .n_windows = 1,
                            .shards = &shard,
                            .n_shards = 1};
    assert_ok(store_add_settings(s, &settings_default, 0, &err), &err);
    assert_ok(store_commit(s, &w, &err), &err);
}

static int set_up(void **state)
{
    struct fixture *f = x_zalloc(sizeof(*f));
    struct error err;
    f->clock = (struct clock){.wall = wall, .mono = mono};
    struct http_config http = {.address = "127.0.0.1:0"};
    struct api_config api = {
        .store = URI, .version = "9.8", .clock = &f->clock, .serving_only = true};
    assert_ok(store_open(URI, STORE_WRITE, &f->store, &err), &err);
    fill(f->store);
    assert_ok(http_server_new(&http, &f->server, &err), &err);
    assert_ok(api_new(&api, f->server, &f->api, &err), &err);
    assert_ok(http_server_start(f->server, &err), &err);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    api_free(f->api);
    http_server_free(f->server);
    store_close(f->store);
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

static void test_answers(void **state)
{
    static const struct {
        const char *path;
        int status;
        const char *has;
    } rows[] = {
        {"/api/v1/costs", 200, "\"cost_nusd\":3,\"cost_usd\":\"0.000000003\""},
        // Beyond what a double holds: the same digits, as text.
        {"/api/v1/costs", 200,
         "\"cost_nusd\":\"9007199254740992\",\"cost_usd\":\"9007199.254740992\""},
        {"/api/v1/costs?by=", 200, "\"by\":[]"},
        {"/api/v1/costs?step=1h&by=model&model=a", 200,
         "{\"time\":\"2026-11-26T11:00:00Z\",\"kind\":\"usage\",\"model\":\"a\""},
        {"/api/v1/costs?model=a", 200, "\"bill\":{\"requests\":0,\"prompt_tokens\":1000,"},
        {"/api/v1/costs?limit=1", 200, "\"others\":1"},
        {"/api/v1/costs?tz=Nowhere", 400, "\"parameter\":\"tz\""},
        {"/api/v1/costs?since=now&until=1h", 400, "since must be before until"},
        {"/api/v1/costs?since=4000d", 400, "more than 3660 days"},
        {"/api/v1/costs?colour=red", 400, "\"parameter\":\"colour\""},
        {"/api/v1/gpus", 200,
         "\"gpu\":\"h/0\",\"host\":\"h\",\"gpu_index\":0,\"gpu_instance\":null,\"state\":\"busy\""},
        {"/api/v1/gpus", 200,
         "\"price_per_hour_usd\":\"2.950000000\",\"price_source\":\"sample\",\"price_entry\":null"},
        {"/api/v1/gpus", 200, "\"models\":[\"a\",\"b\"]"},
        {"/api/v1/gpus", 200, "\"idle_nusd\":4,"},
        {"/api/v1/status", 200, "\"ready\":true,\"reasons\":[],\"inputs\":[]"},
        {"/api/v1/status", 200, "\"dead_letters\":5"},
        {"/openapi.json", 200, "{\"openapi\":\"3.1.0\""},
        {"/api/v1/nothing", 404, "nothing here"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *a = get(*state, rows[i].path, "");
        if (client_status(a) != rows[i].status || !strstr(a, rows[i].has)) {
            fail_msg("%s: %s", rows[i].path, a);
        }
    }
}

static char *after(const char *answer, const char *name)
{
    const char *at = strstr(answer, name);
    assert_non_null(at);
    at += strlen(name);
    return x_strndup(at, strcspn(at, "\"\r"));
}

static void test_unchanged(void **state)
{
    struct fixture *f = *state;
    static const char *const paths[] = {"/api/v1/costs?since=1d", "/api/v1/gpus",
                                        "/api/v1/dead_letters"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        AUTO_FREE char *tag = after(get(f, paths[i], ""), "ETag: \"");
        AUTO_FREE char *header = x_asprintf("If-None-Match: \"%s\"\r\n", tag);
        assert_i64(client_status(get(f, paths[i], header)), 304);
        assert_i64(client_status(get(f, "/api/v1/costs?since=2d", header)), 200);
        struct error err;
        const struct price_entry price = {.name = STR("H100"), .price_nusd_hour = 1};
        int64_t id;
        assert_ok(store_add_price(f->store, &price, &id, &err), &err);
        assert_i64(client_status(get(f, paths[i], header)), 200);
    }
}

// Page by page, each letter once, the newest first; what comes in between is on no later page.
static void test_pages(void **state)
{
    struct fixture *f = *state;
    static const char *const wants[] = {"r4r3", "r2r1", "r0"};
    AUTO_FREE char *path = x_strdup("/api/v1/dead_letters?limit=2");
    for (size_t i = 0; i < ARRAY_LEN(wants); i++) {
        char got[16] = "";
        const char *a = get(f, path, "");
        for (const char *at = a; (at = strstr(at, "\"reason\":\"")) != NULL; at++) {
            strncat(got, at + strlen("\"reason\":\""), 2);
        }
        assert_string_equal(got, wants[i]);
        free(path);
        bool last = i + 1 == ARRAY_LEN(wants);
        assert_true(last == (strstr(a, "\"next\":null") != NULL));
        AUTO_FREE char *cursor = last ? NULL : after(a, "\"next\":\"");
        path = x_asprintf("/api/v1/dead_letters?limit=2&cursor=%s", cursor ? cursor : "");
        struct dead_letter d = {.at = NOW, .reason = STR("rx"), .payload = STR("x")};
        struct store_write w = {.dead_letters = &d, .n_dead_letters = 1};
        struct error err;
        assert_ok(store_commit(f->store, &w, &err), &err);
    }
    static const char *const bad[] = {
        "x", "1", "1-", "-1-1", "1-0", "1-1x", "99999999999999999999-1", ""};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO_FREE char *query = x_asprintf("/api/v1/dead_letters?cursor=%s", bad[i]);
        assert_i64(client_status(get(f, query, "")), 400);
        assert_non_null(strstr(f->answer, "this is no cursor"));
    }
}

int main(void)
{
    return TEST_RUN(TEST_WITH(test_answers, set_up, tear_down),
                    TEST_WITH(test_unchanged, set_up, tear_down),
                    TEST_WITH(test_pages, set_up, tear_down));
}
