// An HTTP/1.1 server over libmicrohttpd (https://www.gnu.org/software/libmicrohttpd/), for what
// gtap serves: routes in tables, bodies bounded before they are read, bearer tokens, TLS.
//
// A server has any number of listeners. Routes are added while it is being put together, then it is
// started, and stopped before what the routes' ctx points to goes. Handlers run on the server's
// threads, several at a time: what they touch must be thread-safe. Nothing here logs.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

struct http_server;
struct http_exchange; // one request and the answer to it

struct http_config {
    const char *address;    // the main listener's: "127.0.0.1:8080", "[::1]:0", ":8080" (all)
    const char *token_file; // its first line is the bearer token asked for by HTTP_GUARDED routes;
                            // NULL: none is asked for, and such routes answer this host alone
    const char *cert_file;  // PEM; with key_file, TLS on every listener
    const char *key_file;
    const char *cors_origins; // "https://a.example,https://b.example:8443": pages of these may ask
                              // HTTP_CORS routes; NULL: of no other origin
    unsigned connections;    // open at a time in all (default 1024, or what the limit of open files
                             // allows); for more, those go that have kept us waiting longest
    unsigned connections_ip; // of one address (default: a quarter of those, but loopback all)
    unsigned streams;   // of http/stream.h at a time, beside those connections (default 1280, a
                        // quarter of them of one address; or as files allow)
    int64_t timeout_ns; // a connection that says nothing for so long is closed (default 15 s)
    int64_t body_timeout_ns; // a header, a body, or the reading of an answer that takes longer is
                             // cut off (default 30 s)
    unsigned requests_per_s; // of one address on HTTP_LIMITED routes; 0: no limit
};

enum {
    HTTP_GUARDED = 1 << 0, // asks for the token
    HTTP_LIMITED = 1 << 1, // counts against requests_per_s; over it, 429 with Retry-After
    HTTP_GZIP = 1 << 2,    // a body with Content-Encoding: gzip is unpacked, within body_max
    HTTP_READING = 1 << 3, // asks for the token if there is one, and else answers everybody
    HTTP_CORS = 1 << 4,    // pages of http_config.cors_origins may ask, preflight included
};

// Path: exact, or ending in "/*", where the rest is http_rest(). HEAD is answered as GET is.
struct http_route {
    const char *method, *path;
    unsigned flags;
    size_t body_max; // bytes, packed and unpacked each; over it, 413 before more is read
    // Answers by http_answer(), at once or, after http_defer(), later from any thread.
    void (*handle)(void *ctx, struct http_exchange *x);
    const char *help; // one line, for the documentation
};

int http_server_new(const struct http_config *c, struct http_server **ret, struct error *err)
    GTAP_CHECK;                               // -EINVAL: a bad address; -EACCES, -ENOENT: a file
void http_server_free(struct http_server *s); // stops it; accepts NULL

// Adds a table of routes to the listener at `address` (NULL: the main one), which is made when it
// is new. Borrowed: the table and ctx outlive the server's stop. -EEXIST: a route is there already.
// Only before the start.
int http_server_add(struct http_server *s, const char *address, const struct http_route *routes,
                    size_t n, void *ctx, struct error *err) GTAP_CHECK;

// Binds and listens. -EADDRINUSE and the like, naming the address and what to do. A server without
// routes listens nowhere. Starting twice is no error.
int http_server_start(struct http_server *s, struct error *err) GTAP_CHECK;

// Refuses new requests by 503, waits until those deferred are answered, at most until `patience_ns`
// have passed (the rest get 503), sends what is ready, and closes.
void http_server_stop(struct http_server *s, int64_t patience_ns);

// Reads the token and the certificates again. On failure the old ones stay in force, on all
// listeners. When it returns 0, connections that begin from then on show the new certificate; those
// that are there keep the one they began with, and are closed after their next answer.
int http_server_reload(struct http_server *s, struct error *err) GTAP_CHECK;

// Port of the i-th listener in the order of making (for ":0"), 0 when there is none.
uint16_t http_server_port(const struct http_server *s, size_t i);
// "http://127.0.0.1:8080", for people.
const char *http_server_url(const struct http_server *s);

struct http_stats {
    uint64_t requests, by_class[6]; // by_class[2]: answers 2xx
    uint64_t refused;               // connections cut off, for being slow or to make room
    uint64_t open;                  // connections now
};
struct http_stats http_server_stats(const struct http_server *s);

// ---- an exchange: borrowed texts live until the handler returns, the body until the answer ----

struct str http_path(const struct http_exchange *x);
struct str http_rest(const struct http_exchange *x);                     // behind "/*"
struct str http_header(const struct http_exchange *x, const char *name); // absent when not sent
struct str http_query(const struct http_exchange *x, const char *name);  // decoded, the first
// Each "name=value" of the query as it was sent, decoded; a value without "=" is absent. Ends when
// take returns false. The handler may call it until it returns.
void http_query_each(const struct http_exchange *x,
                     bool (*take)(void *ctx, struct str name, struct str value), void *ctx);
struct str http_body(const struct http_exchange *x);   // whole, unpacked
struct str http_remote(const struct http_exchange *x); // address, for people
bool http_takes_gzip(const struct http_exchange *x);   // as the content coding of an answer

// The body has HTTP_BODY_PADDING readable bytes behind it and may be written to.
enum { HTTP_BODY_PADDING = 64 };

// Keeps the exchange open after the handler has returned. It must be answered by http_answer().
void http_defer(struct http_exchange *x);

// Ends the exchange: exactly once, also when the client has gone. type: of the body; headers: NULL
// or "Name: value\n" lines ("Cache-Control: no-store" unless they say otherwise). The body is
// copied; text of over 1 kB is packed for clients that accept gzip.
void http_answer(struct http_exchange *x, int status, const char *type, const char *headers,
                 struct str body);
// The body lies in `owned`, of malloc(), which is freed when it was sent.
void http_answer_owned(struct http_exchange *x, int status, const char *type, const char *headers,
                       struct str body, char *owned);
// The same with problem details (RFC 9457), as every refusal has them: {"type":"about:blank",
// "title":"Bad Request","status":400,"detail":...}. The text says what is wrong and what to do.
void http_refuse(struct http_exchange *x, int status, const char *fmt, ...) GTAP_PRINTF(3, 4);
// 400, with "parameter": the one at fault.
void http_refuse_parameter(struct http_exchange *x, const char *name, const char *fmt, ...)
    GTAP_PRINTF(3, 4);

enum { HTTP_ETAG_MAX = 48 };
// Gives the answer to come a strong ETag, which says what it is made of: letters, digits, "-" and
// ".", at most HTTP_ETAG_MAX. True: the client has that answer already and was told so (304);
// nothing is left to do. Before http_answer(), on any thread.
bool http_not_modified(struct http_exchange *x, const char *tag);
