#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "http/answer.h"
#include "http/stream_impl.h"

// Answers of up to so many bytes do not count against the server's memory for bodies.
#define SMALL_ANSWER ((size_t)4096)
enum { ALLOW_MAX = 256 };

// ---- what a handler may ask ----------------------------------------------------------------

struct str http_path(const struct http_exchange *x)
{
    return x->path;
}

struct str http_rest(const struct http_exchange *x)
{
    return x->rest;
}

struct str http_header(const struct http_exchange *x, const char *name)
{
    return str_of(MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name));
}

struct str http_query(const struct http_exchange *x, const char *name)
{
    return str_of(MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, name));
}

struct each_query {
    bool (*take)(void *ctx, struct str name, struct str value);
    void *ctx;
};

static enum MHD_Result take_argument(void *cls, enum MHD_ValueKind kind, const char *name,
                                     size_t n_name, const char *value, size_t n_value)
{
    const struct each_query *each = cls;
    struct str v = value ? (struct str){value, n_value} : STR_NONE;
    (void)kind;
    return each->take(each->ctx, (struct str){name, n_name}, v) ? MHD_YES : MHD_NO;
}

void http_query_each(const struct http_exchange *x,
                     bool (*take)(void *ctx, struct str name, struct str value), void *ctx)
{
    struct each_query each = {take, ctx};
    MHD_get_connection_values_n(x->connection, MHD_GET_ARGUMENT_KIND, take_argument, &each);
}

struct str http_body(const struct http_exchange *x)
{
    return (struct str){x->body ? x->body : "", x->n_body};
}

struct str http_remote(const struct http_exchange *x)
{
    return str_of(x->remote);
}

bool http_takes_gzip(const struct http_exchange *x)
{
    return x->takes_gzip;
}

// ---- answering -----------------------------------------------------------------------------

// Under the lock. The exchange goes with the last of its connection and whoever deferred it.
static void let_go(struct http_exchange *x)
{
    if (x->connected || x->held) {
        return;
    }
    if (x->response) {
        MHD_destroy_response(x->response);
    }
    x->listener->server->memory -= x->cap_body + x->n_answer;
    free(x->body);
    free(x->if_none_match);
    free(x);
}

static void unlink_deferred(struct http_server *s, struct http_exchange *x)
{
    if (!x->deferred) {
        return;
    }
    *(x->previous ? &x->previous->next : &s->deferred) = x->next;
    if (x->next) {
        x->next->previous = x->previous;
    }
    x->deferred = false;
    s->n_deferred--;
    pthread_cond_broadcast(&s->changed);
}

// Under the lock. The first answer counts: one that comes after the server gave up waiting is gone.
static void set_answer(struct http_exchange *x, int status, struct MHD_Response *response)
{
    if (x->answered) {
        if (response) {
            MHD_destroy_response(response);
        }
        return;
    }
    x->answered = true;
    x->listener->server->unsent += x->connected;
    x->status = status;
    x->response = response;
    if (x->suspended) {
        x->suspended = false;
        MHD_resume_connection(x->connection);
    }
}

static void set_stopping_answer(struct http_exchange *x)
{
    struct buf b;
    buf_init(&b, ANSWER_PROBLEM_MAX);
    answer_problem(&b, 503, NULL, STR("the server is stopping: send it again"));
    set_answer(x, 503,
               answer_response(x, "", ANSWER_PROBLEM, "Retry-After: 1", buf_view(&b), NULL));
    buf_done(&b);
}

void http_defer(struct http_exchange *x)
{
    struct http_server *s = x->listener->server;
    pthread_mutex_lock(&s->lock);
    x->held = true;
    if (s->dropped) { // nobody will wait for the answer
        set_stopping_answer(x);
        pthread_mutex_unlock(&s->lock);
        return;
    }
    x->deferred = true;
    x->previous = NULL;
    x->next = s->deferred;
    if (x->next) {
        x->next->previous = x;
    }
    s->deferred = x;
    s->n_deferred++;
    pthread_mutex_unlock(&s->lock);
}

