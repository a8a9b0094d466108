// The drainer: takes what waits in the spool to Kafka, in order, for as long as that takes.
// librdkafka finds out by itself when brokers are back, so there is nothing to try again but to
// wait.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "output/kafka/kafka.h"

#define READ_BYTES ((size_t)512 << 10)
#define TELL_NS (3 * NS_PER_S)  // on the way for longer: Kafka is away
#define AGAIN_NS NS_PER_S       // before what came back unsent is sent again
#define LOOK_NS (10 * NS_PER_S) // when there is nothing to do

struct drain {
    struct spool_batch batch;
    struct message *messages;
    size_t n, cap;
};

// Until told otherwise, or so long. True: stopping.
static bool pause_for(struct kafka_sink *s, int64_t ns, bool unless_draining)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ns / NS_PER_S;
    pthread_mutex_lock(&s->lock);
    int r = 0;
    while (r == 0 && !s->stopping && !(unless_draining && s->draining)) {
        r = pthread_cond_timedwait(&s->changed, &s->lock, &until);
    }
    bool stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    return stopping;
}

static bool is_stopping(struct kafka_sink *s)
{
    pthread_mutex_lock(&s->lock);
    bool stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    return stopping;
}

static void take_batch(struct kafka_sink *s, struct drain *d)
{
    spool_read(s->spool, &d->batch, READ_BYTES);
    d->n = 0;
    for (size_t i = 0; i < d->batch.n; i++) {
        ARRAY_RESERVE(d->messages, d->n, d->cap);
        d->n += message_read(d->batch.payloads[i], &d->messages[d->n]); // others no gtap can send
    }
}

static void tell_away(struct kafka_sink *s)
{
    struct error why;
    courier_trouble(s->courier, &why);
    sink_report(&s->base, &why);
}

// Until all have come back, or it is to stop.
static void await(struct kafka_sink *s)
{
    bool told = false;
    for (int64_t waited = 0; !courier_wait(s->courier, NS_PER_S / 4); waited += NS_PER_S / 4) {
        if (is_stopping(s)) {
            courier_take_back(s->courier);
            return;
        }
        if (waited >= TELL_NS && !told) {
            tell_away(s);
            told = true;
        }
    }
}

static bool send_open(struct kafka_sink *s, struct drain *d)
{
    bool open = false;
    courier_submit(s->courier, d->messages, d->n);
    await(s);
    for (size_t i = 0; i < d->n && !is_stopping(s); i++) { // those that may be too long
        if (d->messages[i].fate == MESSAGE_OPEN && d->messages[i].alone) {
            courier_submit(s->courier, &d->messages[i], 1);
            await(s);
        }
        open |= d->messages[i].fate == MESSAGE_OPEN;
    }
    return !open && !is_stopping(s);
}

// One batch, until all of it is there or refused. False: stopping.
static bool deliver(struct kafka_sink *s, struct drain *d)
{
    while (!send_open(s, d)) {
        if (is_stopping(s)) {
            return false;
        }
        tell_away(s);
        if (pause_for(s, AGAIN_NS, false)) {
            return false;
        }
    }
    sink_report(&s->base, NULL);
    keep_refused(s, d->messages, d->n);
    spool_drop(s->spool, &d->batch);
    return true;
}

// The spool is empty: records may go directly from now on, unless one came in just now.
static void end_draining(struct kafka_sink *s)
{
    pthread_mutex_lock(&s->lock);
    s->draining = !spool_is_empty(s->spool);
    pthread_mutex_unlock(&s->lock);
}

static void *drainer_main(void *ctx)
{
    struct kafka_sink *s = ctx;
    struct drain d = {0};
    while (!pause_for(s, LOOK_NS, true)) {
        pthread_mutex_lock(&s->lock);
        bool draining = s->draining;
        pthread_mutex_unlock(&s->lock);
        if (!draining) {
            courier_idle(s->courier);
            continue;
        }
        take_batch(s, &d);
        if (d.batch.n == 0) {
            end_draining(s);
        } else if (!deliver(s, &d)) {
            break;
        }
    }
    spool_batch_done(&d.batch);
    free(d.messages);
    return NULL;
}

int drainer_start(struct kafka_sink *s, struct error *err)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_destroy(&s->changed);
    pthread_cond_init(&s->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    s->draining = !spool_is_empty(s->spool);
    int r = pthread_create(&s->drainer, NULL, drainer_main, s);
    s->has_drainer = r == 0;
    return r == 0 ? 0 : error_set(err, -r, "cannot start a thread for the spool");
}

void drainer_stop(struct kafka_sink *s)
{
    if (s->has_drainer) {
        pthread_mutex_lock(&s->lock);
        s->stopping = true;
        pthread_cond_signal(&s->changed);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->drainer, NULL);
        s->has_drainer = false;
    }
}

void drainer_wake(struct kafka_sink *s)
{
    pthread_mutex_lock(&s->lock);
    s->draining = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}
