#include <math.h>

#include "input/random.h"
#include "input/tenants.h"
#include "test.h"

static void test_the_generator_is_xoshiro(void **state)
{
    (void)state;
    // The first outputs of the authors' reference code for the state {1, 2, 3, 4}.
    struct random r = {{1, 2, 3, 4}};
    static const uint64_t want[] = {11520, 0, 1509978240, 1215971899390074240};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(random_u64(&r) == want[i]);
    }
    // splitmix64 from 0 gives the known first word.
    random_init(&r, 0);
    assert_true(r.s[0] == 0xe220a8397b1dcdaf);
}

static void test_logarithms_and_powers(void **state)
{
    (void)state;
    for (uint64_t v = 1; v < UINT64_MAX / 3; v = v * 2 + v / 7 + 1) {
        double log = (double)fixed_log2(v) / 0x1p32;
        assert_near(log, log2((double)v), 1e-9);
    }
    for (double x = -31.9; x < 30.9; x += 0.0137) {
        double power = (double)fixed_exp2((int64_t)(x * 0x1p32)) / 0x1p32;
        assert_near(power, exp2(x), exp2(x) * 1e-6 + 0x1p-31);
    }
    assert_true(fixed_exp2(0) == UINT64_C(1) << 32);
    assert_i64(fixed_log2(1), 0);
    assert_i64(fixed_log2(UINT64_C(1) << 63), INT64_C(63) << 32);
}

static void test_distributions(void **state)
{
    (void)state;
    enum { N = 200000 };
    struct random r;
    random_init(&r, 42);
    double exponential = 0, log_sum = 0, log_squares = 0, mean = 0;
    int64_t longest = 0;
    for (int i = 0; i < N; i++) {
        int64_t e = random_exponential(&r, 1000000);
        assert_true(e >= 0);
        exponential += (double)e;
        longest = e > longest ? e : longest;
        double v = (double)random_lognormal(&r, 1000000, 900);
        log_sum += log(v / 1e6);
        log_squares += log(v / 1e6) * log(v / 1e6);
        mean += v;
    }
    assert_near(exponential / N, 1e6, 1e4);
    assert_true(longest > 9000000);
    assert_near(log_sum / N, 0, 0.01);
    assert_near(sqrt(log_squares / N), 0.9, 0.01);
    assert_near(mean / N / (double)random_lognormal_mean(1000000, 900), 1, 0.02);
    assert_near((double)random_lognormal_mean(1000000, 900), 1e6 * exp(0.405), 10);
    assert_i64(random_exponential(&r, 0), 0);
    assert_i64(random_lognormal(&r, 0, 900), 0);
    assert_near((double)random_lognormal(&r, 12345, 0), 12345, 1);
}

static void test_below_is_fair(void **state)
{
    (void)state;
    struct random r;
    random_init(&r, 7);
    int count[10] = {0};
    for (int i = 0; i < 100000; i++) {
        uint64_t v = random_below(&r, 10);
        assert_true(v < 10);
        count[v]++;
    }
    for (size_t i = 0; i < ARRAY_LEN(count); i++) {
        assert_near(count[i], 10000, 400);
    }
    assert_true(random_below(&r, 1) == 0);
}

static void test_tenants_by_weight(void **state)
{
    (void)state;
    assert_string_equal(tenant_class_at(0).name, "search");
    assert_string_equal(tenant_class_at(8).name, "tenant-009");
    assert_string_equal(tenant_class_at(TENANTS_MAX - 1).name, "tenant-1000");
    struct random r;
    random_init(&r, 3);
    int count[20] = {0};
    for (int i = 0; i < 100000; i++) {
        uint32_t t = tenant_pick(ARRAY_LEN(count), random_u64(&r));
        assert_true(t < ARRAY_LEN(count));
        count[t]++;
    }
    double total = 0;
    for (size_t i = 0; i < ARRAY_LEN(count); i++) {
        total += tenant_class_at(i).weight;
    }
    for (size_t i = 0; i < ARRAY_LEN(count); i++) {
        assert_near(count[i], 100000 * tenant_class_at(i).weight / total, 500);
    }
    assert_int_equal(tenant_pick(1, UINT64_MAX), 0);
    assert_int_equal(tenant_pick(20, UINT64_MAX), 19);
}

int main(void)
{
    return TEST_RUN(TEST(test_the_generator_is_xoshiro), TEST(test_logarithms_and_powers),
                    TEST(test_distributions), TEST(test_below_is_fair),
                    TEST(test_tenants_by_weight));
}
