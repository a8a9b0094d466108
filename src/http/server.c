#include <errno.h>
#include <gnutls/abstract.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "http/answer.h"
#include "http/stream_impl.h"

enum {
    CONNECTIONS_DEFAULT = 1024,
    STREAMS_DEFAULT = 1280,
    CONNECTION_BYTES = 16 * 1024, // a header's most
    SPARE_CONNECTIONS = 64,       // those cut off that have not closed yet
    OTHER_FILES = 256,            // that the rest of the process has open
    CONNECTIONS_LEAST = 16,
};
#define MEMORY_MAX ((size_t)128 << 20)
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define TIMEOUT_DEFAULT (15 * NS_PER_S)
#define BODY_TIMEOUT_DEFAULT (30 * NS_PER_S)
#define SWAP(a, b)                                                                                 \
    do {                                                                                           \
        __typeof__(a) swap_ = (a);                                                                 \
        (a) = (b);                                                                                 \
        (b) = swap_;                                                                               \
    } while (0)
#define SENDING_NS (2 * NS_PER_S) // how long a stop waits for the last answers to go out
#define SWEEP_EVERY_NS NS_PER_S

bool server_take_memory(struct http_server *s, size_t n)
{
    pthread_mutex_lock(&s->lock);
    bool fits = n <= MEMORY_MAX - s->memory;
    s->memory += fits ? n : 0;
    pthread_mutex_unlock(&s->lock);
    return fits;
}

void server_give_memory(struct http_server *s, size_t n)
{
    pthread_mutex_lock(&s->lock);
    s->memory -= n;
    pthread_mutex_unlock(&s->lock);
}

// ---- making one ----------------------------------------------------------------------------

static char *copy_text(const char *text)
{
    return text ? x_strdup(text) : NULL;
}

static void take_config(struct http_server *s, const struct http_config *c)
{
    s->config = *c;
    s->config.address = copy_text(c->address);
    s->config.token_file = copy_text(c->token_file);
    s->config.cert_file = copy_text(c->cert_file);
    s->config.key_file = copy_text(c->key_file);
    s->config.cors_origins = copy_text(c->cors_origins);
    if (c->connections == 0) {
        s->config.connections = CONNECTIONS_DEFAULT;
    }
    if (c->streams == 0) {
        s->config.streams = STREAMS_DEFAULT;
    }
    if (c->connections_ip == 0) {
        s->config.connections_ip =
            s->main_address.local ? s->config.connections : (s->config.connections + 3) / 4;
    }
    if (c->timeout_ns <= 0) {
        s->config.timeout_ns = TIMEOUT_DEFAULT;
    }
    if (c->body_timeout_ns <= 0) {
        s->config.body_timeout_ns = BODY_TIMEOUT_DEFAULT;
    }
}

static void init_condition(pthread_cond_t *c)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attributes);
    pthread_condattr_destroy(&attributes);
}

