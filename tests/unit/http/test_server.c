// The server over real sockets on the loopback interface, one request at a time unless a test is
// about more. Nothing waits but for what must come.
#include "http/server.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <zlib.h>

#include "http_client.h"

enum { BODY_MAX = 1000, DEFERRED_MAX = 8 };

struct served {
    struct http_server *server;
    pthread_mutex_t lock;
    struct http_exchange *deferred[DEFERRED_MAX];
    atomic_size_t n_deferred;
    char *answer; // the last one
};

// ---- routes --------------------------------------------------------------------------------

static void hello(void *ctx, struct http_exchange *x)
{
    (void)ctx;
    struct str name = http_query(x, "name");
    AUTO_FREE char *text = x_asprintf("hello " STR_FMT, STR_ARG(name));
    http_answer(x, 200, "text/plain", "X-Test: yes\n", str_of(text));
}

static void echo(void *ctx, struct http_exchange *x)
{
    (void)ctx;
    http_answer(x, 200, "application/octet-stream", NULL, http_body(x));
}

static void later(void *ctx, struct http_exchange *x)
{
    struct served *s = ctx;
    pthread_mutex_lock(&s->lock);
    size_t n = atomic_load(&s->n_deferred);
    assert_true(n < DEFERRED_MAX);
    http_defer(x);
    s->deferred[n] = x;
    atomic_store(&s->n_deferred, n + 1);
    pthread_mutex_unlock(&s->lock);
}

static void forgetful(void *ctx, struct http_exchange *x)
{
    (void)ctx;
    http_refuse(x, 503, "not now, %s", "later");
}

static const struct http_route routes[] = {
    {.method = "GET", .path = "/hello", .handle = hello},
    {.method = "POST", .path = "/echo", .flags = HTTP_GZIP, .body_max = BODY_MAX, .handle = echo},
    {.method = "POST", .path = "/later", .body_max = BODY_MAX, .handle = later},
    {.method = "GET", .path = "/busy", .handle = forgetful},
    {.method = "POST", .path = "/guarded", .flags = HTTP_GUARDED, .body_max = 10, .handle = echo},
    {.method = "GET", .path = "/reading", .flags = HTTP_READING, .handle = hello},
    {.method = "POST", .path = "/limited", .flags = HTTP_LIMITED, .body_max = 10, .handle = echo},
};

// ---- a client ------------------------------------------------------------------------------

static uint16_t port(const struct served *s)
{
    return http_server_port(s->server, 0);
}

static const char *keep(struct served *s, char *answer)
{
    free(s->answer);
    s->answer = answer;
    return answer;
}

static const char *ask(struct served *s, const char *text)
{
    return keep(s, client_ask(port(s), text));
}

static const char *hear(struct served *s, int fd)
{
    return keep(s, client_hear(fd));
}

static const char *post(struct served *s, const char *path, const char *headers, struct str body)
{
    return keep(s, client_post(port(s), path, headers, body));
}

struct wanted {
    const struct served *served;
    size_t n;
};

static bool are_deferred(void *ctx)
{
    const struct wanted *w = ctx;
    return atomic_load(&w->served->n_deferred) >= w->n;
}

static void wait_deferred(const struct served *s, size_t n)
{
    client_await(are_deferred, &(struct wanted){s, n});
}

// ---- tests ---------------------------------------------------------------------------------

static struct served *serve(struct http_config c)
{
    struct served *s = x_zalloc(sizeof(*s));
    struct error err;
    pthread_mutex_init(&s->lock, NULL);
    c.address = "127.0.0.1:0";
    assert_ok(http_server_new(&c, &s->server, &err), &err);
    assert_ok(http_server_add(s->server, NULL, routes, ARRAY_LEN(routes), s, &err), &err);
    assert_ok(http_server_start(s->server, &err), &err);
    return s;
}

static void stop(struct served *s)
{
    http_server_free(s->server);
    pthread_mutex_destroy(&s->lock);
    free(s->answer);
    free(s);
}

