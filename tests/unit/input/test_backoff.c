#include "input/backoff.h"

#include "test.h"

static void test_delays(void **state)
{
    (void)state;
    static const int64_t delays[] = {1, 2, 4, 8, 16, 24, 24}; // s
    struct backoff b;
    struct mono now = {0};
    backoff_init(&b, 7);
    assert_i64(backoff_left(&b, now), 0); // the first attempt is made at once
    for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
        int64_t least = delays[i] * NS_PER_S;
        backoff_fail(&b, now);
        int64_t left = backoff_left(&b, now);
        if (left < least || left > least + least / 4 || left > 30 * NS_PER_S) {
            fail_msg("failure %zu: %lld ns", i + 1, (long long)left);
        }
        now.ns += left - 1;
        assert_i64(backoff_left(&b, now), 1);
        now.ns += 1;
        assert_i64(backoff_left(&b, now), 0);
    }
    backoff_succeed(&b);
    assert_i64(backoff_left(&b, now), 0);
    backoff_fail(&b, now);
    assert_true(backoff_left(&b, now) <= 2 * NS_PER_S);
}

static void test_two_do_not_march_in_step(void **state)
{
    (void)state;
    struct backoff a, b;
    struct mono now = {0};
    backoff_init(&a, 1);
    backoff_init(&b, 2);
    backoff_fail(&a, now);
    backoff_fail(&b, now);
    assert_true(a.then.ns != b.then.ns);
}

int main(void)
{
    return TEST_RUN(TEST(test_delays), TEST(test_two_do_not_march_in_step));
}
