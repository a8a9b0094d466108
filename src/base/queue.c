#include "base/queue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/time.h"

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t not_full, not_empty;
    size_t capacity, first;
    atomic_bool resting; // what is pushed calmly wakes nobody up; as `n`
    atomic_size_t n;     // written under the lock, read without
    atomic_bool closed;  // the same
    void *ring[];
};

static void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

struct queue *queue_new(size_t capacity)
{
    assert(capacity > 0 && capacity < SIZE_MAX / sizeof(void *) / 2);
    struct queue *q = x_zalloc(sizeof(*q) + capacity * sizeof(q->ring[0]));
    q->capacity = capacity;
    pthread_mutex_init(&q->lock, NULL);
    cond_init(&q->not_full);
    cond_init(&q->not_empty);
    return q;
}

void queue_free(struct queue *q)
{
    if (q == NULL) {
        return;
    }
    pthread_cond_destroy(&q->not_full);
    pthread_cond_destroy(&q->not_empty);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

enum push { PUSH_WAITING, PUSH_TRYING, PUSH_CALMLY };

// Signals follow the unlocking, or who is woken up would sleep again at once.
static int push(struct queue *q, void *msg, enum push how)
{
    assert(msg != NULL);
    pthread_mutex_lock(&q->lock);
    while (how != PUSH_TRYING && q->n == q->capacity && !q->closed) {
        pthread_cond_wait(&q->not_full, &q->lock);
    }
    int result = q->closed ? -EPIPE : q->n == q->capacity ? -EAGAIN : 0;
    bool wakes = false;
    if (result == 0) {
        q->ring[(q->first + q->n) % q->capacity] = msg;
        q->n++;
        wakes = how != PUSH_CALMLY || !q->resting || q->n == q->capacity;
    }
    pthread_mutex_unlock(&q->lock);
    if (wakes) {
        pthread_cond_signal(&q->not_empty);
    }
    return result;
}

int queue_push(struct queue *q, void *msg)
{
    return push(q, msg, PUSH_WAITING);
}

int queue_try_push(struct queue *q, void *msg)
{
    return push(q, msg, PUSH_TRYING);
}

int queue_push_calmly(struct queue *q, void *msg)
{
    return push(q, msg, PUSH_CALMLY);
}

static struct timespec deadline_after(int64_t timeout_ns)
{
    int64_t now = clock_mono(&clock_system).ns, at;
    if (__builtin_add_overflow(now, timeout_ns, &at)) {
        at = INT64_MAX;
    }
    return (struct timespec){.tv_sec = at / NS_PER_S, .tv_nsec = at % NS_PER_S};
}

static void wait_for_message(struct queue *q, int64_t timeout_ns)
{
    struct timespec deadline = deadline_after(timeout_ns > 0 ? timeout_ns : 0);
    int result = 0;
    while (q->n == 0 && !q->closed && result == 0) {
        result = timeout_ns < 0 ? pthread_cond_wait(&q->not_empty, &q->lock)
                                : pthread_cond_timedwait(&q->not_empty, &q->lock, &deadline);
    }
}

// Under the lock, which it gives up.
static void *take(struct queue *q)
{
    void *msg = NULL;
    if (q->n > 0) {
        msg = q->ring[q->first];
        q->first = (q->first + 1) % q->capacity;
        q->n--;
    }
    pthread_mutex_unlock(&q->lock);
    if (msg) {
        pthread_cond_signal(&q->not_full);
    }
    return msg;
}

void *queue_pop(struct queue *q, int64_t timeout_ns)
{
    pthread_mutex_lock(&q->lock);
    if (q->n == 0 && timeout_ns != 0) {
        wait_for_message(q, timeout_ns);
    }
    return take(q);
}

// One that is woken up meanwhile has something that has no time; that others are before it does not
// matter.
static void rest(struct queue *q, int64_t ns)
{
    struct timespec deadline = deadline_after(ns);
    q->resting = true;
    if (q->n == 0 && !q->closed) {
        (void)pthread_cond_timedwait(&q->not_empty, &q->lock, &deadline);
    }
    q->resting = false;
}

void *queue_pop_rested(struct queue *q, int64_t rest_ns, int64_t timeout_ns)
{
    int64_t left = timeout_ns - MAX(rest_ns, (int64_t)0);
    pthread_mutex_lock(&q->lock);
    if (rest_ns > 0) {
        rest(q, rest_ns);
    }
    if (q->n == 0 && left > 0) {
        wait_for_message(q, left);
    }
    return take(q);
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->not_full);
    pthread_cond_broadcast(&q->not_empty);
    pthread_mutex_unlock(&q->lock);
}

bool queue_closed(const struct queue *q)
{
    return q->closed;
}

bool queue_resting(const struct queue *q)
{
    return q->resting;
}

size_t queue_length(const struct queue *q)
{
    return q->n;
}
