#include "pipeline/patience.h"

#include <poll.h>
#include <string.h>

#include "base/time.h"

#define RETRY_NS NS_PER_S
#define RETRY_MAX_NS (10 * NS_PER_S)
// Of 25 s for all: an attempt begun before may take 5 s longer, and a busy machine some to end it.
#define DRAIN_NS (16 * NS_PER_S)
#define LOOK_NS (100 * NS_PER_MS) // how long a wait goes without looking up

static int64_t or_else(int64_t told, int64_t usual)
{
    return told > 0 ? told : usual;
}

static int64_t now(const struct patience *p)
{
    return clock_mono(p->config->env.clock).ns;
}

void patience_init(struct patience *p, const struct run_config *c)
{
    *p = (struct patience){.config = c};
    p->store = (struct run_store){.ok = true, .since = clock_wall(c->env.clock)};
    pthread_mutex_init(&p->lock, NULL);
    pthread_mutex_init(&p->use, NULL);
    atomic_init(&p->stopped_at, INT64_MAX);
    atomic_init(&p->gave_up, false);
}

void patience_done(struct patience *p)
{
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->use);
}

void attempts_init(struct attempts *a, uint64_t seed)
{
    a->delay = 0;
    random_init(&a->random, seed);
}

// ---- when to stop --------------------------------------------------------------------------

void patience_stop(struct patience *p)
{
    int64_t never = INT64_MAX;
    (void)atomic_compare_exchange_strong(&p->stopped_at, &never, now(p));
}

bool patience_told_to_stop(struct patience *p)
{
    struct pollfd fd = {.fd = p->config->env.stop_fd, .events = POLLIN};
    bool told = fd.fd >= 0 && poll(&fd, 1, 0) > 0;
    if (told) {
        patience_stop(p);
    }
    return told;
}

int64_t patience_left(const struct patience *p)
{
    int64_t stopped = atomic_load(&p->stopped_at);
    if (stopped == INT64_MAX) {
        return INT64_MAX;
    }
    return MAX(stopped + or_else(p->config->drain_ns, DRAIN_NS) - now(p), INT64_C(0));
}

void patience_wait(struct patience *p, int64_t ns)
{
    bool stopping = atomic_load(&p->stopped_at) != INT64_MAX;
    struct pollfd fd = {.fd = stopping ? -1 : p->config->env.stop_fd, .events = POLLIN};
    int64_t ms = (MIN(ns, LOOK_NS) + NS_PER_MS - 1) / NS_PER_MS;
    (void)poll(&fd, 1, (int)ms);
}

// ---- how it goes ---------------------------------------------------------------------------

void patience_note(struct patience *p, const struct error *err)
{
    pthread_mutex_lock(&p->lock);
    struct run_store *s = &p->store;
    if (s->ok != (err == NULL)) {
        s->ok = err == NULL;
        s->since = clock_wall(p->config->env.clock);
    }
    if (err) {
        memcpy(s->error, err->msg, sizeof(s->error));
    }
    pthread_mutex_unlock(&p->lock);
}

void patience_state(struct patience *p, struct run_store *ret)
{
    pthread_mutex_lock(&p->lock);
    *ret = p->store;
    pthread_mutex_unlock(&p->lock);
}

void patience_well(struct patience *p, struct attempts *a)
{
    a->delay = 0;
    patience_note(p, NULL);
}

static int64_t next_delay(const struct patience *p, struct attempts *a)
{
    int64_t first = or_else(p->config->retry_ns, RETRY_NS);
    int64_t most = or_else(p->config->retry_max_ns, RETRY_MAX_NS);
    a->delay = a->delay == 0 ? first : MIN(2 * a->delay, most);
    int64_t jitter = (int64_t)random_below(&a->random, (uint64_t)a->delay / 4 + 1);
    return MIN(a->delay + jitter, most);
}

bool patience_again(struct patience *p, struct attempts *a, const struct error *err,
                    void (*meanwhile)(void *ctx), void *ctx)
{
    if (!err->retryable) {
        return false;
    }
    patience_note(p, err);
    int64_t until = now(p) + next_delay(p, a), wait;
    do {
        (void)patience_told_to_stop(p);
        if (patience_left(p) == 0) {
            atomic_store(&p->gave_up, true);
            return false;
        }
        if (meanwhile) {
            meanwhile(ctx);
        }
        wait = MIN(until - now(p), patience_left(p));
        if (wait > 0) {
            patience_wait(p, wait);
        }
    } while (until > now(p));
    pthread_mutex_lock(&p->lock);
    p->store.retries++;
    pthread_mutex_unlock(&p->lock);
    return true;
}
