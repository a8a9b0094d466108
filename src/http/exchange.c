#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/alloc.h"
#include "http/server_impl.h"

// After too much was sent, so much more is read and thrown away, so that the client sees the answer
// instead of a connection that breaks off.
#define DISCARD_MAX ((size_t)1 << 20)
enum { BODY_START = 4096, ALLOW_MAX = 256, MESSAGE_MAX = 1024 };

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

struct str http_body(const struct http_exchange *x)
{
    return (struct str){x->body ? x->body : "", x->n_body};
}

struct str http_remote(const struct http_exchange *x)
{
    return str_of(x->remote);
}

// ---- answering -----------------------------------------------------------------------------

static void add_header(struct MHD_Response *r, struct str line)
{
    struct str name;
    if (!str_split(&line, ':', &name) || !str_present(line)) {
        return;
    }
    AUTO_FREE char *n = x_strndup(name.p, name.n);
    struct str value = str_trim(line);
    AUTO_FREE char *v = x_strndup(value.p, value.n);
    (void)MHD_add_response_header(r, n, v); // fails on what no header may hold; then it is not sent
}

static struct MHD_Response *response_new(const char *type, const char *headers, struct str body)
{
    char *copy = x_alloc(body.n + 1); // of bytes, not text: it may hold zeros
    memcpy(copy, body.n ? body.p : "", body.n);
    struct MHD_Response *r = MHD_create_response_from_buffer(body.n, copy, MHD_RESPMEM_MUST_FREE);
    if (!r) {
        free(copy);
        return NULL;
    }
    add_header(r, STR("X-Content-Type-Options: nosniff"));
    add_header(r, STR("Cache-Control: no-store"));
    if (type) {
        (void)MHD_add_response_header(r, "Content-Type", type);
    }
    struct str rest = str_of(headers), line;
    while (str_split(&rest, '\n', &line)) {
        add_header(r, line);
    }
    return r;
}

// Under the lock. The exchange goes with the last of its connection and whoever deferred it.
static void let_go(struct http_exchange *x)
{
    if (x->connected || x->held) {
        return;
    }
    if (x->response) {
        MHD_destroy_response(x->response);
    }
    x->listener->server->bodies -= x->cap_body;
    free(x->body);
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
    pthread_cond_broadcast(&s->changed);
}

void http_defer(struct http_exchange *x)
{
    struct http_server *s = x->listener->server;
    pthread_mutex_lock(&s->lock);
    x->held = true;
    x->deferred = true;
    x->previous = NULL;
    x->next = s->deferred;
    if (x->next) {
        x->next->previous = x;
    }
    s->deferred = x;
    pthread_mutex_unlock(&s->lock);
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
    x->listener->server->unsent++;
    x->status = status;
    x->response = response;
    if (x->suspended) {
        x->suspended = false;
        MHD_resume_connection(x->connection);
    }
}

void http_answer(struct http_exchange *x, int status, const char *type, const char *headers,
                 struct str body)
{
    struct http_server *s = x->listener->server;
    struct MHD_Response *response = response_new(type, headers, body);
    pthread_mutex_lock(&s->lock);
    set_answer(x, status, response);
    unlink_deferred(s, x);
    x->held = false;
    let_go(x);
    pthread_mutex_unlock(&s->lock);
}

static void put_refusal(struct buf *b, int status, struct str message)
{
    buf_printf(b, "{\"error\":{\"code\":%d,\"message\":", status);
    buf_json_str(b, message);
    buf_cstr(b, "}}\n");
}

static void refuse(struct http_exchange *x, int status, const char *headers, const char *message)
{
    struct buf b;
    buf_init(&b, 8 * MESSAGE_MAX);
    put_refusal(&b, status, str_of(message));
    http_answer(x, status, "application/json", headers, buf_view(&b));
    buf_done(&b);
}

