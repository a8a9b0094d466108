// Answers that go on: who listens, who reads too slowly, who is gone, and a server that stops.
#include "http/stream.h"

#include <pthread.h>
#include <stdatomic.h>

#include "http_client.h"

enum { BACKLOG = 8, CROWD = 100, STREAMS = 120 };
#define LISTEN "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n"
#define HELLO "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

struct served {
    struct http_server *server;
    struct http_stream *stream;
    atomic_uint joined;
};

static void listen_in(void *ctx, struct http_exchange *x)
{
    struct served *s = ctx;
    http_stream_join(s->stream, x);
}

static void hello(void *ctx, struct http_exchange *x)
{
    (void)ctx;
    http_answer(x, 200, "text/plain", NULL, STR("hello"));
}

static void note_joined(void *ctx)
{
    atomic_fetch_add(&((struct served *)ctx)->joined, 1);
}

static const struct http_route routes[] = {
    {.method = "GET", .path = "/stream", .handle = listen_in},
    {.method = "GET", .path = "/hello", .handle = hello},
};

static struct served *serve_with(struct http_config c)
{
    struct served *s = x_zalloc(sizeof(*s));
    struct http_stream_config stream = {.type = "text/event-stream",
                                        .headers = "X-Test: yes\n",
                                        .backlog = BACKLOG,
                                        .backlog_bytes = 4 << 20,
                                        .joined = note_joined,
                                        .ctx = s};
    struct error err;
    assert_ok(http_server_new(&c, &s->server, &err), &err);
    assert_ok(http_server_add(s->server, NULL, routes, ARRAY_LEN(routes), s, &err), &err);
    s->stream = http_stream_new(s->server, &stream);
    assert_ok(http_server_start(s->server, &err), &err);
    return s;
}

static struct served *serve(void)
{
    return serve_with((struct http_config){.address = "127.0.0.1:0", .streams = STREAMS});
}

static void stop(struct served *s)
{
    http_server_free(s->server);
    http_stream_free(s->stream);
    free(s);
}

static int dial(const struct served *s, const char *text)
{
    int fd = client_dial(http_server_port(s->server, 0));
    client_say(fd, str_of(text));
    return fd;
}

struct wanted {
    const struct served *served;
    size_t n;
};

static bool as_many_listen(void *ctx)
{
    const struct wanted *w = ctx;
    return http_stream_stats(w->served->stream).listeners == w->n;
}

static void wait_listeners(const struct served *s, size_t n)
{
    client_await(as_many_listen, &(struct wanted){s, n});
}

static bool all_are_gone(void *ctx)
{
    const struct served *s = ctx;
    http_stream_send(s->stream, STR("who is there?"), STR(""));
    return http_stream_stats(s->stream).listeners == 0;
}

static void send_text(const struct served *s, const char *text)
{
    http_stream_send(s->stream, str_of(text), STR(""));
}

// Reads until `text` has come; what came is in `got`, with a NUL.
static void hear(int fd, char *got, size_t cap, const char *text)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    size_t n = strlen(got);
    while (!strstr(got, text)) {
        assert_true(poll(&p, 1, TEST_PATIENCE_MS) > 0);
        ssize_t more = recv(fd, got + n, cap - 1 - n, 0);
        if (more <= 0) {
            fail_msg("'%s' did not come, but: %s", text, got);
        }
        n += (size_t)more;
        got[n] = '\0';
    }
}

static void test_goes_on(void **state)
{
    (void)state;
    struct served *s = serve();
    char got[4096] = "";
    int fd = dial(s, LISTEN);
    wait_listeners(s, 1);
    assert_int_equal(atomic_load(&s->joined), 1);
    send_text(s, "one.");
    hear(fd, got, sizeof(got), "one.");
    assert_int_equal(client_status(got), 200);
    assert_non_null(strstr(got, "\r\nContent-Type: text/event-stream\r\n"));
    assert_non_null(strstr(got, "\r\nX-Test: yes\r\n"));
    assert_non_null(strstr(got, "\r\nCache-Control: no-store\r\n"));
    assert_non_null(strstr(got, "\r\nTransfer-Encoding: chunked\r\n"));
    send_text(s, ""); // nothing
    send_text(s, "two.");
    send_text(s, "three.");
    hear(fd, got, sizeof(got), "three.");
    assert_non_null(strstr(got, "two."));
    close(fd);
    stop(s);
}

