// Snapshots of inputs that are metered in this very process, into a store in memory.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "pipeline/run.h"
#include "top/source.h"

// Raw records are needed until they are final, windows as long as the longest window shown.
#define KEEP_RAW_NS (30 * 60 * NS_PER_S)
#define KEEP_WINDOWS_NS (49 * NS_PER_HOUR)
#define COMMIT_NS (250 * NS_PER_MS)

struct run_source_top {
    struct top_source base;
    struct top_source *store;
    char *uri;
    struct run_config config;
    int stop_fd;
    pthread_t thread;
    pthread_mutex_t lock;
    bool ended;
    int result;       // of the run
    struct error why; // with result
};

static void *run_thread(void *arg)
{
    struct run_source_top *s = arg;
    struct error err = {0};
    int r = run_pipeline(&s->config, NULL, &err);
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    s->result = r;
    s->why = err;
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static int run_fetch(struct top_source *base, struct top_snapshot *ret, struct error *err)
{
    struct run_source_top *s = (struct run_source_top *)base;
    pthread_mutex_lock(&s->lock);
    bool ended = s->ended;
    int r = s->result;
    struct error why = s->why;
    pthread_mutex_unlock(&s->lock);
    if (ended && r < 0) {
        *err = why;
        return r;
    }
    r = s->store->ops->fetch(s->store, ret, err);
    if (r == -ENOENT) { // the run has not opened it yet
        ret->empty = true;
        r = 0;
    }
    return r;
}

static void run_close(struct top_source *base)
{
    struct run_source_top *s = (struct run_source_top *)base;
    ssize_t written = write(s->stop_fd, &(uint64_t){1}, sizeof(uint64_t));
    (void)written; // an eventfd's counter does not run over by one
    pthread_join(s->thread, NULL);
    top_source_close(s->store);
    pthread_mutex_destroy(&s->lock);
    close(s->stop_fd);
    free(s->uri);
    free(s);
}

// Signals are the main thread's, and so those of the threads that this one makes.
static int start(struct run_source_top *s)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&s->thread, NULL, run_thread, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

int top_source_run(const struct run_config *c, const char *name, struct top_source **ret,
                   struct error *err)
{
    static const struct top_source_ops ops = {run_fetch, run_close};
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        return error_set(err, -errno, "eventfd: %s", error_name(errno));
    }
    struct run_source_top *s = x_zalloc(sizeof(*s));
    s->base = (struct top_source){&ops, name, c->env.clock};
    s->uri = x_asprintf("memory:top-%d", (int)getpid());
    s->store = top_source_store(s->uri, name, c->env.clock);
    s->stop_fd = fd;
    s->config = *c;
    s->config.output = s->uri;
    s->config.env.stop_fd = fd;
    s->config.commit_interval_ns = COMMIT_NS;
    s->config.retain_ns[STORE_GPU_METRICS] = s->config.retain_ns[STORE_TOKEN_USAGE] = KEEP_RAW_NS;
    s->config.retain_ns[STORE_COST_WINDOWS] = KEEP_WINDOWS_NS;
    s->config.retain_ns[STORE_DEAD_LETTERS] = KEEP_RAW_NS;
    pthread_mutex_init(&s->lock, NULL);
    int r = start(s);
    if (r < 0) {
        top_source_close(s->store);
        pthread_mutex_destroy(&s->lock);
        close(fd);
        free(s->uri);
        free(s);
        return error_set(err, r, "a thread cannot be started: %s", error_name(r));
    }
    *ret = &s->base;
    return 0;
}
