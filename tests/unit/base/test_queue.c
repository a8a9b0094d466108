#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/macros.h"
#include "base/queue.h"
#include "base/time.h"

enum { PRODUCERS = 4, CONSUMERS = 3, PER_PRODUCER = 5000 };

static char cells[PRODUCERS * PER_PRODUCER];

static void test_first_in_first_out(void **state)
{
    (void)state;
    struct queue *q = queue_new(3);
    for (int round = 0; round < 5; round++) {
        assert_i64(queue_push(q, &cells[0]), 0);
        assert_i64(queue_try_push(q, &cells[1]), 0);
        assert_i64((int64_t)queue_length(q), 2);
        assert_ptr_equal(queue_pop(q, 0), &cells[0]);
        assert_ptr_equal(queue_pop(q, -1), &cells[1]);
        assert_null(queue_pop(q, 0));
    }
    queue_free(q);
    queue_free(NULL);
}

static void test_full(void **state)
{
    (void)state;
    struct queue *q = queue_new(1);
    assert_i64(queue_try_push(q, &cells[0]), 0);
    assert_i64(queue_try_push(q, &cells[1]), -EAGAIN);
    assert_ptr_equal(queue_pop(q, 0), &cells[0]);
    assert_i64(queue_try_push(q, &cells[1]), 0);
    assert_ptr_equal(queue_pop(q, 0), &cells[1]);
    queue_free(q);
}

static void test_close_drains(void **state)
{
    (void)state;
    struct queue *q = queue_new(4);
    assert_i64(queue_push(q, &cells[0]), 0);
    assert_i64(queue_push(q, &cells[1]), 0);
    assert_false(queue_closed(q));
    queue_close(q);
    queue_close(q);
    assert_true(queue_closed(q));
    assert_i64(queue_push(q, &cells[2]), -EPIPE);
    assert_i64(queue_try_push(q, &cells[2]), -EPIPE);
    assert_ptr_equal(queue_pop(q, -1), &cells[0]);
    assert_ptr_equal(queue_pop(q, -1), &cells[1]);
    assert_null(queue_pop(q, -1));
    queue_free(q);
}

static void test_full_and_closed_is_closed(void **state)
{
    (void)state;
    struct queue *q = queue_new(1);
    assert_i64(queue_push(q, &cells[0]), 0);
    queue_close(q);
    assert_i64(queue_push(q, &cells[1]), -EPIPE);
    assert_i64(queue_try_push(q, &cells[1]), -EPIPE);
    assert_non_null(queue_pop(q, 0));
    queue_free(q);
}

static void test_timeouts(void **state)
{
    (void)state;
    struct queue *q = queue_new(1);
    int64_t before = clock_mono(&clock_system).ns;
    assert_null(queue_pop(q, 2 * NS_PER_MS));
    assert_true(clock_mono(&clock_system).ns - before >= 2 * NS_PER_MS);
    assert_i64(queue_push(q, &cells[0]), 0);
    assert_ptr_equal(queue_pop(q, INT64_MAX), &cells[0]);
    queue_free(q);
}

struct waiter {
    struct queue *q;
    atomic_bool waiting;
    int pushed;
    void *popped;
};

static void *blocked_push(void *arg)
{
    struct waiter *w = arg;
    w->waiting = true;
    w->pushed = queue_push(w->q, &cells[1]);
    return NULL;
}

static void *blocked_pop(void *arg)
{
    struct waiter *w = arg;
    w->waiting = true;
    w->popped = queue_pop(w->q, -1);
    return NULL;
}

static pthread_t start(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    assert_i64(pthread_create(&thread, NULL, body, arg), 0);
    return thread;
}

static void wait_until_started(struct waiter *w)
{
    while (!w->waiting) {
        sched_yield();
    }
}

static void test_pop_wakes_a_push(void **state)
{
    (void)state;
    struct waiter w = {.q = queue_new(1), .pushed = 77};
    assert_i64(queue_push(w.q, &cells[0]), 0);
    pthread_t thread = start(blocked_push, &w);
    wait_until_started(&w);
    assert_ptr_equal(queue_pop(w.q, -1), &cells[0]);
    assert_ptr_equal(queue_pop(w.q, -1), &cells[1]);
    pthread_join(thread, NULL);
    assert_i64(w.pushed, 0);
    queue_free(w.q);
}

static void test_push_wakes_a_pop(void **state)
{
    (void)state;
    struct waiter w = {.q = queue_new(1)};
    pthread_t thread = start(blocked_pop, &w);
    wait_until_started(&w);
    assert_i64(queue_push(w.q, &cells[5]), 0);
    pthread_join(thread, NULL);
    assert_ptr_equal(w.popped, &cells[5]);
    queue_free(w.q);
}

static void *rested_pop(void *arg)
{
    struct waiter *w = arg;
    w->waiting = true;
    w->popped = queue_pop_rested(w->q, 3600 * NS_PER_S, 7200 * NS_PER_S);
    return NULL;
}

