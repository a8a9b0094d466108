// Whether a request may be answered: its token, the address it comes from, how often it comes.
// Internal to src/http; thread-safe.
#pragma once

#include <pthread.h>
#include <sys/socket.h>

#include "base/time.h"

struct http_exchange;
struct http_route;
struct http_server;

enum { HTTP_BUCKETS = 1024 };

// Requests that an address may still make now: a token bucket of one second's worth. Addresses
// share a bucket when their hashes do; that makes the limit stricter, never looser.
struct http_rate {
    pthread_mutex_t lock;
    double left[HTTP_BUCKETS];
    struct mono at[HTTP_BUCKETS];
};

// 0, or the status to refuse with; *ret_why is a literal.
int guard_check(struct http_server *s, struct http_exchange *x, const struct http_route *route,
                const char **ret_why);
uint64_t guard_address(const struct sockaddr *peer); // equal for equal hosts, whatever the port
bool guard_is_local(const struct sockaddr *peer);
