// What comes back, over real sockets on the loopback interface: queries, problem details, entity
// tags, packed answers, and what pages of other origins are told.
#include <errno.h>
#include <zlib.h>

#include "http/server.h"
#include "http_client.h"

enum { TOLD_MAX = 1000 };

struct served {
    struct http_server *server;
    char *answer; // the last one
};

// ---- routes --------------------------------------------------------------------------------

static void short_text(void *ctx, struct http_exchange *x)
{
    (void)ctx;
    http_answer(x, 200, "text/plain", NULL, STR("short"));
}

static bool take_one(void *ctx, struct str name, struct str value)
{
    struct buf *b = ctx;
    buf_printf(b, "[" STR_FMT, STR_ARG(name));
    if (str_present(value)) {
        buf_printf(b, "=" STR_FMT, STR_ARG(value));
    }
    buf_char(b, ']');
    return b->n < 30;
}

static void tell_query(void *ctx, struct http_exchange *x)
{
    struct buf b;
    (void)ctx;
    buf_init(&b, TOLD_MAX);
    http_query_each(x, take_one, &b);
    http_answer(x, 200, "text/plain", NULL, buf_view(&b));
    buf_done(&b);
}

static void bad_parameter(void *ctx, struct http_exchange *x)
{
    (void)ctx;
    http_refuse_parameter(x, "since", "'%s' is no time: write 24h", "x\"y");
}

// Text that is worth packing, with a tag.
static void long_text(void *ctx, struct http_exchange *x)
{
    char text[4096];
    (void)ctx;
    memset(text, 'a', sizeof(text));
    if (!http_not_modified(x, "v1.2-3")) {
        http_answer(x, 200, str_present(http_query(x, "raw")) ? "image/png" : "text/plain", NULL,
                    (struct str){text, sizeof(text)});
    }
}

static const struct http_route routes[] = {
    {.method = "GET", .path = "/query", .handle = tell_query},
    {.method = "GET", .path = "/parameter", .handle = bad_parameter},
    {.method = "GET", .path = "/long", .flags = HTTP_READING | HTTP_CORS, .handle = long_text},
    {.method = "GET", .path = "/short", .handle = short_text},
};

// ---- tests ---------------------------------------------------------------------------------

static struct served *serve(struct http_config c)
{
    struct served *s = x_zalloc(sizeof(*s));
    struct error err;
    c.address = "127.0.0.1:0";
    assert_ok(http_server_new(&c, &s->server, &err), &err);
    assert_ok(http_server_add(s->server, NULL, routes, ARRAY_LEN(routes), s, &err), &err);
    assert_ok(http_server_start(s->server, &err), &err);
    return s;
}

static void stop(struct served *s)
{
    http_server_free(s->server);
    free(s->answer);
    free(s);
}

static const char *ask(struct served *s, const char *request, const char *headers)
{
    AUTO_FREE char *text =
        x_asprintf("%s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s\r\n", request, headers);
    free(s->answer);
    s->answer = client_ask(http_server_port(s->server, 0), text);
    return s->answer;
}

static void test_problem(void **state)
{
    (void)state;
    struct served *s = serve((struct http_config){0});
    const char *a = ask(s, "GET /parameter", "");
    assert_i64(client_status(a), 400);
    assert_non_null(strstr(a, "Content-Type: application/problem+json\r\n"));
    assert_string_equal(client_body(a), "{\"type\":\"about:blank\",\"title\":\"Bad Request\","
                                        "\"status\":400,\"detail\":\"'x\\\"y' is no time: write "
                                        "24h\",\"parameter\":\"since\"}\n");
    stop(s);
}

static void test_query(void **state)
{
    (void)state;
    static const struct {
        const char *query, *told;
    } rows[] = {
        {"", ""},
        {"?", ""},
        {"?a=1&b=%2B2+3&a=&c", "[a=1][b=+2 3][a=][c]"},
        {"?long-name-of-some-length=1&second=2&third=3", "[long-name-of-some-length=1][second=2]"},
    };
    struct served *s = serve((struct http_config){0});
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_FREE char *request = x_asprintf("GET /query%s", rows[i].query);
        assert_string_equal(client_body(ask(s, request, "")), rows[i].told);
    }
    stop(s);
}

