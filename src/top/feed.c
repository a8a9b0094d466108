#include "top/feed.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"

struct feed {
    struct top_source *source;
    int64_t every_ns;
    int fd; // eventfd
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    // Under the lock:
    struct top_ask ask;
    bool asked, stopping;
    struct top_snapshot *snapshot; // not taken yet; or NULL
    struct error error;
};

static void publish(struct feed *f, int r, struct top_snapshot *snapshot, const struct error *err)
{
    if (r == 0) {
        top_snapshot_free(f->snapshot);
        f->snapshot = snapshot;
        f->error = (struct error){0};
    } else {
        f->error = *err;
    }
    ssize_t written = write(f->fd, &(uint64_t){1}, sizeof(uint64_t));
    (void)written; // an eventfd's counter does not run over by one
}

// With the lock held: until the next time is due, or something is asked.
static void rest(struct feed *f)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + f->every_ns;
    until.tv_sec += ns / NS_PER_S;
    until.tv_nsec = ns % NS_PER_S;
    int r = 0;
    while (!f->asked && !f->stopping && r == 0) {
        r = pthread_cond_timedwait(&f->wake, &f->lock, &until);
    }
}

static void *feed_thread(void *arg)
{
    struct feed *f = arg;
    pthread_mutex_lock(&f->lock);
    while (!f->stopping) {
        struct top_ask ask = f->ask;
        struct top_snapshot *snapshot = NULL;
        struct error err = {0};
        f->asked = false;
        pthread_mutex_unlock(&f->lock);
        int r = top_source_fetch(f->source, &ask, &snapshot, &err);
        pthread_mutex_lock(&f->lock);
        publish(f, r, snapshot, &err);
        rest(f);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

static void feed_free(struct feed *f)
{
    top_snapshot_free(f->snapshot);
    top_source_close(f->source);
    pthread_cond_destroy(&f->wake);
    pthread_mutex_destroy(&f->lock);
    close(f->fd);
    free(f);
}

// Signals are the main thread's.
static int start(struct feed *f)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&f->thread, NULL, feed_thread, f);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

int feed_start(struct top_source *s, const struct top_ask *ask, int64_t every_ns, struct feed **ret,
               struct error *err)
{
    pthread_condattr_t monotonic;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        top_source_close(s);
        return error_set(err, -errno, "eventfd: %s", error_name(errno));
    }
    struct feed *f = x_zalloc(sizeof(*f));
    *f = (struct feed){.source = s, .every_ns = every_ns, .fd = fd, .ask = *ask};
    pthread_mutex_init(&f->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&f->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int r = start(f);
    if (r < 0) {
        feed_free(f);
        return error_set(err, r, "a thread cannot be started: %s", error_name(r));
    }
    *ret = f;
    return 0;
}

void feed_stop(struct feed *f)
{
    if (f == NULL) {
        return;
    }
    pthread_mutex_lock(&f->lock);
    f->stopping = true;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    feed_free(f);
}

int feed_fd(const struct feed *f)
{
    return f->fd;
}

void feed_ask(struct feed *f, const struct top_ask *ask)
{
    pthread_mutex_lock(&f->lock);
    f->ask = *ask;
    f->asked = true;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
}

struct top_snapshot *feed_take(struct feed *f, struct error *ret_error)
{
    uint64_t count;
    ssize_t got = read(f->fd, &count, sizeof(count));
    (void)got; // nothing there: nothing came
    pthread_mutex_lock(&f->lock);
    struct top_snapshot *snapshot = TAKE_PTR(f->snapshot);
    *ret_error = f->error;
    pthread_mutex_unlock(&f->lock);
    return snapshot;
}
