// Requests whose end could be read in two ways, and those that only look odd, each followed by a
// second request on the same connection: whether that is answered says how the first was read.
#include "http_client.h"

#include "http/server.h"

static void hello(void *ctx, struct http_exchange *x)
{
    (void)ctx;
    http_answer(x, 200, "text/plain", NULL, STR("hello"));
}

static void echo(void *ctx, struct http_exchange *x)
{
    (void)ctx;
    http_answer(x, 201, "text/plain", NULL, http_body(x));
}

// Asked for in bodies alone.
static void inner(void *ctx, struct http_exchange *x)
{
    (void)ctx;
    http_answer(x, 200, "text/plain", NULL, STR("from within a body"));
}

static const struct http_route routes[] = {
    {.method = "GET", .path = "/hello", .handle = hello},
    {.method = "GET", .path = "/inner", .handle = inner},
    {.method = "POST", .path = "/echo", .body_max = 1000, .handle = echo},
};

#define POST "POST /echo HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define INNER "GET /inner HTTP/1.1\r\nHost: h\r\n\r\n"
#define NEXT "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

static const struct {
    const char *request;
    int status;
    bool next; // the second one is answered, too
} rows[] = {
    {POST "Content-Length: 3\r\n\r\nabc", 201, true},
    {CHUNKED "3\r\nabc\r\n0\r\n\r\n", 201, true},
    {CHUNKED "3;name=value\r\nabc\r\n0\r\nTrailer: yes\r\n\r\n", 201, true},
    {POST "\r\n", 201, true}, // no body at all

    // Two ways to tell where it ends.
    {POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, false},
    {POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400, false},
    {POST "Content-Length: 0\r\nContent-Length: 51\r\n\r\n", 400, false},
    {POST "Content-Length: 0\r\ncontent-length: 0\r\n\r\n", 400, false},
    {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, false},
    {POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, false},
    {POST "Transfer-Encoding: identity\r\n\r\n", 400, false},
    {POST "Transfer-Encoding: xchunked\r\n\r\n", 400, false},
    {POST "Content-Length : 65\r\n\r\n", 400, false},
    {POST "X: a\rContent-Length: 51\r\n\r\n", 400, false},
    {POST "Content-Length: +3\r\n\r\nabc", 400, false},
    {POST "Content-Length: 0x3\r\n\r\nabc", 400, false},
    {POST "Content-Length: -3\r\n\r\nabc", 400, false},
    {POST "Content-Length: 3,3\r\n\r\nabc", 400, false},
    {POST "Content-Length: 99999999999999999999\r\n\r\n", 413, false},
    {"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, false},
    {CHUNKED "-1\r\na\r\n0\r\n\r\n", 400, false},
    {CHUNKED "0x1\r\na\r\n0\r\n\r\n", 400, false},
    {CHUNKED "1\r\nab\r\n0\r\n\r\n", 400, false},
    {CHUNKED "ffffffffffffffff1\r\na\r\n0\r\n\r\n", 413, false},
    {"POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 400, false},
    {POST "Host: other\r\nContent-Length: 3\r\n\r\nabc", 400, false},

    // Refused by its header; its body is no request.
    {"POST /nowhere HTTP/1.1\r\nHost: h\r\nContent-Length: 32\r\n\r\n" INNER, 404, true},
    {"PUT /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 32\r\n\r\n" INNER, 405, true},
    {"GET /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 32\r\n\r\n" INNER, 413, true},
    {"PUT /hello HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n" INNER
     "\r\n0\r\n\r\n",
     405, true},
    {POST "Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n", 413, false},
};

// The k-th status line.
static int status_of(const char *answer, size_t k)
{
    const char *at = strstr(answer, "HTTP/1.1 ");
    while (at && k-- > 0) {
        at = strstr(at + 1, "HTTP/1.1 ");
    }
    return at ? client_status(at) : 0;
}

static void test_shapes(void **state)
{
    (void)state;
    struct http_config c = {.address = "127.0.0.1:0"};
    struct http_server *s = NULL;
    struct error err;
    assert_ok(http_server_new(&c, &s, &err), &err);
    assert_ok(http_server_add(s, NULL, routes, ARRAY_LEN(routes), NULL, &err), &err);
    assert_ok(http_server_start(s, &err), &err);
    assert_i64(sizeof(INNER) - 1, 32);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_FREE char *request = x_asprintf("%s" NEXT, rows[i].request);
        AUTO_FREE char *answer = client_ask(http_server_port(s, 0), request);
        assert_null(strstr(answer, "within"));
        bool next = strstr(answer, "\r\n\r\nhello") != NULL;
        if (status_of(answer, 0) != rows[i].status || next != rows[i].next) {
            fail_msg("row %zu\n%s\n---\n%s", i, request, answer);
        }
    }
    http_server_free(s);
}

// Who asks first is told to go on, and told no before it has sent anything.
static void test_expect(void **state)
{
    (void)state;
    struct http_config c = {.address = "127.0.0.1:0"};
    struct http_server *s = NULL;
    struct error err;
    assert_ok(http_server_new(&c, &s, &err), &err);
    assert_ok(http_server_add(s, NULL, routes, ARRAY_LEN(routes), NULL, &err), &err);
    assert_ok(http_server_start(s, &err), &err);
    int fd = client_dial(http_server_port(s, 0));
    char text[64] = "";
    client_say(fd, STR(POST "Connection: close\r\nExpect: 100-continue\r\n"
                            "Content-Length: 3\r\n\r\n"));
    assert_i64(recv(fd, text, 25, MSG_WAITALL), 25);
    assert_string_equal(text, "HTTP/1.1 100 Continue\r\n\r\n");
    client_say(fd, STR("abc"));
    AUTO_FREE char *answer = client_hear(fd);
    assert_i64(client_status(answer), 201);
    assert_string_equal(client_body(answer), "abc");
    AUTO_FREE char *no = client_ask(http_server_port(s, 0),
                                    "POST /no HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                                    "Content-Length: 3\r\n\r\n");
    assert_i64(client_status(no), 404);
    http_server_free(s);
}

int main(void)
{
    return TEST_RUN(TEST(test_shapes), TEST(test_expect));
}