void http_answer_owned(struct http_exchange *x, int status, const char *type, const char *headers,
                       struct str body, char *owned)
{
    struct http_server *s = x->listener->server;
    char *packed = answer_pack(x, type, headers, &body);
    if (packed) {
        free(owned);
        owned = packed;
    }
    size_t counts = body.n > SMALL_ANSWER ? body.n : 0;
    if (counts > 0 && !server_take_memory(s, counts)) {
        free(owned);
        crowd_relieve(&s->crowd, NULL);
        http_refuse(x, 503, "%s", body_trouble(503));
        return;
    }
    struct MHD_Response *response = answer_response(x, x->etag, type, headers, body, owned);
    if (packed && response) {
        (void)MHD_add_response_header(response, "Content-Encoding", "gzip");
    }
    pthread_mutex_lock(&s->lock);
    set_answer(x, status, response);
    x->n_answer = counts;
    unlink_deferred(s, x);
    x->held = false;
    s->memory -= x->cap_body; // the body goes now: its sender may take long to read the answer
    x->cap_body = x->n_body = 0;
    free(TAKE_PTR(x->body));
    let_go(x);
    pthread_mutex_unlock(&s->lock);
}

void http_answer(struct http_exchange *x, int status, const char *type, const char *headers,
                 struct str body)
{
    http_answer_owned(x, status, type, headers, body, NULL);
}

static void refuse(struct http_exchange *x, int status, const char *headers, const char *message)
{
    struct buf b;
    buf_init(&b, ANSWER_PROBLEM_MAX);
    answer_problem(&b, status, NULL, str_of(message));
    http_answer(x, status, ANSWER_PROBLEM, headers, buf_view(&b));
    buf_done(&b);
}

void exchange_listens(struct http_exchange *x, struct MHD_Response *response,
                      struct http_listening *l)
{
    struct http_server *s = x->listener->server;
    pthread_mutex_lock(&s->lock);
    x->listens = l;
    set_answer(x, 200, response);
    pthread_mutex_unlock(&s->lock);
}

void exchange_drop_deferred(struct http_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->dropped = true;
    while (s->deferred) {
        struct http_exchange *x = s->deferred;
        set_stopping_answer(x);
        unlink_deferred(s, x); // whoever deferred it still holds it
    }
    pthread_mutex_unlock(&s->lock);
}

// ---- from the header to the answer ---------------------------------------------------------

static void note_remote(struct http_exchange *x)
{
    const struct sockaddr *a =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    if (a->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)a;
        inet_ntop(AF_INET, &in->sin_addr, x->remote, sizeof(x->remote));
    } else if (a->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)a;
        inet_ntop(AF_INET6, &in->sin6_addr, x->remote, sizeof(x->remote));
    }
}

static struct http_exchange *exchange_new(struct http_listener *l, struct MHD_Connection *c,
                                          const char *method, const char *url)
{
    struct http_exchange *x = x_zalloc(sizeof(*x));
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    x->listener = l;
    x->connection = c;
    x->visitor = info ? info->socket_context : NULL;
    x->method = str_of(method);
    x->path = str_of(url);
    x->connected = true;
    note_remote(x);
    answer_note(x);
    return x;
}

static bool announced_too_large(const struct http_exchange *x)
{
    struct str length = http_header(x, "Content-Length");
    return str_present(length) && strtoull(length.p, NULL, 10) > x->route->body_max;
}

static void refuse_route(struct http_exchange *x, int status, const struct buf *allow)
{
    AUTO_FREE char *header =
        status == 405 ? x_asprintf("Allow: " STR_FMT, STR_ARG(buf_view(allow))) : NULL;
    refuse(x, status, header,
           status == 405 ? "there is no such method here" : "there is nothing here");
}

static const char *header_of_refusal(int status)
{
    switch (status) {
    case 401:
        return "WWW-Authenticate: Bearer";
    case 429:
    case 503:
        return "Retry-After: 1";
    default:
        return NULL;
    }
}

// Whatever can be said from the header alone is said before the body is read.
static void begin(struct http_exchange *x)
{
    struct http_server *s = x->listener->server;
    struct buf allow;
    int status = 0;
    const char *why = NULL;
    if (atomic_load(&s->draining)) {
        http_refuse(x, 503, "the server is stopping: send it again");
        return;
    }
    buf_init(&allow, ALLOW_MAX);
    x->route = route_find(x->listener, x->method, x->path, &x->ctx, &x->rest, &status, &allow);
    if (!x->route && answer_preflight(x, buf_view(&allow))) {
        buf_done(&allow);
        return;
    }
    if (!x->route) {
        refuse_route(x, status, &allow);
    } else if ((status = guard_check(s, x, x->route, &why)) != 0) {
        refuse(x, status, header_of_refusal(status), why);
    } else if (announced_too_large(x)) {
        refuse(x, 413, NULL, body_trouble(413));
    }
    buf_done(&allow);
}

