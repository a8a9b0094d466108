// Connections that live long and servers that stop: keep-alive, pipelining, clients that do not
// read, handlers that are at work when the server goes.
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "http/server_impl.h"
#include "http_client.h"

enum { BODY_MAX = 1000, DEFERRED_MAX = 8, BIG = 8 << 20, CONNECTIONS = 4 };

struct served {
    struct http_server *server;
    struct http_exchange *deferred[DEFERRED_MAX];
    atomic_size_t n_deferred;
    atomic_bool entered, released; // of /gate
    char *big;
};

static void hello(void *ctx, struct http_exchange *x)
{
    (void)ctx;
    http_answer(x, 200, "text/plain", NULL, STR("hello"));
}

static void later(void *ctx, struct http_exchange *x)
{
    struct served *s = ctx;
    size_t n = atomic_load(&s->n_deferred);
    assert_true(n < DEFERRED_MAX);
    http_defer(x);
    s->deferred[n] = x;
    atomic_store(&s->n_deferred, n + 1);
}

// Defers only when the test says so.
static void gate(void *ctx, struct http_exchange *x)
{
    struct served *s = ctx;
    atomic_store(&s->entered, true);
    while (!atomic_load(&s->released)) {
        poll(NULL, 0, 1);
    }
    later(ctx, x);
}

static void big(void *ctx, struct http_exchange *x)
{
    struct served *s = ctx;
    http_answer(x, 200, "text/plain", NULL, (struct str){s->big, BIG});
}

static const struct http_route routes[] = {
    {.method = "GET", .path = "/hello", .handle = hello},
    {.method = "GET", .path = "/big", .handle = big},
    {.method = "POST", .path = "/later", .body_max = BODY_MAX, .handle = later},
};
static const struct http_route gates[] = {
    {.method = "POST", .path = "/gate", .body_max = BODY_MAX, .handle = gate},
};

static struct served *serve(void)
{
    struct served *s = x_zalloc(sizeof(*s));
    struct http_config c = {.address = "127.0.0.1:0", .connections = CONNECTIONS};
    struct error err;
    s->big = x_zalloc(BIG);
    assert_ok(http_server_new(&c, &s->server, &err), &err);
    assert_ok(http_server_add(s->server, NULL, routes, ARRAY_LEN(routes), s, &err), &err);
    assert_ok(http_server_add(s->server, "127.0.0.2:0", gates, ARRAY_LEN(gates), s, &err), &err);
    assert_ok(http_server_start(s->server, &err), &err);
    return s;
}

static void stop(struct served *s)
{
    http_server_free(s->server);
    free(s->big);
    free(s);
}

static uint16_t port(const struct served *s)
{
    return http_server_port(s->server, 0);
}

static int say(const struct served *s, const char *text)
{
    int fd = client_dial(port(s));
    client_say(fd, str_of(text));
    return fd;
}

#define LATER "POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"
#define HELLO "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"
#define LAST "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

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

static bool is_set(void *ctx)
{
    return atomic_load((atomic_bool *)ctx);
}

// A request waits for the answer to the one before it on the same connection.
static void test_pipelined(void **state)
{
    (void)state;
    struct served *s = serve();
    int fd = say(s, LATER HELLO LATER LAST);
    wait_deferred(s, 1);
    http_answer(s->deferred[0], 201, "text/plain", NULL, STR("first"));
    wait_deferred(s, 2);
    http_answer(s->deferred[1], 202, "text/plain", NULL, STR("third"));
    AUTO_FREE char *answer = client_hear(fd);
    static const char *const order[] = {"201", "first", "hello", "202", "third", "hello"};
    const char *at = answer;
    for (size_t i = 0; i < ARRAY_LEN(order) && at; i++) {
        at = strstr(at, order[i]);
    }
    if (!at) {
        fail_msg("not in that order:\n%s", answer);
    }
    stop(s);
}

// Those who wait for their records to be stored leave room to those who ask why it takes so long.
static void test_too_many_wait(void **state)
{
    (void)state;
    struct served *s = serve();
    int fds[CONNECTIONS - 1];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = say(s, LATER);
        wait_deferred(s, i + 1);
    }
    AUTO_FREE char *refused = client_hear(say(
        s, "POST /later HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"));
    assert_i64(client_status(refused), 503);
    AUTO_FREE char *asked = client_hear(say(s, LAST));
    assert_i64(client_status(asked), 200);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        http_answer(s->deferred[i], 200, "text/plain", NULL, STR("stored"));
        close(fds[i]);
    }
    stop(s);
}

// Who does not read an answer keeps a place only until somebody else needs it.
static void test_slow_readers(void **state)
{
    (void)state;
    struct served *s = serve();
    int fds[CONNECTIONS];
    char first;
    for (size_t i = 0; i < CONNECTIONS; i++) {
        fds[i] = say(s, "GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_i64(recv(fds[i], &first, 1, 0), 1);
    }
    assert_i64((int64_t)http_server_stats(s->server).refused, 0);
    AUTO_FREE char *answer = client_hear(say(s, LAST));
    assert_i64(client_status(answer), 200);
    assert_true(http_server_stats(s->server).refused >= 1);
    size_t n = 1;
    AUTO_FREE char *part = x_alloc(BIG);
    for (ssize_t got = 1; got > 0; n += got > 0 ? (size_t)got : 0) { // the one that waited longest
        got = recv(fds[0], part, BIG, 0);
    }
    assert_true(n < BIG);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        close(fds[i]);
    }
    stop(s);
}

