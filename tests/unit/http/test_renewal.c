// Certificates that are renewed while clients come and go.
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "http/server_impl.h"
#include "http_client.h"
#include "tls_client.h"

enum { CLIENTS = 4, RENEWALS = 30, LISTENERS = 2, GENERATIONS = 4, ANSWER_MAX = 1024 };

#define HELLO "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"

struct served {
    struct http_server *server;
    char folder[32];
    char *cert_file, *key_file;
    gnutls_x509_privkey_t key;
};

static void hello(void *ctx, struct http_exchange *x)
{
    (void)ctx;
    http_answer(x, 200, "text/plain", NULL, STR("hello"));
}

static const struct http_route routes[] = {
    {.method = "GET", .path = "/hello", .handle = hello},
};

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void write_certificate(const struct served *s, unsigned char generation)
{
    AUTO_FREE char *pem = tls_make_certificate(s->key, generation);
    assert_non_null(pem);
    write_text(s->cert_file, pem);
}

static void renew(const struct served *s, unsigned char generation)
{
    struct error err;
    write_certificate(s, generation);
    assert_ok(http_server_reload(s->server, &err), &err);
}

// At 127.0.0.1 and 127.0.0.2, by the certificate of generation 1.
static struct served *serve(void)
{
    struct served *s = x_zalloc(sizeof(*s));
    struct error err;
    snprintf(s->folder, sizeof(s->folder), "/tmp/gtap-tls-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    s->cert_file = x_asprintf("%s/cert", s->folder);
    s->key_file = x_asprintf("%s/key", s->folder);
    AUTO_FREE char *pem = tls_make_key(&s->key);
    assert_non_null(pem);
    write_text(s->key_file, pem);
    write_certificate(s, 1);
    struct http_config c = {.address = "127.0.0.1:0",
                            .cert_file = s->cert_file,
                            .key_file = s->key_file,
                            .timeout_ns = TEST_PATIENCE_MS * NS_PER_MS,
                            .body_timeout_ns = TEST_PATIENCE_MS * NS_PER_MS};
    assert_ok(http_server_new(&c, &s->server, &err), &err);
    assert_ok(http_server_add(s->server, NULL, routes, ARRAY_LEN(routes), s, &err), &err);
    assert_ok(http_server_add(s->server, "127.0.0.2:0", routes, ARRAY_LEN(routes), s, &err), &err);
    assert_ok(http_server_start(s->server, &err), &err);
    return s;
}

static void stop(struct served *s)
{
    http_server_free(s->server);
    unlink(s->cert_file);
    unlink(s->key_file);
    rmdir(s->folder);
    gnutls_x509_privkey_deinit(s->key);
    free(s->cert_file);
    free(s->key_file);
    free(s);
}

// ---- whoever comes after a renewal is shown the new certificate ----------------------------

static int dial(struct tls_client *c, const struct served *s, unsigned listener)
{
    return tls_dial(c, (uint8_t)(1 + listener), http_server_port(s->server, listener),
                    TLS_CLIENT_13, NULL);
}

// Stands before accept4(), which libmicrohttpd calls and this program defines. Once it is armed, it
// takes the next connection for itself and holds whoever would have got it; others wait behind.
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool armed, holds, free;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .free = true};

static int next_accept4(int fd, struct sockaddr *a, socklen_t *n, int flags)
{
    void *found = dlsym(RTLD_NEXT, "accept4");
    int (*next)(int fd, struct sockaddr *a, socklen_t *n, int flags);
    memcpy(&next, &found, sizeof(next));
    return next(fd, a, n, flags);
}

int accept4(int fd, struct sockaddr *a, socklen_t *n, int flags)
{
    pthread_mutex_lock(&gate.lock);
    int taken = gate.armed && !gate.holds ? next_accept4(fd, NULL, NULL, flags) : -1;
    bool held = taken >= 0;
    if (held) {
        gate.holds = true;
        close(taken);
    }
    while (held ? gate.armed : !gate.free) {
        pthread_cond_wait(&gate.changed, &gate.lock);
    }
    int got = next_accept4(fd, a, n, flags);
    gate.free = gate.free || held;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    return got;
}