static void test_tags_and_packing(void **state)
{
    (void)state;
    static const struct {
        const char *request, *headers;
        int status;
        const char *has, *has_not;
    } rows[] = {
        {"GET /long", "", 200, "ETag: \"v1.2-3\"\r\n", "Content-Encoding"},
        {"GET /long", "", 200, "Cache-Control: private, no-cache\r\n", "no-store"},
        {"GET /long", "", 200, "Vary: Accept-Encoding\r\n", "Allow-Origin"},
        {"GET /long", "Accept-Encoding: br, gzip;q=0.5\r\n", 200, "Content-Encoding: gzip\r\n",
         "aaaa"},
        {"GET /long", "Accept-Encoding: gzip\r\n", 200, "ETag: \"v1.2-3+gzip\"\r\n", "aaaa"},
        {"GET /long", "Accept-Encoding: *\r\n", 200, "Content-Encoding: gzip\r\n", "aaaa"},
        {"GET /long", "Accept-Encoding: gzip;q=0\r\n", 200, "aaaa", "Content-Encoding"},
        {"GET /long", "Accept-Encoding: gzip; q=0.0\r\n", 200, "aaaa", "Content-Encoding"},
        {"GET /long", "Accept-Encoding: x-gzip2\r\n", 200, "aaaa", "Content-Encoding"},
        {"GET /long?raw=1", "Accept-Encoding: gzip\r\n", 200, "aaaa", "Content-Encoding"},
        {"GET /short", "Accept-Encoding: gzip\r\n", 200, "short", "Content-Encoding"},
        {"GET /short", "", 200, "Cache-Control: no-store\r\n", "ETag"},
        {"GET /long", "If-None-Match: \"v1.2-3\"\r\n", 304, "ETag: \"v1.2-3\"\r\n", "aaaa"},
        {"GET /long", "If-None-Match: \"other\", W/\"v1.2-3+gzip\"\r\n", 304, "ETag", "aaaa"},
        {"GET /long", "If-None-Match: *\r\n", 304, "ETag", "aaaa"},
        {"GET /long", "If-None-Match: \"v1.2-4\", v1.2-3\r\n", 200, "aaaa", "Content-Encoding"},
    };
    struct served *s = serve((struct http_config){0});
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *a = ask(s, rows[i].request, rows[i].headers);
        if (client_status(a) != rows[i].status || !strstr(a, rows[i].has) ||
            strstr(a, rows[i].has_not)) {
            fail_msg("%s %s: %s", rows[i].request, rows[i].headers, a);
        }
    }
    stop(s);
}

static void test_packed_is_the_same(void **state)
{
    (void)state;
    struct served *s = serve((struct http_config){0});
    const char *body = client_body(ask(s, "GET /long", "Accept-Encoding: gzip\r\n"));
    unsigned char plain[8192];
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)body, .avail_in = 1000};
    z.next_out = plain;
    z.avail_out = sizeof(plain);
    assert_int_equal(inflateInit2(&z, 16 + MAX_WBITS), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_i64((int64_t)z.total_out, 4096);
    assert_true(plain[0] == 'a' && plain[4095] == 'a');
    inflateEnd(&z);
    stop(s);
}

static void test_other_origins(void **state)
{
    (void)state;
    static const struct {
        const char *request, *headers;
        int status;
        const char *has, *has_not;
    } rows[] = {
        {"GET /long", "Origin: https://a.example\r\n", 200,
         "Access-Control-Allow-Origin: https://a.example\r\n", "Allow-Methods"},
        {"GET /long", "Origin: http://[::1]:81\r\n", 200,
         "Access-Control-Allow-Origin: http://[::1]:81\r\n", "Allow-Methods"},
        {"GET /long", "", 200, "Vary: Accept-Encoding, Origin\r\n", "Access-Control"},
        {"GET /long", "Origin: https://a.example.evil\r\n", 200, "aaaa", "Access-Control"},
        {"GET /long", "Origin: null\r\n", 200, "aaaa", "Access-Control"},
        {"GET /short", "Origin: https://a.example\r\n", 200, "short", "Access-Control"},
        {"OPTIONS /long", "Origin: https://a.example\r\n", 204,
         "Access-Control-Allow-Methods: GET, HEAD\r\n", "aaaa"},
        {"OPTIONS /long", "Origin: https://a.example\r\n", 204,
         "Access-Control-Allow-Headers: Authorization, ", "aaaa"},
        {"OPTIONS /long", "Origin: https://b.example\r\n", 405, "Allow: GET", "Access-Control"},
        {"OPTIONS /short", "Origin: https://a.example\r\n", 405, "Allow: GET", "Access-Control"},
    };
    struct served *s =
        serve((struct http_config){.cors_origins = "https://a.example, http://[::1]:81"});
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *a = ask(s, rows[i].request, rows[i].headers);
        if (client_status(a) != rows[i].status || !strstr(a, rows[i].has) ||
            strstr(a, rows[i].has_not)) {
            fail_msg("%s %s: %s", rows[i].request, rows[i].headers, a);
        }
    }
    stop(s);
}

static void test_bad_origins(void **state)
{
    (void)state;
    static const char *const bad[] = {"*",
                                      "a.example",
                                      "https://",
                                      "https://a.example/",
                                      "https://A.example",
                                      "https://a.example,,https://b.example",
                                      "ftp://a.example"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct http_config c = {.address = "127.0.0.1:0", .cors_origins = bad[i]};
        struct http_server *server = NULL;
        struct error err;
        assert_i64(http_server_new(&c, &server, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "is no origin"));
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_problem), TEST(test_query), TEST(test_tags_and_packing),
                    TEST(test_packed_is_the_same), TEST(test_other_origins),
                    TEST(test_bad_origins));
}
