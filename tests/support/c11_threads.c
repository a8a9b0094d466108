// For builds with TSan, which knows pthreads but not C11's threads (gcc 12, clang 14): a program
// whose libraries use those (librdkafka) crashes in it. These take the place of the C library's,
// whose types they share, by calling what TSan knows.
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "mtx_t holds a mutex");
_Static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "cnd_t holds a condition");

static int result_of(int r)
{
    return r == 0           ? thrd_success
           : r == ETIMEDOUT ? thrd_timedout
           : r == EBUSY     ? thrd_busy
                            : thrd_error;
}

struct start {
    thrd_start_t main;
    void *arg;
};

static void *start_main(void *ctx)
{
    struct start start = *(struct start *)ctx;
    free(ctx);
    return (void *)(intptr_t)start.main(start.arg);
}

int thrd_create(thrd_t *t, thrd_start_t f, void *arg)
{
    struct start *start = malloc(sizeof(*start));
    if (!start) {
        return thrd_nomem;
    }
    *start = (struct start){f, arg};
    return result_of(pthread_create(t, NULL, start_main, start));
}

int thrd_join(thrd_t t, int *res)
{
    void *result;
    int r = pthread_join(t, &result);
    if (res) {
        *res = (int)(intptr_t)result;
    }
    return result_of(r);
}

int thrd_detach(thrd_t t)
{
    return result_of(pthread_detach(t));
}

int mtx_init(mtx_t *m, int type)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    if (type & mtx_recursive) {
        pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    }
    int r = pthread_mutex_init((pthread_mutex_t *)m, &attr);
    pthread_mutexattr_destroy(&attr);
    return result_of(r);
}

int mtx_lock(mtx_t *m)
{
    return result_of(pthread_mutex_lock((pthread_mutex_t *)m));
}

int mtx_trylock(mtx_t *m)
{
    return result_of(pthread_mutex_trylock((pthread_mutex_t *)m));
}

int mtx_unlock(mtx_t *m)
{
    return result_of(pthread_mutex_unlock((pthread_mutex_t *)m));
}

void mtx_destroy(mtx_t *m)
{
    pthread_mutex_destroy((pthread_mutex_t *)m);
}

int cnd_init(cnd_t *c)
{
    return result_of(pthread_cond_init((pthread_cond_t *)c, NULL));
}

int cnd_signal(cnd_t *c)
{
    return result_of(pthread_cond_signal((pthread_cond_t *)c));
}

int cnd_broadcast(cnd_t *c)
{
    return result_of(pthread_cond_broadcast((pthread_cond_t *)c));
}

int cnd_wait(cnd_t *c, mtx_t *m)
{
    return result_of(pthread_cond_wait((pthread_cond_t *)c, (pthread_mutex_t *)m));
}

int cnd_timedwait(cnd_t *c, mtx_t *m, const struct timespec *until)
{
    return result_of(pthread_cond_timedwait((pthread_cond_t *)c, (pthread_mutex_t *)m, until));
}

void cnd_destroy(cnd_t *c)
{
    pthread_cond_destroy((pthread_cond_t *)c);
}

// librdkafka counts references by atomics that TSan, which did not compile it, does not see.
const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
    return "race:librdkafka.so\n";
}