static void gate_arm(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.armed = true;
    gate.holds = gate.free = false;
    pthread_mutex_unlock(&gate.lock);
}

static bool gate_holds(void *ctx)
{
    (void)ctx;
    pthread_mutex_lock(&gate.lock);
    bool holds = gate.holds;
    pthread_mutex_unlock(&gate.lock);
    return holds;
}

static void gate_open(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.armed = false;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

// A thread that is about to accept while the certificate is renewed gets who came after that.
static void test_accepting(void **state)
{
    (void)state;
    struct served *s = serve();
    for (unsigned i = 0; i < LISTENERS; i++) {
        struct tls_client c;
        gate_arm();
        close(tls_connect((uint8_t)(1 + i), http_server_port(s->server, i)));
        client_await(gate_holds, NULL);
        renew(s, (unsigned char)(2 + i));
        int fd = tls_connect((uint8_t)(1 + i), http_server_port(s->server, i));
        gate_open();
        assert_i64(tls_shake_hands(&c, fd, TLS_CLIENT_13, NULL), 0);
        assert_i64(tls_generation(&c), 2 + i);
        tls_close(&c);
    }
    stop(s);
}

struct rush {
    const struct served *served;
    atomic_int in_force; // the generation of the last renewal that is over
    atomic_bool over;
    atomic_uint shown, stale, failed;
};

static void *come_and_go(void *ctx)
{
    struct rush *rush = ctx;
    for (unsigned i = 0; !atomic_load(&rush->over); i++) {
        struct tls_client c;
        int in_force = atomic_load(&rush->in_force);
        int generation = dial(&c, rush->served, i % LISTENERS) < 0 ? -1 : tls_generation(&c);
        atomic_fetch_add(generation < 0 ? &rush->failed : &rush->shown, 1);
        atomic_fetch_add(&rush->stale, generation >= 0 && generation < in_force);
        tls_close(&c);
    }
    return NULL;
}

struct awaited {
    struct rush *rush;
    unsigned n;
};

static bool have_come(void *ctx)
{
    const struct awaited *a = ctx;
    return atomic_load(&a->rush->shown) + atomic_load(&a->rush->failed) >= a->n;
}

// Connections at every stage while certificates come and go.
static void test_rush(void **state)
{
    (void)state;
    struct served *s = serve();
    struct rush rush = {.served = s, .in_force = 1};
    pthread_t clients[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_create(&clients[i], NULL, come_and_go, &rush), 0);
    }
    for (unsigned char g = 2; g < 2 + RENEWALS; g++) {
        client_await(have_come, &(struct awaited){&rush, atomic_load(&rush.shown) + 1});
        renew(s, g);
        atomic_store(&rush.in_force, g);
    }
    client_await(have_come, &(struct awaited){&rush, atomic_load(&rush.shown) + CLIENTS});
    atomic_store(&rush.over, true);
    for (size_t i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i], NULL);
    }
    assert_i64(atomic_load(&rush.stale), 0);
    assert_i64(atomic_load(&rush.failed), 0);
    stop(s);
}

// ---- those who are there -------------------------------------------------------------------

// Asks once more; whether it was told to come again by another connection.
static bool is_sent_away(const struct tls_client *c)
{
    char answer[ANSWER_MAX];
    assert_true(tls_ask(c, HELLO, answer, sizeof(answer)));
    assert_i64(client_status(answer), 200);
    return strstr(answer, "Connection: close\r\n") != NULL;
}

static bool is_unused(void *ctx)
{
    const struct http_certificate *c = ctx;
    return atomic_load(&c->users) == 1;
}