// Answers that wait to be read are held within the same bound as bodies.
static void test_memory(void **state)
{
    (void)state;
    struct served *s = serve();
    size_t held = 0;
    while (server_take_memory(s->server, BIG)) {
        held += BIG;
    }
    static const char ask[] = "GET /big HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    AUTO_FREE char *refused = client_hear(say(s, ask));
    assert_i64(client_status(refused), 503);
    server_give_memory(s->server, held);
    int fd = say(s, ask);
    char text[] = "HTTP/1.1 ...";
    assert_i64(recv(fd, text, sizeof(text) - 1, MSG_WAITALL), sizeof(text) - 1);
    assert_i64(client_status(text), 200);
    close(fd);
    stop(s);
}

static bool holds_memory(void *ctx)
{
    struct http_server *server = ctx;
    pthread_mutex_lock(&server->lock);
    bool holds = server->memory > 0;
    pthread_mutex_unlock(&server->lock);
    return holds;
}

// Bodies that do not come to their end make room for those that do.
static void test_stalled_bodies(void **state)
{
    (void)state;
    struct served *s = serve();
    int stalled = say(s, "POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
    static const char whole[] =
        "POST /later HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
    client_await(holds_memory, s->server);
    size_t held = 0;
    for (size_t n = BIG; n > 0; n /= 2) {
        while (server_take_memory(s->server, n)) {
            held += n;
        }
    }
    AUTO_FREE char *refused = client_hear(say(s, whole));
    assert_i64(client_status(refused), 503);
    AUTO_FREE char *cut = client_hear(stalled);
    assert_string_equal(cut, "");
    int fd = say(s, whole); // what that one held is free
    wait_deferred(s, 1);
    http_answer(s->deferred[0], 200, "text/plain", NULL, STR("stored"));
    AUTO_FREE char *stored = client_hear(fd);
    assert_i64(client_status(stored), 200);
    server_give_memory(s->server, held);
    stop(s);
}

static void *stop_patiently(void *ctx)
{
    http_server_stop(((struct served *)ctx)->server, INT64_C(60000000000));
    return NULL;
}

static bool refuses_connections(void *ctx)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port(ctx))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool refused = connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

// While those deferred are waited for, nothing new is taken, neither from those who are connected.
static void test_draining(void **state)
{
    (void)state;
    struct served *s = serve();
    pthread_t thread;
    int waiting = say(s, LATER);
    wait_deferred(s, 1);
    int connected = say(s, HELLO);
    char some[8];
    assert_i64(recv(connected, some, sizeof(some), MSG_WAITALL), sizeof(some));
    assert_int_equal(pthread_create(&thread, NULL, stop_patiently, s), 0);
    client_await(refuses_connections, s);
    client_say(connected, STR(LATER));
    AUTO_FREE char *refused = client_hear(connected);
    const char *second = strstr(refused, "HTTP/1.1 503");
    assert_non_null(second);
    assert_non_null(strstr(second, "Connection: close\r\n"));
    http_answer(s->deferred[0], 200, "text/plain", NULL, STR("stored"));
    AUTO_FREE char *stored = client_hear(waiting);
    assert_i64(client_status(stored), 200);
    pthread_join(thread, NULL);
    stop(s);
}

static void *stop_at_once(void *ctx)
{
    http_server_stop(((struct served *)ctx)->server, 0);
    return NULL;
}

// A handler that defers when the server has given up waiting: its client is told to come again.
static void test_deferred_too_late(void **state)
{
    (void)state;
    struct served *s = serve();
    pthread_t thread;
    int waiting = say(s, LATER);
    wait_deferred(s, 1);
    struct sockaddr_in a = {.sin_family = AF_INET};
    a.sin_port = htons(http_server_port(s->server, 1));
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(late, (struct sockaddr *)&a, sizeof(a)), 0);
    client_say(late,
               STR("POST /gate HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1\r\n"
                   "\r\nx"));
    client_await(is_set, &s->entered);
    assert_int_equal(pthread_create(&thread, NULL, stop_at_once, s), 0);
    AUTO_FREE char *given_up = client_hear(waiting);
    assert_i64(client_status(given_up), 503);
    atomic_store(&s->released, true);
    AUTO_FREE char *answer = client_hear(late);
    assert_true(client_status(answer) == 503 || *answer == '\0'); // or it was closed before
    pthread_join(thread, NULL);
    wait_deferred(s, 2);
    http_answer(s->deferred[0], 200, "text/plain", NULL, STR("too late"));
    http_answer(s->deferred[1], 200, "text/plain", NULL, STR("too late"));
    stop(s);
}

int main(void)
{
    return TEST_RUN(TEST(test_pipelined), TEST(test_too_many_wait), TEST(test_slow_readers),
                    TEST(test_memory), TEST(test_stalled_bodies), TEST(test_draining),
                    TEST(test_deferred_too_late));
}
