// The one way threads talk: a bounded queue of pointers. A push that succeeds takes ownership of
// the message; one that fails leaves it with the caller. Thread-safe, any number of both ends.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct queue;

struct queue *queue_new(size_t capacity);
void queue_free(struct queue *q); // must be empty, or its messages leak; accepts NULL

// Blocks while full. 0, or -EPIPE once the queue was closed.
int queue_push(struct queue *q, void *msg) GTAP_CHECK;
int queue_try_push(struct queue *q, void *msg) GTAP_CHECK; // -EAGAIN when full
// Like queue_push() of something that has time: whoever rests in queue_pop_rested() is not woken up
// for it.
int queue_push_calmly(struct queue *q, void *msg) GTAP_CHECK;

// The oldest message. Waits up to timeout_ns (monotonic; < 0 for ever, 0 not at all); NULL after
// the timeout, and at once when the queue is closed and empty.
void *queue_pop(struct queue *q, int64_t timeout_ns);

// The same, but for the first rest_ns what is pushed calmly wakes nobody up: it is found when they
// are over. One thread at a time.
void *queue_pop_rested(struct queue *q, int64_t rest_ns, int64_t timeout_ns);
bool queue_resting(const struct queue *q); // somebody is, now

void queue_close(struct queue *q); // pushes fail from now on, pops drain what is left
bool queue_closed(const struct queue *q);
size_t queue_length(const struct queue *q);