// They are served on, by whichever certificate they began with, which goes with the last of them.
static void test_served_on(void **state)
{
    (void)state;
    struct served *s = serve();
    struct http_certificate *old[GENERATIONS];
    struct tls_client clients[GENERATIONS];
    for (unsigned char g = 0; g < GENERATIONS; g++) {
        assert_i64(dial(&clients[g], s, g % LISTENERS), 0);
        assert_i64(tls_generation(&clients[g]), 1 + g);
        assert_false(is_sent_away(&clients[g]));
        old[g] = certificate_share(s->server->secrets.certificate);
        renew(s, (unsigned char)(2 + g));
    }
    for (size_t g = 0; g < GENERATIONS; g++) {
        assert_i64((int64_t)atomic_load(&old[g]->users), 2);
        assert_true(is_sent_away(&clients[g]));
        client_await(is_unused, old[g]);
        certificate_drop(old[g]);
        tls_close(&clients[g]);
    }
    stop(s);
}

static void test_stop(void **state)
{
    (void)state;
    struct served *s = serve();
    struct tls_client c;
    assert_i64(dial(&c, s, 0), 0);
    renew(s, 2);
    stop(s);
    tls_close(&c);
}

// ---- what is no renewal --------------------------------------------------------------------

static void assert_in_force(const struct served *s, const struct tls_client *there, int generation)
{
    assert_false(is_sent_away(there));
    for (unsigned i = 0; i < LISTENERS; i++) {
        struct tls_client c;
        assert_i64(dial(&c, s, i), 0);
        assert_i64(tls_generation(&c), generation);
        tls_close(&c);
    }
}

static void test_same(void **state)
{
    (void)state;
    struct served *s = serve();
    struct tls_client there;
    struct error err;
    assert_i64(dial(&there, s, 0), 0);
    assert_ok(http_server_reload(s->server, &err), &err);
    assert_in_force(s, &there, 1);
    tls_close(&there);
    stop(s);
}

static void assert_refused(const struct served *s, int status, const char *says)
{
    struct error err;
    assert_i64(http_server_reload(s->server, &err), status);
    if (!strstr(err.msg, says)) {
        fail_msg("'%s' is not in '%s'", says, err.msg);
    }
}

static void test_refused(void **state)
{
    (void)state;
    struct served *s = serve();
    struct tls_client there;
    gnutls_x509_privkey_t other;
    AUTO_FREE char *key = tls_make_key(&other);
    assert_non_null(key);
    assert_i64(dial(&there, s, 0), 0);
    write_text(s->cert_file, "no certificate\n");
    assert_refused(s, -EINVAL, "the certificate and key do not serve");
    write_certificate(s, 2);
    write_text(s->key_file, key);
    assert_refused(s, -EINVAL, "the certificate and key do not serve");
    unlink(s->key_file);
    assert_refused(s, -ENOENT, s->key_file);
    assert_in_force(s, &there, 1);
    gnutls_x509_privkey_deinit(other);
    tls_close(&there);
    stop(s);
}

// ---- nobody comes back without a look at the certificate -----------------------------------

static void come_back(struct served *s, unsigned char generation, const char *priorities)
{
    struct tls_client c;
    gnutls_datum_t past;
    uint16_t port = http_server_port(s->server, 0);
    assert_i64(tls_dial(&c, 1, port, priorities, NULL), 0);
    assert_false(is_sent_away(&c)); // tickets would have come by now
    assert_false(gnutls_session_get_flags(c.session) & GNUTLS_SFLAGS_SESSION_TICKET);
    assert_i64(gnutls_session_get_data2(c.session, &past), 0);
    tls_close(&c);
    renew(s, generation);
    assert_i64(tls_dial(&c, 1, port, priorities, &past), 0);
    assert_i64(gnutls_session_is_resumed(c.session), 0);
    assert_i64(tls_generation(&c), generation);
    tls_close(&c);
    gnutls_free(past.data);
}

static void test_no_resumption(void **state)
{
    (void)state;
    struct served *s = serve();
    come_back(s, 2, TLS_CLIENT_12);
    come_back(s, 3, TLS_CLIENT_13);
    stop(s);
}

int main(void)
{
    return TEST_RUN(TEST(test_accepting), TEST(test_rush), TEST(test_served_on), TEST(test_stop),
                    TEST(test_same), TEST(test_refused), TEST(test_no_resumption));
}