// Who joins gets the greeting first, then what is sent after it, once each.
static void test_greeting(void **state)
{
    (void)state;
    struct served *s = serve();
    char got[4096] = "", other[4096] = "";
    int first = dial(s, LISTEN);
    wait_listeners(s, 1);
    http_stream_send(s->stream, STR("delta 1;"), STR("state 1;"));
    int second = dial(s, LISTEN);
    wait_listeners(s, 2);
    http_stream_send(s->stream, STR("delta 2;"), STR("state 2;"));
    hear(first, got, sizeof(got), "delta 2;");
    hear(second, other, sizeof(other), "delta 2;");
    assert_non_null(strstr(got, "delta 1;"));
    assert_null(strstr(got, "state"));
    assert_non_null(strstr(other, "state 1;"));
    assert_null(strstr(other, "delta 1;"));
    assert_true(strstr(other, "state 1;") < strstr(other, "delta 2;"));
    close(first);
    close(second);
    client_await(all_are_gone, s); // which is noticed when something is sent
    stop(s);
}

static bool anyone_is_cut(void *ctx)
{
    const struct served *s = ctx;
    return http_stream_stats(s->stream).cut > 0;
}

// It is cut off, and neither sending nor the others wait for it.
static void test_slow_reader(void **state)
{
    (void)state;
    enum { BIG = 200 * 1000 };
    struct served *s = serve();
    AUTO_FREE char *big = x_alloc(BIG + 1), *got = x_zalloc(4 << 20);
    memset(big, 'x', BIG);
    big[BIG] = '\0';
    int slow = client_dial(http_server_port(s->server, 0)), small = 4096;
    setsockopt(slow, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    client_say(slow, STR(LISTEN));
    int quick = dial(s, LISTEN);
    wait_listeners(s, 2);
    for (int i = 0; i < 5 * BACKLOG && !anyone_is_cut(s); i++) {
        AUTO_FREE char *mark = x_asprintf("<%d>", i);
        send_text(s, big);
        send_text(s, mark);
        got[0] = '\0';
        hear(quick, got, 4 << 20, mark);
    }
    assert_i64((int64_t)http_stream_stats(s->stream).cut, 1);
    wait_listeners(s, 1);
    free(client_hear(slow)); // it ends
    send_text(s, "still here");
    hear(quick, got, 4 << 20, "still here");
    close(quick);
    stop(s);
}

// Sends without end, as a publisher's thread does.
struct publisher {
    struct served *served;
    atomic_bool over;
};

static void *publish(void *ctx)
{
    struct publisher *p = ctx;
    for (unsigned i = 0; !atomic_load(&p->over); i++) {
        AUTO_FREE char *text = x_asprintf("event %u\n\n", i);
        http_stream_send(p->served->stream, str_of(text), str_of(text));
    }
    return NULL;
}

// Clients that come and go while it is sent, and a server that stops in the middle of it.
static void test_stop_while_sending(void **state)
{
    (void)state;
    struct served *s = serve();
    struct publisher p = {.served = s};
    pthread_t thread;
    int fds[CROWD];
    assert_int_equal(pthread_create(&thread, NULL, publish, &p), 0);
    for (size_t i = 0; i < CROWD; i++) {
        fds[i] = dial(s, LISTEN);
        if (i % 3 == 0) {
            char got[300];
            assert_true(poll(&(struct pollfd){.fd = fds[i], .events = POLLIN}, 1,
                             TEST_PATIENCE_MS) > 0); // an answer, or cut off: it is that quick
            (void)recv(fds[i], got, sizeof(got), 0);
        }
        if (i % 5 == 0) {
            close(fds[i]);
            fds[i] = dial(s, LISTEN);
        }
    }
    http_server_stop(s->server, 0);
    assert_i64((int64_t)http_stream_stats(s->stream).listeners, 0);
    for (size_t i = 0; i < CROWD; i++) {
        close(fds[i]);
    }
    atomic_store(&p.over, true);
    pthread_join(thread, NULL);
    stop(s);
}

// What was sent still comes, and then the regular end of the answer.
static void test_stop_while_open(void **state)
{
    (void)state;
    struct served *s = serve();
    int fd = dial(s, LISTEN);
    wait_listeners(s, 1);
    send_text(s, "the last word");
    http_server_stop(s->server, 0);
    AUTO_FREE char *got = client_hear(fd);
    const char *at = strstr(got, "the last word");
    assert_non_null(at);
    assert_non_null(strstr(at, "\r\n0\r\n\r\n"));
    stop(s);
}

static void test_reload(void **state)
{
    (void)state;
    struct served *s = serve();
    struct error err;
    int fd = dial(s, LISTEN);
    wait_listeners(s, 1);
    assert_ok(http_server_reload(s->server, &err), &err);
    wait_listeners(s, 0);
    client_say(fd, STR(HELLO)); // the connection is of use
    AUTO_FREE char *got = client_hear(fd);
    assert_non_null(strstr(got, "hello"));
    fd = dial(s, LISTEN);
    wait_listeners(s, 1);
    close(fd);
    stop(s);
}

static void test_hundred(void **state)
{
    (void)state;
    struct served *s = serve();
    int fds[CROWD];
    for (size_t i = 0; i < CROWD; i++) {
        fds[i] = dial(s, LISTEN);
    }
    wait_listeners(s, CROWD);
    for (int i = 0; i < BACKLOG; i++) {
        AUTO_FREE char *text = x_asprintf("event %d.", i);
        send_text(s, text);
    }
    for (size_t i = 0; i < CROWD; i++) {
        char got[8192] = "";
        hear(fds[i], got, sizeof(got), "event 7.");
        close(fds[i]);
    }
    stop(s);
}

// Listeners take no place from others, and there are only so many.
static void test_limits(void **state)
{
    (void)state;
    struct served *s =
        serve_with((struct http_config){.address = "127.0.0.1:0", .connections = 2, .streams = 4});
    int fds[4];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = dial(s, LISTEN);
        wait_listeners(s, i + 1);
    }
    AUTO_FREE char *refused =
        client_ask(http_server_port(s->server, 0), "GET /stream HTTP/1.1\r\nHost: h\r\n"
                                                   "Connection: close\r\n\r\n");
    assert_int_equal(client_status(refused), 503);
    assert_non_null(strstr(refused, "as many listen as may"));
    assert_non_null(strstr(refused, "\r\nRetry-After: 1\r\n"));
    assert_i64((int64_t)http_server_stats(s->server).refused, 0);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        AUTO_FREE char *answer = client_ask(http_server_port(s->server, 0), HELLO);
        assert_int_equal(client_status(answer), 200);
    }
    char got[4096] = "";
    send_text(s, "all are there");
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        got[0] = '\0';
        hear(fds[i], got, sizeof(got), "all are there");
        close(fds[i]);
    }
    stop(s);
}

