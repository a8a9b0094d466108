// The thread that asks a source again and again, between whoever looks and a source of our own.
#include <errno.h>
#include <poll.h>
#include <pthread.h>

#include "base/alloc.h"
#include "test.h"
#include "top/feed.h"

enum { DEADLINE_MS = 30000 };

// Numbers its snapshots, by the place where their range begins.
struct source {
    struct top_source base;
    pthread_mutex_t lock;
    int64_t fetched;
    bool broken, closed;
};

static int fetch(struct top_source *base, struct top_snapshot *ret, struct error *err)
{
    struct source *s = (struct source *)base;
    pthread_mutex_lock(&s->lock);
    ret->from = ++s->fetched;
    bool broken = s->broken;
    pthread_mutex_unlock(&s->lock);
    return broken ? error_set(err, -EIO, "fetch %lld fails", (long long)ret->from) : 0;
}

static void close_source(struct top_source *base)
{
    struct source *s = (struct source *)base;
    assert_false(s->closed);
    s->closed = true;
}

static void set_broken(struct source *s, bool broken)
{
    pthread_mutex_lock(&s->lock);
    s->broken = broken;
    pthread_mutex_unlock(&s->lock);
}

static const struct top_ask first_ask = {TOP_5M, TOP_BY_MODEL, &zone_utc, INT64_MIN};

static struct feed *started(struct source *s, int64_t every_ns)
{
    static const struct top_source_ops ops = {fetch, close_source};
    struct feed *feed;
    struct error err = {0};
    *s = (struct source){.base = {&ops, "ours", &clock_system}, .lock = PTHREAD_MUTEX_INITIALIZER};
    assert_ok(feed_start(&s->base, &first_ask, every_ns, &feed, &err), &err);
    return feed;
}

// The next snapshot, or NULL and why there is none.
static struct top_snapshot *next(struct feed *feed, struct error *ret_error)
{
    struct pollfd p = {.fd = feed_fd(feed), .events = POLLIN};
    assert_i64(poll(&p, 1, DEADLINE_MS), 1);
    return feed_take(feed, ret_error);
}

static void test_again_and_again(void **state)
{
    (void)state;
    struct source s;
    struct feed *feed = started(&s, NS_PER_MS);
    struct error err;
    for (int64_t last = 0, i = 0; i < 5; i++) {
        struct top_snapshot *snapshot = next(feed, &err);
        assert_non_null(snapshot);
        assert_i64(err.code, 0);
        assert_true(snapshot->from > last);
        last = snapshot->from;
        top_snapshot_free(snapshot);
    }
    feed_stop(feed);
    assert_true(s.closed);
}

// What nobody took is let go, and the newest stays.
static void test_the_newest_counts(void **state)
{
    (void)state;
    struct source s;
    struct feed *feed = started(&s, NS_PER_MS);
    struct error err;
    struct pollfd none = {.fd = -1};
    for (int64_t fetched = 0, waited = 0; fetched < 4 && waited < DEADLINE_MS; waited++) {
        (void)poll(&none, 1, 1);
        pthread_mutex_lock(&s.lock);
        fetched = s.fetched;
        pthread_mutex_unlock(&s.lock);
    }
    struct top_snapshot *snapshot = next(feed, &err);
    assert_true(snapshot->from >= 3);
    top_snapshot_free(snapshot);
    feed_stop(feed);
}

static void test_asked_for_something_else(void **state)
{
    (void)state;
    struct source s;
    struct feed *feed = started(&s, 24 * NS_PER_HOUR);
    struct top_ask other = {TOP_1H, TOP_BY_TENANT, &zone_utc, INT64_MIN};
    struct error err;
    struct top_snapshot *snapshot = next(feed, &err);
    assert_i64(snapshot->ask.group, TOP_BY_MODEL);
    top_snapshot_free(snapshot);
    feed_ask(feed, &other);
    snapshot = next(feed, &err);
    assert_i64(snapshot->ask.group, TOP_BY_TENANT);
    assert_i64(snapshot->ask.window, TOP_1H);
    top_snapshot_free(snapshot);
    feed_stop(feed);
}

static void test_failing_and_back(void **state)
{
    (void)state;
    struct source s;
    struct feed *feed = started(&s, NS_PER_MS);
    struct error err;
    set_broken(&s, true);
    do {
        top_snapshot_free(next(feed, &err));
    } while (err.code == 0);
    assert_i64(err.code, -EIO);
    assert_non_null(strstr(err.msg, " fails"));
    set_broken(&s, false);
    struct top_snapshot *snapshot = NULL;
    while (snapshot == NULL) {
        snapshot = next(feed, &err);
    }
    assert_i64(err.code, 0);
    top_snapshot_free(snapshot);
    feed_stop(feed);
}

// Whatever it is doing just then.
static void test_stopped_at_any_time(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        struct source s;
        struct feed *feed = started(&s, i % 3 == 0 ? NS_PER_HOUR : 1000);
        if (i % 2 == 0) {
            feed_ask(feed, &first_ask);
        }
        feed_stop(feed);
        assert_true(s.closed);
    }
    feed_stop(NULL);
}

int main(void)
{
    return TEST_RUN(TEST(test_again_and_again), TEST(test_the_newest_counts),
                    TEST(test_asked_for_something_else), TEST(test_failing_and_back),
                    TEST(test_stopped_at_any_time));
}