// Those who wait for their records to be stored leave a part of the connections to others: who asks
// how a run fares is answered also when nothing can be stored.
static bool too_many_wait(struct http_server *s)
{
    pthread_mutex_lock(&s->lock);
    bool many = s->n_deferred >= s->config.connections - s->config.connections / 4;
    pthread_mutex_unlock(&s->lock);
    return many;
}

static void handle(struct http_exchange *x)
{
    int status = x->too_large ? 413 : x->crowded ? 503 : body_unpack(x);
    if (status) {
        refuse(x, status, header_of_refusal(status), body_trouble(status));
    } else if (x->route->body_max > 0 && too_many_wait(x->listener->server)) {
        http_refuse(x, 503, "too many wait for an answer: send it again");
    } else {
        x->route->handle(x->ctx, x);
    }
}

// Its client is to come again by another connection: the server stops, or this one began with an
// older certificate.
static bool is_last_of_connection(const struct http_exchange *x)
{
    struct http_server *s = x->listener->server;
    pthread_mutex_lock(&s->lock);
    bool older = x->visitor && x->visitor->certificate != s->secrets.certificate;
    pthread_mutex_unlock(&s->lock);
    return older || atomic_load(&s->draining);
}

static enum MHD_Result send_answer(struct http_exchange *x, struct MHD_Response *response)
{
    struct http_server *s = x->listener->server;
    unsigned class = (unsigned)x->status / 100;
    atomic_fetch_add(&s->by_class[class < 6 ? class : 0], 1);
    if (is_last_of_connection(x)) {
        (void)MHD_add_response_header(response, "Connection", "close");
    }
    if (x->visitor && x->listens) {
        crowd_listens(&s->crowd, x->visitor);
    } else if (x->visitor) { // it has so long to read the answer
        crowd_holds(&s->crowd, x->visitor, x->n_answer);
        crowd_waits(&s->crowd, x->visitor, clock_mono(&clock_system));
    }
    return MHD_queue_response(x->connection, (unsigned)x->status, response);
}

// Hands the answer over, or waits for it.
static enum MHD_Result conclude(struct http_exchange *x)
{
    struct http_server *s = x->listener->server;
    pthread_mutex_lock(&s->lock);
    if (!x->answered && x->deferred) {
        x->suspended = true;
        MHD_suspend_connection(x->connection);
        pthread_mutex_unlock(&s->lock);
        return MHD_YES;
    }
    struct MHD_Response *response = x->response;
    pthread_mutex_unlock(&s->lock);
    return response ? send_answer(x, response) : MHD_NO;
}

static enum MHD_Result take_header(struct http_exchange *x, const char *version)
{
    struct http_server *s = x->listener->server;
    const char *trouble = shape_trouble(x->connection, version);
    atomic_fetch_add(&s->requests, 1);
    if (trouble) { // where this request ends, and whether another follows, cannot be told
        refuse(x, 400, "Connection: close", trouble);
        return conclude(x);
    }
    begin(x);
    if (x->visitor) { // the body has the same patience anew
        crowd_waits(&s->crowd, x->visitor, clock_mono(&clock_system));
    }
    return x->answered && !body_discards(x) ? conclude(x) : MHD_YES;
}

enum MHD_Result exchange_access(void *cls, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **con_cls)
{
    struct http_listener *l = cls;
    struct http_exchange *x = *con_cls;
    if (!x) {
        *con_cls = x = exchange_new(l, connection, method, url);
        return take_header(x, version);
    }
    if (*upload_size > 0) {
        bool goes_on = body_take(x, upload, *upload_size);
        *upload_size = 0;
        return goes_on ? MHD_YES : MHD_NO;
    }
    if (x->visitor) {
        crowd_served(&l->server->crowd, x->visitor);
    }
    if (!x->answered) {
        handle(x);
    }
    return conclude(x);
}

void exchange_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                        enum MHD_RequestTerminationCode why)
{
    struct http_listener *l = cls;
    struct http_server *s = l->server;
    struct http_exchange *x = *con_cls;
    (void)connection, (void)why;
    if (!x) {
        return;
    }
    if (x->listens) {
        stream_leave(TAKE_PTR(x->listens));
    }
    if (x->visitor) {
        crowd_holds(&s->crowd, x->visitor, 0);
        crowd_waits(&s->crowd, x->visitor, clock_mono(&clock_system));
    }
    pthread_mutex_lock(&s->lock);
    x->connected = false;
    s->unsent -= x->answered;
    pthread_cond_broadcast(&s->changed);
    let_go(x);
    pthread_mutex_unlock(&s->lock);
    *con_cls = NULL;
}