int http_server_new(const struct http_config *c, struct http_server **ret, struct error *err)
{
    struct http_server *s = x_zalloc(sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->rate.lock, NULL);
    init_condition(&s->changed);
    init_condition(&s->stop_sweeper);
    int r = address_parse(c->address, &s->main_address, err);
    take_config(s, c);
    crowd_init(&s->crowd, s->config.connections, s->config.connections_ip,
               s->config.body_timeout_ns);
    AUTO_FREE char *bad = answer_bad_origin(c->cors_origins);
    if (r == 0 && bad) {
        r = error_set(err, -EINVAL,
                      "'%s' is no origin: name each as a browser does, https://HOST or "
                      "https://HOST:PORT, without a path",
                      bad);
    }
    r = r < 0 ? r : secrets_read(&s->config, &s->secrets, err);
    if (r < 0) {
        http_server_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

static struct http_listener *listener_at(struct http_server *s, const char *address)
{
    for (size_t i = 0; i < s->n_listeners; i++) {
        if (strcmp(s->listeners[i]->address, address) == 0) {
            return s->listeners[i];
        }
    }
    struct http_listener *l = x_zalloc(sizeof(*l));
    *l = (struct http_listener){.server = s, .address = x_strdup(address), .fd = -1};
    ARRAY_RESERVE(s->listeners, s->n_listeners, s->cap_listeners);
    s->listeners[s->n_listeners++] = l;
    return l;
}

int http_server_add(struct http_server *s, const char *address, const struct http_route *routes,
                    size_t n, void *ctx, struct error *err)
{
    struct http_address parsed;
    const char *where = address ? address : s->config.address;
    int r = address_parse(where, &parsed, err);
    if (r < 0) {
        return r;
    }
    struct http_listener *l = listener_at(s, where);
    for (size_t i = 0; i < n; i++) {
        if (route_exists(l, &routes[i])) {
            return error_set(err, -EEXIST, "%s %s is served already at %s: give another address",
                             routes[i].method, routes[i].path, where);
        }
    }
    ARRAY_RESERVE(l->tables, l->n_tables, l->cap_tables);
    l->tables[l->n_tables++] = (struct http_table){routes, n, ctx};
    return 0;
}

// ---- starting ------------------------------------------------------------------------------

// Each connection shows the certificate that is in force when it begins, which is before its
// handshake: it gets credentials of its own in place of the daemon's. Who connects after a renewal
// is over is therefore shown the new one, and who is there keeps the one that the connection began
// with. No handshake leaves the certificate out: libmicrohttpd neither gives out session tickets
// nor keeps sessions, so that none is ever resumed.
static void choose_certificate(struct http_server *s, struct http_visitor *v,
                               gnutls_session_t session)
{
    pthread_mutex_lock(&s->lock);
    v->certificate = certificate_share(s->secrets.certificate);
    pthread_mutex_unlock(&s->lock);
    // Where it fails, for want of memory, there is no certificate: no_certificate() is asked.
    (void)gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, v->certificate->credentials);
}

// Of the daemon's own credentials, which no session has: libmicrohttpd wants to know some.
static int no_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int n,
                          const gnutls_pk_algorithm_t *algorithms, int n_algorithms,
                          gnutls_pcert_st **chain, unsigned *n_chain, gnutls_privkey_t *key)
{
    (void)session, (void)authorities, (void)n, (void)algorithms, (void)n_algorithms;
    (void)chain, (void)n_chain, (void)key;
    return -1;
}

static void *connection_begins(struct http_server *s, struct MHD_Connection *connection)
{
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    const struct sockaddr *peer =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    const union MHD_ConnectionInfo *tls =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    struct http_visitor *v =
        crowd_enter(&s->crowd, fd, guard_address(peer), clock_mono(&clock_system));
    if (tls) {
        choose_certificate(s, v, tls->tls_session);
    }
    return v;
}

// By now its session is gone or, where it could not even begin, will shake no hands.
static void connection_ends(struct http_server *s, struct http_visitor *v)
{
    certificate_drop(v->certificate);
    crowd_leave(&s->crowd, v);
}

static void connection_event(void *cls, struct MHD_Connection *connection, void **socket_context,
                             enum MHD_ConnectionNotificationCode what)
{
    struct http_listener *l = cls;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = connection_begins(l->server, connection);
    } else if (*socket_context) {
        connection_ends(l->server, *socket_context);
        *socket_context = NULL;
    }
}

// Takes the socket over when it succeeds.
static struct MHD_Daemon *start_daemon(struct http_listener *l, int fd)
{
    const struct http_server *s = l->server;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)no_certificate},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned limit = s->config.connections + s->config.streams + SPARE_CONNECTIONS;
    unsigned timeout = (unsigned)((s->config.timeout_ns + NS_PER_S - 1) / NS_PER_S);
    return MHD_start_daemon(s->config.cert_file ? flags | MHD_USE_TLS : flags, 0, NULL, NULL,
                            exchange_access, l, MHD_OPTION_LISTEN_SOCKET, fd,
                            MHD_OPTION_CONNECTION_LIMIT, limit, MHD_OPTION_CONNECTION_TIMEOUT,
                            timeout, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
                            MHD_OPTION_NOTIFY_COMPLETED, exchange_completed, l,
                            MHD_OPTION_NOTIFY_CONNECTION, connection_event, l, MHD_OPTION_ARRAY,
                            s->config.cert_file ? tls : tls + ARRAY_LEN(tls) - 1, MHD_OPTION_END);
}

