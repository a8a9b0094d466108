// Who is connected, and who has to go when there are too many, or when somebody takes too long.
// Thread-safe. Internal to src/http.
#pragma once

#include <pthread.h>

#include "base/time.h"

struct http_certificate;

// An open connection, from its first byte to its last.
struct http_visitor {
    struct http_visitor *newer, *older; // in the list it is in
    int fd;
    uint64_t address;  // a hash of the peer's
    struct mono since; // when its present state began
    bool waiting;      // for the client, to send or to read: it may be cut off for being slow
    bool cut;          // shut down; about to close
    bool listens;      // not one of the n
    size_t holds;      // bytes of memory for its request's body
    struct http_certificate *certificate; // it began with, a share (server.c); NULL: no TLS
};

// All connections of a server. Of those waiting the one that has waited longest goes first, whether
// its time is up or its place is needed, so that slow clients cannot keep others out.
struct http_crowd {
    pthread_mutex_t lock;
    struct http_visitor *oldest, *newest; // the waiting ones
    size_t n, most;                       // those that listen do not count
    size_t most_of_one;                   // from one address
    int64_t patience_ns;
    uint64_t turned_away;
};

void crowd_init(struct http_crowd *c, size_t most, size_t most_of_one, int64_t patience_ns);
void crowd_done(struct http_crowd *c);
struct http_visitor *crowd_enter(struct http_crowd *c, int fd, uint64_t address, struct mono now);
void crowd_leave(struct http_crowd *c, struct http_visitor *v); // frees it
// Its request has come whole (it waits for us); or it is to go on sending, to read its answer, or
// to send the next request (we wait for it, with patience anew).
void crowd_served(struct http_crowd *c, struct http_visitor *v);
void crowd_waits(struct http_crowd *c, struct http_visitor *v, struct mono now);
// It listens from now on, until it waits or leaves: it takes no place among the others, and does
// not go for their sake.
void crowd_listens(struct http_crowd *c, struct http_visitor *v);
// Cuts it off, which is slow.
void crowd_cut(struct http_crowd *c, struct http_visitor *v);
// It holds so many bytes now.
void crowd_holds(struct http_crowd *c, struct http_visitor *v, size_t n);
// Memory is short: cuts off the one that has waited longest of those that hold some, but not v.
void crowd_relieve(struct http_crowd *c, const struct http_visitor *v);
// Cuts off those that have waited for longer than the patience allows. Called now and then; returns
// for how long, ns, it would find nobody, whoever comes meanwhile.
int64_t crowd_sweep(struct http_crowd *c, struct mono now);
