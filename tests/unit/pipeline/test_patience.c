// How long to try, by a clock of the test's own that moves on by being looked at.
#include "pipeline/patience.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/time.h"
#include "test.h"

struct fixture {
    struct clock clock;
    int64_t ns, step;
    struct run_config config;
    struct patience patience;
    struct attempts attempts;
    int meanwhile;
};

static struct mono mono_of(const struct clock *c)
{
    struct fixture *f = (struct fixture *)(uintptr_t)c;
    f->ns += f->step;
    return (struct mono){f->ns};
}

static int64_t wall_of(const struct clock *c)
{
    return ((const struct fixture *)c)->ns;
}

static void set_up(struct fixture *f)
{
    *f = (struct fixture){.clock = {.mono = mono_of, .wall = wall_of}, .step = NS_PER_MS};
    f->config.env = (struct input_env){.clock = &f->clock, .stop_fd = eventfd(0, EFD_CLOEXEC)};
    assert_true(f->config.env.stop_fd >= 0);
    patience_init(&f->patience, &f->config);
    attempts_init(&f->attempts, 7);
}

static void tear_down(struct fixture *f)
{
    patience_done(&f->patience);
    close(f->config.env.stop_fd);
}

static void on_meanwhile(void *ctx)
{
    struct fixture *f = ctx;
    f->meanwhile++;
    f->ns += 300 * NS_PER_MS; // nothing here waits for long
}

static bool again(struct fixture *f, int code)
{
    struct error err;
    (void)error_set(&err, code, "no answer");
    return patience_again(&f->patience, &f->attempts, &err, on_meanwhile, f);
}

// The waits of the defaults, scaled down so that no real time passes: twice as long each time, up
// to a quarter more, and no longer than the longest.
static void test_waits_grow(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f);
    f.config.retry_ns = 1000;
    f.config.retry_max_ns = 10000;
    int64_t least[] = {1000, 2000, 4000, 8000, 10000, 10000};
    for (size_t i = 0; i < ARRAY_LEN(least); i++) {
        assert_true(again(&f, -ETIMEDOUT));
        assert_i64(f.attempts.delay, least[i]);
    }
    struct run_store s;
    patience_state(&f.patience, &s);
    assert_false(s.ok);
    assert_i64((int64_t)s.retries, (int64_t)ARRAY_LEN(least));
    assert_string_equal(s.error, "no answer");
    patience_well(&f.patience, &f.attempts);
    patience_state(&f.patience, &s);
    assert_true(s.ok);
    assert_string_equal(s.error, "no answer"); // it is over, and can still be read
    assert_true(again(&f, -ETIMEDOUT));
    assert_i64(f.attempts.delay, 1000);
    tear_down(&f);
}

static void test_a_wait_is_waited(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f);
    int64_t began = f.ns;
    assert_true(again(&f, -ETIMEDOUT));
    assert_true(f.ns - began >= NS_PER_S);
    assert_true(f.ns - began < 2 * NS_PER_S);
    assert_true(f.meanwhile >= 3);
    tear_down(&f);
}

static void test_what_does_not_pass(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f);
    assert_false(again(&f, -ENOSPC));
    assert_int_equal(f.meanwhile, 0);
    assert_false(atomic_load(&f.patience.gave_up));
    tear_down(&f);
}

// Once told to stop it goes on until the deadline, and says that it gave up.
static void test_a_deadline(void **state)
{
    (void)state;
    struct fixture f;
    const uint64_t one = 1;
    set_up(&f);
    f.config.retry_ns = f.config.retry_max_ns = NS_PER_MS;
    assert_false(patience_told_to_stop(&f.patience));
    assert_true(patience_left(&f.patience) == INT64_MAX);
    assert_int_equal(write(f.config.env.stop_fd, &one, sizeof(one)), sizeof(one));
    assert_true(patience_told_to_stop(&f.patience));
    int64_t stopped = f.ns, tries = 0;
    while (again(&f, -ETIMEDOUT)) {
        tries++;
    }
    assert_true(tries > 20);
    assert_true(f.ns - stopped >= 16 * NS_PER_S && f.ns - stopped < 17 * NS_PER_S);
    assert_true(atomic_load(&f.patience.gave_up));
    tear_down(&f);
}

int main(void)
{
    return TEST_RUN(TEST(test_waits_grow), TEST(test_a_wait_is_waited),
                    TEST(test_what_does_not_pass), TEST(test_a_deadline));
}