// Behind a public address, one host may not have them all.
static void test_limit_of_one(void **state)
{
    (void)state;
    struct served *s = serve_with((struct http_config){.address = ":0", .streams = 8});
    int first = dial(s, LISTEN), second = dial(s, LISTEN);
    wait_listeners(s, 2);
    AUTO_FREE char *refused =
        client_ask(http_server_port(s->server, 0), "GET /stream HTTP/1.1\r\nHost: h\r\n"
                                                   "Connection: close\r\n\r\n");
    assert_int_equal(client_status(refused), 503);
    assert_non_null(strstr(refused, "from this address"));
    close(first);
    close(second);
    stop(s);
}

// To HTTP/1.0 it goes until the connection ends; HEAD has no content at all.
static void test_old_and_head(void **state)
{
    (void)state;
    struct served *s = serve();
    int fd = dial(s, "GET /stream HTTP/1.0\r\n\r\n");
    wait_listeners(s, 1);
    send_text(s, "plain");
    char got[4096] = "";
    hear(fd, got, sizeof(got), "\r\n\r\nplain");
    close(fd);
    client_await(all_are_gone, s);
    AUTO_FREE char *head =
        client_ask(http_server_port(s->server, 0), "HEAD /stream HTTP/1.1\r\nHost: h\r\n"
                                                   "Connection: close\r\n\r\n");
    assert_int_equal(client_status(head), 200);
    wait_listeners(s, 0);
    stop(s);
}

int main(void)
{
    return TEST_RUN(TEST(test_goes_on), TEST(test_greeting), TEST(test_slow_reader),
                    TEST(test_stop_while_sending), TEST(test_stop_while_open), TEST(test_reload),
                    TEST(test_hundred), TEST(test_limits), TEST(test_limit_of_one),
                    TEST(test_old_and_head));
}