void http_refuse(struct http_exchange *x, int status, const char *fmt, ...)
{
    char message[MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    bool again = status == 429 || status == 503;
    refuse(x, status, again ? "Retry-After: 1" : NULL, message);
}

void exchange_drop_deferred(struct http_server *s)
{
    static const char text[] = "{\"error\":{\"code\":503,\"message\":\"the server is stopping: "
                               "send it again\"}}\n";
    pthread_mutex_lock(&s->lock);
    while (s->deferred) {
        struct http_exchange *x = s->deferred;
        set_answer(x, 503,
                   response_new("application/json", "Retry-After: 1",
                                (struct str){text, sizeof(text) - 1}));
        unlink_deferred(s, x); // whoever deferred it still holds it
    }
    pthread_mutex_unlock(&s->lock);
}

// ---- the body ------------------------------------------------------------------------------

static bool reserve_body(struct http_exchange *x, size_t n)
{
    size_t cap = MAX(x->cap_body * 2, (size_t)BODY_START);
    cap = MIN(MAX(cap, n), x->route->body_max);
    if (n <= x->cap_body && x->body) {
        return true;
    }
    if (!server_take_memory(x->listener->server, cap - x->cap_body)) {
        x->crowded = true;
        return false;
    }
    x->body = x_realloc_array(x->body, cap + HTTP_BODY_PADDING, 1);
    x->cap_body = cap;
    return true;
}

static void drop_body(struct http_exchange *x)
{
    server_give_memory(x->listener->server, x->cap_body);
    free(x->body);
    x->body = NULL;
    x->cap_body = 0;
}

// Takes a piece in. False: the client sends on and on, although it is too much already.
static bool take_piece(struct http_exchange *x, const char *p, size_t n)
{
    if (!x->too_large && !x->crowded && n > x->route->body_max - x->n_body) {
        x->too_large = true;
        drop_body(x);
    }
    if (!x->too_large && !x->crowded && reserve_body(x, x->n_body + n)) {
        memcpy(x->body + x->n_body, p, n);
    }
    x->n_body += n;
    return !(x->too_large || x->crowded) || x->n_body <= x->route->body_max + DISCARD_MAX;
}

// 0, or the status to refuse with.
static int unpack_stream(struct http_exchange *packed, struct http_exchange *plain)
{
    enum { GZIP_ONLY = 16 };
    z_stream z = {.next_in = (unsigned char *)packed->body, .avail_in = (unsigned)packed->n_body};
    if (inflateInit2(&z, MAX_WBITS + GZIP_ONLY) != Z_OK) {
        return 503;
    }
    int r = Z_OK, status = 0;
    while (r == Z_OK && status == 0) {
        if (plain->n_body == plain->route->body_max) {
            status = 413;
        } else if (!reserve_body(plain, plain->n_body + 1)) {
            status = 503;
        } else {
            z.next_out = (unsigned char *)plain->body + plain->n_body;
            z.avail_out = (unsigned)(plain->cap_body - plain->n_body);
            r = inflate(&z, Z_NO_FLUSH);
            plain->n_body = plain->cap_body - z.avail_out;
        }
    }
    bool whole = r == Z_STREAM_END && z.avail_in == 0;
    inflateEnd(&z);
    return status ? status : whole ? 0 : 400;
}

static int unpack(struct http_exchange *x)
{
    struct str encoding = http_header(x, "Content-Encoding");
    if (!str_present(encoding) || str_glob(STR("identity"), encoding)) {
        return 0;
    }
    if (!(x->route->flags & HTTP_GZIP) || !str_glob(STR("gzip"), encoding)) {
        return 415;
    }
    struct http_exchange plain = {.listener = x->listener, .route = x->route};
    int status = x->n_body ? unpack_stream(x, &plain) : 400;
    drop_body(x);
    x->body = plain.body;
    x->n_body = plain.n_body;
    x->cap_body = plain.cap_body;
    return status;
}

static const char *body_trouble(int status)
{
    switch (status) {
    case 400:
        return "the body is no whole gzip stream";
    case 413:
        return "the body is too large: send fewer records at a time";
    case 415:
        return "the body's Content-Encoding must be gzip, or none";
    default:
        return "the server holds as many bodies as it may: try again";
    }
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

// Whatever can be said from the header alone is said before the body is read.
static void begin(struct http_exchange *x)
{
    struct http_server *s = x->listener->server;
    struct buf allow;
    int status = 0;
    const char *why = NULL;
    buf_init(&allow, ALLOW_MAX);
    x->route = route_find(x->listener, x->method, x->path, &x->ctx, &x->rest, &status, &allow);
    if (!x->route) {
        refuse_route(x, status, &allow);
    } else if ((status = guard_check(s, x, x->route, &why)) != 0) {
        refuse(x, status,
               status == 401   ? "WWW-Authenticate: Bearer"
               : status == 429 ? "Retry-After: 1"
                               : NULL,
               why);
    } else if (announced_too_large(x)) {
        refuse(x, 413, NULL, body_trouble(413));
    }
    buf_done(&allow);
}

static void handle(struct http_exchange *x)
{
    int status = x->too_large ? 413 : x->crowded ? 503 : unpack(x);
    if (status) {
        refuse(x, status, status == 503 ? "Retry-After: 1" : NULL, body_trouble(status));
        return;
    }
    x->route->handle(x->ctx, x);
}

// Hands the answer over, or waits for it.
static enum MHD_Result conclude(struct http_exchange *x)
{
    struct http_server *s = x->listener->server;
    enum MHD_Result r = MHD_YES;
    pthread_mutex_lock(&s->lock);
    if (!x->answered && x->deferred) {
        x->suspended = true;
        MHD_suspend_connection(x->connection);
        pthread_mutex_unlock(&s->lock);
        return MHD_YES;
    }
    struct MHD_Response *response = x->response;
    pthread_mutex_unlock(&s->lock);
    if (response) {
        unsigned class = (unsigned)x->status / 100;
        atomic_fetch_add(&s->by_class[class < 6 ? class : 0], 1);
        r = MHD_queue_response(x->connection, (unsigned)x->status, response);
    }
    return response ? r : MHD_NO;
}

enum MHD_Result exchange_access(void *cls, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **con_cls)
{
    struct http_listener *l = cls;
    struct http_exchange *x = *con_cls;
    (void)version;
    if (!x) {
        *con_cls = x = exchange_new(l, connection, method, url);
        atomic_fetch_add(&l->server->requests, 1);
        begin(x);
        if (x->visitor) { // the body has the same patience anew
            crowd_served(&l->server->crowd, x->visitor);
            crowd_waits(&l->server->crowd, x->visitor, clock_mono(&clock_system));
        }
        return x->answered ? conclude(x) : MHD_YES;
    }
    if (*upload_size > 0) {
        bool goes_on = x->answered || take_piece(x, upload, *upload_size);
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
    if (x->visitor) {
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
