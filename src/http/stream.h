// An answer that goes on for as long as its client listens, such as server-sent events: what is
// sent to a stream goes to all who joined it, each at a pace of its own, and is kept once whatever
// their number. Sending never waits: who falls too far behind is cut off, and comes again.
//
// Thread-safe, but for making and freeing.
#pragma once

#include "http/server.h"

struct http_stream;

struct http_stream_config {
    const char *type;     // Content-Type; borrowed, like headers
    const char *headers;  // as of http_answer()
    size_t backlog;       // how many sendings one may be behind; at most HTTP_STREAM_BACKLOG
    size_t backlog_bytes; // and how much; the newest sending is always kept
    // Somebody joined, on the server's thread, with nothing locked. May be NULL.
    void (*joined)(void *ctx);
    void *ctx;
};

enum { HTTP_STREAM_BACKLOG = 64 };

// Before the server starts. Freed after it stopped, or after the server itself.
struct http_stream *http_stream_new(struct http_server *s, const struct http_stream_config *c);
void http_stream_free(struct http_stream *st); // accepts NULL

// Answers the exchange: 200, and then all that is sent from now on. Called by a handler, before it
// returns. 503 when too many listen, in all or from one address; those who do take no place from
// other connections. The answer ends when the server stops, or has read its secrets anew: clients
// come again, with the new ones. Who has gone is noticed when something is sent.
void http_stream_join(struct http_stream *st, struct http_exchange *x);

// Sends the text (copied; empty: nothing) to all who listen. greeting: what those who join from now
// on get first, until the next call; empty: nothing. Returns how many listen.
size_t http_stream_send(struct http_stream *st, struct str text, struct str greeting);

struct http_stream_stats {
    size_t listeners; // now
    uint64_t joined;  // ever
    uint64_t cut;     // that were cut off for being slow
};
struct http_stream_stats http_stream_stats(const struct http_stream *st);