// What is pushed calmly waits for the end of the rest, or for what is not.
static void test_calm_push_wakes_nobody(void **state)
{
    (void)state;
    struct waiter w = {.q = queue_new(4)};
    pthread_t thread = start(rested_pop, &w);
    wait_until_started(&w);
    while (!queue_resting(w.q)) {
        sched_yield();
    }
    assert_i64(queue_push_calmly(w.q, &cells[1]), 0);
    assert_true(queue_resting(w.q));
    assert_i64((int64_t)queue_length(w.q), 1);
    assert_i64(queue_push(w.q, &cells[2]), 0);
    pthread_join(thread, NULL);
    assert_ptr_equal(w.popped, &cells[1]);
    assert_ptr_equal(queue_pop_rested(w.q, NS_PER_S, NS_PER_S), &cells[2]); // it is there already
    assert_null(queue_pop_rested(w.q, NS_PER_MS, 2 * NS_PER_MS));
    assert_null(queue_pop_rested(w.q, 0, 0));
    queue_free(w.q);
}

static void test_rest_ends_by_itself(void **state)
{
    (void)state;
    struct queue *q = queue_new(2);
    int64_t before = clock_mono(&clock_system).ns;
    assert_null(queue_pop_rested(q, 2 * NS_PER_MS, 2 * NS_PER_MS));
    assert_true(clock_mono(&clock_system).ns - before >= 2 * NS_PER_MS);
    assert_i64(queue_push_calmly(q, &cells[3]), 0); // nobody rests: like any other
    assert_ptr_equal(queue_pop(q, -1), &cells[3]);
    queue_close(q);
    assert_i64(queue_push_calmly(q, &cells[3]), -EPIPE);
    assert_null(queue_pop_rested(q, 3600 * NS_PER_S, 3600 * NS_PER_S));
    queue_free(q);
}

static void test_close_wakes_everybody(void **state)
{
    (void)state;
    struct waiter pop = {.q = queue_new(1), .popped = &cells[9]};
    pthread_t popper = start(blocked_pop, &pop);
    wait_until_started(&pop);
    queue_close(pop.q);
    pthread_join(popper, NULL);
    assert_null(pop.popped);
    queue_free(pop.q);

    struct waiter push = {.q = queue_new(1), .pushed = 77};
    assert_i64(queue_push(push.q, &cells[0]), 0);
    pthread_t pusher = start(blocked_push, &push);
    wait_until_started(&push);
    queue_close(push.q);
    pthread_join(pusher, NULL);
    assert_i64(push.pushed, -EPIPE);
    assert_ptr_equal(queue_pop(push.q, 0), &cells[0]);
    queue_free(push.q);
}

struct crowd {
    struct queue *q;
    int number; // of this producer
};

static void *produce(void *arg)
{
    const struct crowd *me = arg;
    for (int i = 0; i < PER_PRODUCER; i++) {
        if (queue_push(me->q, &cells[me->number * PER_PRODUCER + i]) < 0) {
            return arg;
        }
    }
    return NULL;
}

// Marks what it gets; within one producer, messages come in order.
static void *consume(void *arg)
{
    const struct crowd *me = arg;
    long last[PRODUCERS] = {-1, -1, -1, -1};
    for (char *cell; (cell = queue_pop(me->q, -1)) != NULL;) {
        long at = cell - cells, producer = at / PER_PRODUCER;
        if (*cell != 0 || at <= last[producer]) {
            return arg;
        }
        *cell = 1;
        last[producer] = at;
    }
    return NULL;
}

static void test_crowd(void **state)
{
    (void)state;
    struct queue *q = queue_new(7);
    struct crowd crowd[PRODUCERS];
    pthread_t producers[PRODUCERS], consumers[CONSUMERS];
    void *failed;
    memset(cells, 0, sizeof(cells));
    for (int i = 0; i < PRODUCERS; i++) {
        crowd[i] = (struct crowd){q, i};
        producers[i] = start(produce, &crowd[i]);
    }
    for (int i = 0; i < CONSUMERS; i++) {
        consumers[i] = start(consume, &crowd[0]);
    }
    for (int i = 0; i < PRODUCERS; i++) {
        pthread_join(producers[i], &failed);
        assert_null(failed);
    }
    queue_close(q);
    for (int i = 0; i < CONSUMERS; i++) {
        pthread_join(consumers[i], &failed);
        assert_null(failed);
    }
    for (size_t i = 0; i < sizeof(cells); i++) {
        assert_i64(cells[i], 1);
    }
    queue_free(q);
}

int main(void)
{
    return TEST_RUN(TEST(test_first_in_first_out), TEST(test_full), TEST(test_close_drains),
                    TEST(test_full_and_closed_is_closed), TEST(test_timeouts),
                    TEST(test_pop_wakes_a_push), TEST(test_push_wakes_a_pop),
                    TEST(test_calm_push_wakes_nobody), TEST(test_rest_ends_by_itself),
                    TEST(test_close_wakes_everybody), TEST(test_crowd));
}