static void test_get(void **state)
{
    (void)state;
    struct served *s = serve((struct http_config){0});
    const char *a =
        ask(s, "GET /hello?name=w%20x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_i64(client_status(a), 200);
    assert_string_equal(client_body(a), "hello w x");
    assert_non_null(strstr(a, "X-Test: yes\r\n"));
    assert_non_null(strstr(a, "X-Content-Type-Options: nosniff\r\n"));
    a = ask(s, "HEAD /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_i64(client_status(a), 200);
    assert_string_equal(client_body(a), "");
    stop(s);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        int status;
        const char *has;
    } rows[] = {
        {"GET /nowhere HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 404, "nothing here"},
        {"DELETE /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 405, "Allow: GET"},
        {"GET /busy HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 503, "Retry-After: 1"},
        {"GET /busy HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 503,
         "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\"detail\":"
         "\"not now, later\"}\n"},
        {"GET /busy HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 503,
         "Content-Type: application/problem+json\r\n"},
    };
    struct served *s = serve((struct http_config){0});
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *a = ask(s, rows[i].request);
        if (client_status(a) != rows[i].status || !strstr(a, rows[i].has)) {
            fail_msg("%s\n%s", rows[i].request, a);
        }
    }
    stop(s);
}

static void test_bodies(void **state)
{
    (void)state;
    struct served *s = serve((struct http_config){0});
    char big[BODY_MAX + 1];
    memset(big, 'a', sizeof(big));
    assert_string_equal(client_body(post(s, "/echo", "", STR("some body"))), "some body");
    assert_string_equal(client_body(post(s, "/echo", "", STR(""))), "");
    const char *a = post(s, "/echo", "", (struct str){big, BODY_MAX});
    assert_i64(client_status(a), 200);
    assert_i64((int64_t)strlen(client_body(a)), BODY_MAX);
    assert_i64(client_status(post(s, "/echo", "", (struct str){big, BODY_MAX + 1})), 413);
    stop(s);
}

static void test_chunks(void **state)
{
    (void)state;
    struct served *s = serve((struct http_config){0});
    const char *head = "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n";
    AUTO_FREE char *small = x_asprintf("%s3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", head);
    assert_string_equal(client_body(ask(s, small)), "abcde");
    struct buf b;
    buf_init(&b, 1 << 16);
    buf_cstr(&b, head);
    for (int i = 0; i < 11; i++) {
        buf_printf(&b, "64\r\n%0100d\r\n", i);
    }
    buf_cstr(&b, "0\r\n\r\n");
    assert_i64(client_status(ask(s, buf_view(&b).p)), 413);
    buf_done(&b);
    stop(s);
}

static struct str pack(const char *text, size_t n, char *ret, size_t room)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)(uintptr_t)text;
    z.avail_in = (unsigned)n;
    z.next_out = (unsigned char *)ret;
    z.avail_out = (unsigned)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return (struct str){ret, room - z.avail_out};
}

static void test_gzip(void **state)
{
    (void)state;
    struct served *s = serve((struct http_config){0});
    char packed[512], zeros[BODY_MAX + 1] = {0};
    const char *gzip = "Content-Encoding: gzip\r\n";
    struct str good = pack("hello", 5, packed, sizeof(packed));
    assert_string_equal(client_body(post(s, "/echo", gzip, good)), "hello");
    assert_i64(client_status(post(s, "/echo", gzip, (struct str){packed, good.n - 1})), 400);
    assert_i64(client_status(post(s, "/echo", gzip, STR(""))), 400);
    assert_i64(client_status(post(s, "/echo", gzip, STR("not gzip"))), 400);
    assert_i64(client_status(post(s, "/echo", "Content-Encoding: br\r\n", good)), 415);
    assert_i64(client_status(post(s, "/later", gzip, good)), 415);
    // One stream after the other (RFC 1952, 2.2).
    AUTO_FREE char *twice = x_alloc(2 * good.n);
    memcpy(twice, packed, good.n);
    memcpy(twice + good.n, packed, good.n);
    assert_string_equal(client_body(post(s, "/echo", gzip, (struct str){twice, 2 * good.n})),
                        "hellohello");
    assert_i64(client_status(post(s, "/echo", gzip, (struct str){twice, 2 * good.n - 1})), 400);
    // A small body that is a large one is still too large.
    struct str bomb = pack(zeros, sizeof(zeros), packed, sizeof(packed));
    assert_i64(client_status(post(s, "/echo", gzip, bomb)), 413);
    struct str most = pack(zeros, BODY_MAX, packed, sizeof(packed));
    assert_i64(client_status(post(s, "/echo", gzip, most)), 200);
    stop(s);
}

static void test_deferred(void **state)
{
    (void)state;
    struct served *s = serve((struct http_config){0});
    int fds[2];
    for (size_t i = 0; i < 2; i++) {
        fds[i] = client_dial(port(s));
        client_say(fds[i], STR("POST /later HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                               "Content-Length: 1\r\n\r\nx"));
        wait_deferred(s, i + 1);
    }
    // Others are served meanwhile, and answers may come in any order.
    assert_string_equal(client_body(post(s, "/echo", "", STR("meanwhile"))), "meanwhile");
    http_answer(s->deferred[1], 200, "text/plain", NULL, STR("second"));
    assert_string_equal(client_body(hear(s, fds[1])), "second");
    assert_str(http_body(s->deferred[0]), "x");
    http_answer(s->deferred[0], 200, "text/plain", NULL, STR("first"));
    assert_string_equal(client_body(hear(s, fds[0])), "first");
    stop(s);
}

static void test_client_gone(void **state)
{
    (void)state;
    struct served *s = serve((struct http_config){0});
    int fd = client_dial(port(s));
    client_say(fd, STR("POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"));
    wait_deferred(s, 1);
    close(fd);
    http_answer(s->deferred[0], 200, "text/plain", NULL, STR("to nobody"));
    assert_string_equal(client_body(post(s, "/echo", "", STR("next"))), "next");
    stop(s);
}

static void *answer_slowly(void *ctx)
{
    struct served *s = ctx;
    http_answer(s->deferred[0], 200, "text/plain", NULL, STR("in time"));
    return NULL;
}

// Stopping waits for those deferred; whoever is too late is told to come again, and an answer that
// comes after that does no harm.
static void test_stop(void **state)
{
    (void)state;
    for (int in_time = 0; in_time < 2; in_time++) {
        struct served *s = serve((struct http_config){0});
        pthread_t thread;
        int fd = client_dial(port(s));
        client_say(fd, STR("POST /later HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                           "Content-Length: 1\r\n\r\nx"));
        wait_deferred(s, 1);
        if (in_time) {
            assert_int_equal(pthread_create(&thread, NULL, answer_slowly, s), 0);
        }
        http_server_stop(s->server, in_time ? INT64_C(20000000000) : 0);
        const char *a = hear(s, fd);
        assert_i64(client_status(a), in_time ? 200 : 503);
        if (in_time) {
            pthread_join(thread, NULL);
        } else {
            http_answer(s->deferred[0], 200, "text/plain", NULL, STR("too late"));
        }
        stop(s);
    }
}

static void test_without_token(void **state)
{
    (void)state;
    struct served *s = serve((struct http_config){0});
    assert_i64(client_status(post(s, "/guarded", "", STR("x"))), 200);
    static const struct {
        const char *headers;
        int status;
    } rows[] = {
        {"Host: localhost:8080\r\nOrigin: http://localhost:8080\r\n", 200},
        {"Host: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\n", 200},
        {"Host: [::1]:8080\r\nOrigin: http://[::1]:8080\r\n", 200},
        // What a page of another origin makes a browser send.
        {"Host: localhost\r\nOrigin: http://evil.example\r\n", 403},
        {"Host: localhost\r\nOrigin: null\r\n", 403},
        // The same from a page whose own name was made to lead here.
        {"Host: evil.example\r\nOrigin: http://evil.example\r\n", 403},
        {"Host: 127.0.0.1.evil.example\r\nOrigin: http://127.0.0.1.evil.example\r\n", 403},
        // What a proxy on this host passes on.
        {"Host: localhost\r\nX-Forwarded-For: 192.0.2.7\r\n", 403},
        {"Host: localhost\r\nForwarded: for=192.0.2.7\r\n", 403},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_FREE char *request = x_asprintf("POST /guarded HTTP/1.1\r\nConnection: close\r\n"
                                             "Content-Length: 1\r\n%s\r\nx",
                                             rows[i].headers);
        if (client_status(ask(s, request)) != rows[i].status) {
            fail_msg("%s%s", rows[i].headers, s->answer);
        }
    }
    stop(s);
}

static char *token_file(const char *text)
{
    char *path = x_strdup("/tmp/gtap-token-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_i64(write(fd, text, strlen(text)), (int64_t)strlen(text));
    close(fd);
    return path;
}

static void rewrite(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_token(void **state)
{
    (void)state;
    AUTO_FREE char *path = token_file("s3cret\nanything\n");
    struct served *s = serve((struct http_config){.token_file = path});
    struct error err;
    static const char reading[] = "GET /reading HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    static const struct {
        const char *header;
        int status;
    } rows[] = {
        {"", 401},
        {"Authorization: Bearer s3cret\r\n", 200},
        {"Authorization: bearer  s3cret\r\n", 200},
        {"Authorization: Bearer s3cre\r\n", 401},
        {"Authorization: Bearer s3crets\r\n", 401},
        {"Authorization: Bearer s3crets3cret\r\n", 401},
        {"Authorization: Bearer \r\n", 401},
        {"Authorization: Basic s3cret\r\n", 401},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (client_status(post(s, "/guarded", rows[i].header, STR("x"))) != rows[i].status) {
            fail_msg("%s: %s", rows[i].header, s->answer);
        }
    }
    assert_i64(client_status(ask(s, reading)), 401);
    assert_non_null(strstr(s->answer, "WWW-Authenticate: Bearer\r\n"));
    rewrite(path, "another\n");
    assert_ok(http_server_reload(s->server, &err), &err);
    assert_i64(client_status(post(s, "/guarded", "Authorization: Bearer s3cret\r\n", STR("x"))),
               401);
    assert_i64(client_status(post(s, "/guarded", "Authorization: Bearer another\r\n", STR("x"))),
               200);
    rewrite(path, "\n");
    assert_i64(http_server_reload(s->server, &err), -EINVAL);
    assert_i64(client_status(post(s, "/guarded", "Authorization: Bearer another\r\n", STR("x"))),
               200);
    unlink(path);
    stop(s);
}

static void test_rate(void **state)
{
    (void)state;
    struct served *s = serve((struct http_config){.requests_per_s = 1});
    bool limited = false;
    for (int i = 0; i < 1000 && !limited; i++) {
        limited = client_status(post(s, "/limited", "", STR("x"))) == 429;
    }
    assert_true(limited);
    assert_non_null(strstr(s->answer, "Retry-After: 1"));
    assert_i64(client_status(post(s, "/echo", "", STR("x"))), 200);
    stop(s);
}

// Half a header is not waited for for ever, and keeps nobody else out.
static void test_slow_clients(void **state)
{
    (void)state;
    enum { SLOW = 64 };
    struct served *s = serve((struct http_config){.connections = 16});
    int fds[SLOW];
    for (size_t i = 0; i < SLOW; i++) {
        fds[i] = client_dial(port(s));
        client_say(fds[i], STR("POST /echo HTTP/1.1\r\nHost:"));
    }
    assert_string_equal(client_body(post(s, "/echo", "", STR("quick"))), "quick");
    assert_true(http_server_stats(s->server).open <= 16 + SLOW);
    for (size_t i = 0; i < SLOW; i++) {
        close(fds[i]);
    }
    stop(s);
}

static void test_cut_off(void **state)
{
    (void)state;
    struct served *s = serve((struct http_config){.body_timeout_ns = 1});
    int fd = client_dial(port(s));
    client_say(fd, STR("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc"));
    assert_string_equal(hear(s, fd), ""); // closed by the server
    assert_true(http_server_stats(s->server).refused >= 1);
    stop(s);
}

static void test_configuration(void **state)
{
    (void)state;
    static const struct http_config rows[] = {
        {.address = "nowhere"},
        {.address = "127.0.0.1:0", .token_file = "/nonexistent/token"},
        {.address = "127.0.0.1:0", .cert_file = "/dev/null"},
        {.address = "127.0.0.1:0", .cert_file = "/dev/null", .key_file = "/dev/null"},
        {.address = "127.0.0.1:0", .cert_file = "/etc/hostname", .key_file = "/etc/hostname"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_server *server = NULL;
        struct error err;
        assert_true(http_server_new(&rows[i], &server, &err) < 0);
        assert_null(server);
    }
}

static void test_routes_of_others(void **state)
{
    (void)state;
    struct served *s = x_zalloc(sizeof(*s));
    struct error err;
    struct http_config c = {.address = "127.0.0.1:0"};
    assert_ok(http_server_new(&c, &s->server, &err), &err);
    assert_ok(http_server_add(s->server, NULL, routes, 1, NULL, &err), &err);
    assert_i64(http_server_add(s->server, NULL, routes, 1, NULL, &err), -EEXIST);
    assert_non_null(strstr(err.msg, "GET /hello"));
    assert_ok(http_server_add(s->server, "127.0.0.2:0", routes, 1, NULL, &err), &err);
    assert_ok(http_server_start(s->server, &err), &err);
    assert_true(http_server_port(s->server, 0) != 0 && http_server_port(s->server, 1) != 0);
    assert_i64(http_server_port(s->server, 2), 0);
    AUTO_FREE char *url = x_asprintf("http://127.0.0.1:%u", http_server_port(s->server, 0));
    assert_string_equal(http_server_url(s->server), url);
    http_server_free(s->server);
    free(s);
}

int main(void)
{
    return TEST_RUN(TEST(test_get), TEST(test_refusals), TEST(test_bodies), TEST(test_chunks),
                    TEST(test_gzip), TEST(test_deferred), TEST(test_client_gone), TEST(test_stop),
                    TEST(test_without_token), TEST(test_token), TEST(test_rate),
                    TEST(test_slow_clients), TEST(test_cut_off), TEST(test_configuration),
                    TEST(test_routes_of_others));
}
