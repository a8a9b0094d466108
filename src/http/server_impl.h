// The inside of the server, shared by the files that make it up: server.c (life cycle), exchange.c
// (a request from its header to its answer), shape.c (whether it is one request), route.c (who
// answers it), guard.c (whether it may be answered), body.c (what it brings), answer.c (what is
// sent back), crowd.c (whose connection goes when there are too many), listen.c (sockets). Internal
// to src/http.
#pragma once

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "http/crowd.h"
#include "http/guard.h"
#include "http/listen.h"
#include "http/secret.h"
#include "http/server.h"

struct http_table {
    const struct http_route *routes;
    size_t n;
    void *ctx;
};

struct http_listener {
    struct http_server *server;
    char *address; // as given
    int fd;        // -1 before the start
    uint16_t port;
    struct MHD_Daemon *daemon; // one from start to stop; NULL: none
    struct http_table *tables;
    size_t n_tables, cap_tables;
};

// ---- route.c -------------------------------------------------------------------------------

// The route of this request and its ctx. NULL: *ret_status is 404 or 405, and *ret_allow (a buffer
// that was initialised) lists the methods there are.
const struct http_route *route_find(const struct http_listener *l, struct str method,
                                    struct str path, void **ret_ctx, struct str *ret_rest,
                                    int *ret_status, struct buf *ret_allow);
bool route_exists(const struct http_listener *l, const struct http_route *r);
// Whether pages of other origins may ask for this path at all.
bool route_is_shared(const struct http_listener *l, struct str path);

// ---- shape.c -------------------------------------------------------------------------------

// Why the header may be read as another request by whoever stands before this server, a literal;
// NULL: it may not.
const char *shape_trouble(struct MHD_Connection *connection, const char *version);

// ---- exchange.c ----------------------------------------------------------------------------

struct http_exchange {
    struct http_listener *listener;
    struct MHD_Connection *connection;
    struct http_visitor *visitor;
    const struct http_route *route;
    void *ctx;
    struct str method, path, rest;
    char remote[64];

    // Of the header, kept for answers that come when it is gone.
    bool takes_gzip;
    char *if_none_match; // owned; NULL: not sent
    struct str origin;   // of the page that asks, where it may: borrowed from the configuration
    char etag[HTTP_ETAG_MAX + 16]; // of the answer, quoted; "": none

    char *body; // HTTP_BODY_PADDING bytes behind it
    size_t n_body, cap_body;
    bool too_large, crowded; // over body_max; over the server's memory

    // Under the server's lock, from http_defer() on.
    struct http_exchange *next, *previous; // in the list of deferred ones
    bool deferred, suspended, answered;
    bool connected, held; // who still needs it: the connection, whoever deferred it
    int status;
    struct MHD_Response *response;
    size_t n_answer;                // what of it counts against the server's memory
    struct http_listening *listens; // NULL: its answer ends by itself
};

// ---- body.c --------------------------------------------------------------------------------

// Whether the body of a request that was refused by its header is worth reading, so that the client
// sees the answer and the connection stays of use.
bool body_discards(const struct http_exchange *x);
// Takes a piece in. False: the client sends on and on, although it is too much already.
bool body_take(struct http_exchange *x, const char *p, size_t n);
int body_unpack(struct http_exchange *x); // 0, or the status to refuse with
const char *body_trouble(int status);     // in words
void body_drop(struct http_exchange *x);

// ---- exchange.c, the callbacks -------------------------------------------------------------

enum MHD_Result exchange_access(void *cls, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **con_cls);
void exchange_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                        enum MHD_RequestTerminationCode why);
// Answers 503 to all that still wait, and from now on to each that is deferred.
void exchange_drop_deferred(struct http_server *s);

// ---- server.c ------------------------------------------------------------------------------

struct http_server {
    struct http_config config; // texts owned
    struct http_address main_address;
    struct http_listener **listeners;
    size_t n_listeners, cap_listeners;
    char *url;
    struct http_crowd crowd;
    struct http_rate rate;
    pthread_t sweeper;
    struct http_stream *streams;
    bool started, sweeping;
    atomic_bool draining; // the server is about to stop: new requests are refused

    pthread_mutex_t lock;        // of what follows, and of deferred exchanges
    pthread_cond_t changed;      // one more is answered, or sent
    pthread_cond_t stop_sweeper; // `stopping` was set
    struct http_secrets secrets; // those in force
    struct http_exchange *deferred;
    size_t n_deferred;
    size_t unsent; // exchanges that are answered, but whose answer is not out
    size_t memory; // bytes held for bodies and answers, of all exchanges
    bool stopping, dropped;

    atomic_uint_fast64_t requests, by_class[6];
};

// Bytes for bodies and answers in all; false when the server has given out what it may.
bool server_take_memory(struct http_server *s, size_t n);
void server_give_memory(struct http_server *s, size_t n);
