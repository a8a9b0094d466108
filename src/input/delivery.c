#include "input/delivery.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/queue.h"
#include "input/wait.h"

enum { REASONS_BYTES_MAX = 64 * 1024, ANSWER_BYTES_MAX = REASONS_BYTES_MAX + 256 };

struct deliveries {
    struct queue *arrived;
    int bell; // an eventfd, rung for each that arrives: the input waits for it and for the stop
    delivery_answer *answer;
    pthread_mutex_t lock;
    struct delivery *oldest, **newest; // read, not yet stored: ascending by `last`
    int64_t stored;
    int64_t until[FATE_REFUSED + 1]; // the last position that met each fate
};

int deliveries_new(size_t most_waiting, delivery_answer *answer, struct deliveries **ret,
                   struct error *err)
{
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell < 0) {
        return error_set(err, -errno, "eventfd: %s", error_name(errno));
    }
    struct deliveries *d = x_zalloc(sizeof(*d));
    d->bell = bell;
    d->arrived = queue_new(most_waiting);
    d->answer = answer;
    d->newest = &d->oldest;
    pthread_mutex_init(&d->lock, NULL);
    *ret = d;
    return 0;
}

static void delivery_free(struct delivery *one)
{
    buf_done(&one->reasons);
    free(one);
}

static void turn_away(struct delivery *one, const char *why)
{
    http_refuse(one->exchange, 503, "%s", why);
    delivery_free(one);
}

void deliveries_free(struct deliveries *d)
{
    if (!d) {
        return;
    }
    static const char why[] = "gtap is stopping: send it again";
    struct delivery *one;
    queue_close(d->arrived);
    while ((one = queue_pop(d->arrived, 0))) {
        turn_away(one, why);
    }
    while ((one = d->oldest)) {
        d->oldest = one->next;
        turn_away(one, why);
    }
    queue_free(d->arrived);
    close(d->bell);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

void deliveries_arrive(struct deliveries *d, struct http_exchange *x, int format)
{
    struct delivery *one = x_zalloc(sizeof(*one));
    struct str key = http_header(x, "Idempotency-Key");
    *one = (struct delivery){.exchange = x, .format = format, .body = http_body(x)};
    memcpy(one->key, key.n ? key.p : "", MIN(key.n, (size_t)DELIVERY_KEY_MAX));
    buf_init(&one->reasons, REASONS_BYTES_MAX);
    http_defer(x);
    if (queue_try_push(d->arrived, one) < 0) {
        turn_away(one, "too much is waiting to be stored: send it again");
        return;
    }
    ssize_t rung = write(d->bell, &(uint64_t){1}, sizeof(uint64_t));
    (void)rung; // a counter that is full rings as well
}

struct delivery *deliveries_next(struct deliveries *d, const struct input_env *env)
{
    struct delivery *one = queue_pop(d->arrived, 0);
    uint64_t rung;
    if (one || input_wait(env, d->bell, INPUT_WAIT_NS) == 0) {
        return one;
    }
    ssize_t got = read(d->bell, &rung, sizeof(rung));
    (void)got; // silent from here on until the next one arrives
    return queue_pop(d->arrived, 0);
}

void delivery_accept(struct delivery *d)
{
    d->accepted++;
}

void delivery_pass_over(struct delivery *d)
{
    d->passed_over++;
}

void delivery_reject(struct delivery *d, int64_t number, const char *reason)
{
    if (d->rejected == 0) {
        snprintf(d->reason, sizeof(d->reason), "%s", reason);
    }
    if (d->rejected++ >= DELIVERY_REASONS_MAX) {
        return;
    }
    buf_printf(&d->reasons, "%s{\"record\":%lld,\"reason\":", d->reasons.n ? "," : "",
               (long long)number);
    buf_json_str(&d->reasons, str_of(reason));
    buf_char(&d->reasons, '}');
}

static void answer(struct deliveries *d, struct delivery *one)
{
    if (one->fate == FATE_REFUSED) {
        http_refuse(one->exchange, 429,
                    "neither Kafka nor the spool has room for this now: send it again later");
    } else {
        d->answer(one);
    }
    delivery_free(one);
}

// Under the lock. Batches of one delivery may fare differently: the sender is told the worst.
static void set_fate(const struct deliveries *d, struct delivery *one)
{
    int64_t first = one->last - one->accepted - one->rejected;
    for (size_t fate = 0; fate < ARRAY_LEN(d->until); fate++) {
        if (d->until[fate] > first) {
            one->fate = (enum input_fate)fate;
        }
    }
}

void deliveries_read(struct deliveries *d, struct delivery *one, int64_t position)
{
    one->last = position;
    pthread_mutex_lock(&d->lock);
    bool waits = position > d->stored && one->accepted + one->rejected > 0;
    if (waits) {
        *d->newest = one;
        d->newest = &one->next;
    } else if (one->accepted + one->rejected > 0) {
        set_fate(d, one);
    }
    pthread_mutex_unlock(&d->lock);
    if (!waits) {
        answer(d, one);
    }
}

// Takes off the list what is stored up to `position`, as a list of its own.
static struct delivery *take_stored(struct deliveries *d, int64_t position)
{
    struct delivery *first = d->oldest, *last = NULL;
    for (; d->oldest && d->oldest->last <= position; d->oldest = d->oldest->next) {
        set_fate(d, d->oldest);
        last = d->oldest;
    }
    if (!d->oldest) {
        d->newest = &d->oldest;
    }
    if (last) {
        last->next = NULL;
    }
    return last ? first : NULL;
}

void deliveries_settle(struct deliveries *d, int64_t position, enum input_fate fate)
{
    pthread_mutex_lock(&d->lock);
    d->until[fate] = position > d->stored ? position : d->until[fate];
    d->stored = MAX(d->stored, position);
    struct delivery *one = take_stored(d, position);
    pthread_mutex_unlock(&d->lock);
    while (one) {
        struct delivery *next = one->next;
        answer(d, one);
        one = next;
    }
}

const char *delivery_place(const struct delivery *d)
{
    static const char *const places[FATE_REFUSED + 1] = {
        [FATE_KAFKA] = "kafka",
        [FATE_SPOOL] = "spool",
    };
    return d->accepted > 0 ? places[d->fate] : NULL;
}

void delivery_answer_json(struct delivery *d)
{
    struct buf b;
    buf_init(&b, ANSWER_BYTES_MAX);
    buf_printf(&b, "{\"accepted\":%lld,\"rejected\":%lld,", (long long)d->accepted,
               (long long)d->rejected);
    if (d->passed_over > 0) {
        buf_printf(&b, "\"passed_over\":%lld,", (long long)d->passed_over);
    }
    if (delivery_place(d)) {
        buf_printf(&b, "\"stored\":\"%s\",", delivery_place(d));
    }
    buf_cstr(&b, "\"errors\":[");
    buf_str(&b, buf_view(&d->reasons));
    buf_cstr(&b, "]}\n");
    bool all_bad = d->accepted + d->passed_over == 0 && d->rejected > 0;
    int status = all_bad ? 400 : 200;
    http_answer(d->exchange, status, "application/json", NULL, buf_view(&b));
    buf_done(&b);
}