static int start_listener(struct http_listener *l, struct error *err)
{
    struct http_address a;
    int r = address_parse(l->address, &a, err);
    r = r < 0 ? r : address_listen(l->address, &a, &l->fd, &l->port, err);
    if (r < 0) {
        return r;
    }
    l->daemon = start_daemon(l, l->fd);
    if (l->daemon) {
        return 0;
    }
    close(l->fd);
    l->fd = -1;
    return error_set(err, -EIO, "cannot serve at %s", l->address);
}

static struct timespec deadline_in(int64_t ns)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    ns += t.tv_nsec;
    t.tv_sec += (time_t)(ns / NS_PER_S);
    t.tv_nsec = (long)(ns % NS_PER_S);
    return t;
}

// Where nobody is connected there is nothing to wake up for.
static void *sweep(void *ctx)
{
    struct http_server *s = ctx;
    int64_t wait = SWEEP_EVERY_NS;
    pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        struct timespec until = deadline_in(wait);
        pthread_cond_timedwait(&s->stop_sweeper, &s->lock, &until);
        pthread_mutex_unlock(&s->lock);
        wait = MAX(SWEEP_EVERY_NS, crowd_sweep(&s->crowd, clock_mono(&clock_system)));
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static char *url_of(const struct http_server *s)
{
    const struct http_listener *l = s->listeners[0];
    const char *scheme = s->config.cert_file ? "https" : "http", *colon = strrchr(l->address, ':');
    int n = (int)(colon - l->address);
    return n > 0 ? x_asprintf("%s://%.*s:%u", scheme, n, l->address, l->port)
                 : x_asprintf("%s://localhost:%u", scheme, l->port);
}

// Connections must not take the descriptors that the store needs.
static void allow_files(struct http_server *s)
{
    struct rlimit l;
    rlim_t spare = OTHER_FILES + SPARE_CONNECTIONS * s->n_listeners;
    rlim_t wanted = spare + s->config.connections + s->config.streams;
    if (getrlimit(RLIMIT_NOFILE, &l) < 0) {
        return;
    }
    if (l.rlim_cur < wanted) {
        l.rlim_cur = MIN(l.rlim_max, wanted);
        (void)setrlimit(RLIMIT_NOFILE, &l);
    }
    if (l.rlim_cur < wanted) {
        rlim_t most = l.rlim_cur > spare ? l.rlim_cur - spare : 0;
        s->config.streams = (unsigned)MIN(most / 4, (rlim_t)s->config.streams);
        most = MIN(most - s->config.streams, (rlim_t)s->config.connections);
        s->config.connections = (unsigned)MAX(most, (rlim_t)CONNECTIONS_LEAST);
    }
    s->config.connections_ip = MIN(s->config.connections_ip, s->config.connections);
    s->crowd.most = s->config.connections;
    s->crowd.most_of_one = s->config.connections_ip;
}

int http_server_start(struct http_server *s, struct error *err)
{
    int r = 0;
    if (s->started || s->n_listeners == 0) {
        return 0;
    }
    allow_files(s);
    for (size_t i = 0; i < s->n_listeners && r == 0; i++) {
        r = start_listener(s->listeners[i], err);
    }
    s->started = true;
    if (r == 0) {
        s->url = url_of(s);
        s->sweeping = pthread_create(&s->sweeper, NULL, sweep, s) == 0;
        r = s->sweeping ? 0 : error_set(err, -EAGAIN, "cannot start a thread");
    }
    return r;
}

// ---- stopping ------------------------------------------------------------------------------

// Who connects from now on is refused. The descriptor stays until the daemon's thread, which may
// look at it, has ended.
static void stop_listening(struct http_listener *l)
{
    if (l->daemon) {
        (void)MHD_quiesce_daemon(l->daemon);
        shutdown(l->fd, SHUT_RDWR);
    }
}

static void stop_daemon(struct http_listener *l)
{
    if (l->daemon) {
        MHD_stop_daemon(l->daemon);
        l->daemon = NULL;
        close(l->fd);
        l->fd = -1;
    }
}

static void await(struct http_server *s, bool (*over)(const struct http_server *s), int64_t most_ns)
{
    struct timespec until = deadline_in(most_ns);
    pthread_mutex_lock(&s->lock);
    while (!over(s) && pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0) {
        continue;
    }
    pthread_mutex_unlock(&s->lock);
}

static bool all_answered(const struct http_server *s)
{
    return s->deferred == NULL;
}

static bool all_sent(const struct http_server *s)
{
    return s->unsent == 0;
}

static void stop_sweeper(struct http_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_broadcast(&s->stop_sweeper);
    pthread_mutex_unlock(&s->lock);
    if (s->sweeping) {
        pthread_join(s->sweeper, NULL);
    }
    s->sweeping = false;
}

void http_server_stop(struct http_server *s, int64_t patience_ns)
{
    if (!s->started) {
        return;
    }
    atomic_store(&s->draining, true);
    for (size_t i = 0; i < s->n_listeners; i++) {
        stop_listening(s->listeners[i]);
    }
    streams_end(s, true);
    await(s, all_answered, patience_ns);
    exchange_drop_deferred(s);
    await(s, all_sent, SENDING_NS);
    stop_sweeper(s);
    for (size_t i = 0; i < s->n_listeners; i++) {
        stop_daemon(s->listeners[i]);
    }
    s->started = false;
}

static void listener_free(struct http_listener *l)
{
    free(l->address);
    free(l->tables);
    free(l);
}

static void free_const(const char *text)
{
    free((void *)(uintptr_t)text);
}

void http_server_free(struct http_server *s)
{
    if (!s) {
        return;
    }
    http_server_stop(s, 0);
    for (size_t i = 0; i < s->n_listeners; i++) {
        listener_free(s->listeners[i]);
    }
    free(s->listeners);
    secrets_done(&s->secrets);
    free(s->url);
    free_const(s->config.address);
    free_const(s->config.token_file);
    free_const(s->config.cert_file);
    free_const(s->config.key_file);
    free_const(s->config.cors_origins);
    crowd_done(&s->crowd);
    pthread_cond_destroy(&s->changed);
    pthread_cond_destroy(&s->stop_sweeper);
    pthread_mutex_destroy(&s->rate.lock);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

// ---- while it runs -------------------------------------------------------------------------

// Another certificate than the one in force: what is renewed is not renewed twice.
static bool is_renewed(const struct http_certificate *old, const struct http_certificate *fresh)
{
    return fresh && strcmp(fresh->pem, old->pem) != 0;
}

int http_server_reload(struct http_server *s, struct error *err)
{
    struct http_secrets fresh;
    int r = secrets_read(&s->config, &fresh, err);
    if (r < 0) {
        return r;
    }
    pthread_mutex_lock(&s->lock);
    SWAP(s->secrets.token, fresh.token);
    if (is_renewed(s->secrets.certificate, fresh.certificate)) {
        SWAP(s->secrets.certificate, fresh.certificate);
    }
    pthread_mutex_unlock(&s->lock);
    streams_end(s, false);
    secrets_done(&fresh); // the older one lives on in the connections that began with it
    return 0;
}

uint16_t http_server_port(const struct http_server *s, size_t i)
{
    return i < s->n_listeners ? s->listeners[i]->port : 0;
}

const char *http_server_url(const struct http_server *s)
{
    return s->url ? s->url : "";
}

struct http_stats http_server_stats(const struct http_server *s)
{
    struct http_stats stats = {.requests = atomic_load(&s->requests)};
    struct http_crowd *crowd = (struct http_crowd *)(uintptr_t)&s->crowd;
    for (size_t i = 0; i < ARRAY_LEN(stats.by_class); i++) {
        stats.by_class[i] = atomic_load(&s->by_class[i]);
    }
    pthread_mutex_lock(&crowd->lock);
    stats.refused = crowd->turned_away;
    stats.open = crowd->n;
    pthread_mutex_unlock(&crowd->lock);
    return stats;
}
