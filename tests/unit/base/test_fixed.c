#include "test.h"

#include "base/fixed.h"

// The reference: 113 bits of mantissa.
typedef __float128 f128;

static uint64_t seed = 1;

static uint64_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

// Positive, 2^-100 to 2^20, with a low part of either sign.
static struct dd random_step(void)
{
    double hi = ldexp((double)(next() >> 11 | 1), (int)(next() % 120) - 153);
    double lo = ((double)(next() >> 11) * 0x1p-53 - 0.5) * 0x1p-53 * hi;
    return dd_quick_sum(hi, lo);
}

static f128 exact(struct dd a)
{
    return (f128)a.hi + (f128)a.lo;
}

// Steps of all sizes, in parts of 2^-208 so that the sum is known: 4 words, the lowest first.
static void test_fixed_sums_exactly(void **state)
{
    (void)state;
    struct fixed sum = {{0}};
    for (int shift = 0; shift < 4 * 64 - 53; shift++) {
        double step = ldexp(0x1p53 - 1, shift - FIXED_FRACTION);
        struct fixed before = sum;
        fixed_add(&sum, dd_of_double(step));
        fixed_add(&sum, dd_of_double(ldexp(1, shift - FIXED_FRACTION)));
        struct dd both = fixed_since(&sum, &before);
        assert_true(both.hi == ldexp(1, 53 + shift - FIXED_FRACTION) && both.lo == 0);
    }
    // The sum of 2^(53+i) for i in [0, 203) is 2^256 - 2^53.
    const struct fixed all = {{~UINT64_C(0) << 53, ~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0)}};
    assert_memory_equal(&sum, &all, sizeof(all));
}

// An integral that has grown large still tells its last, small steps apart.
static void test_fixed_keeps_small_steps(void **state)
{
    (void)state;
    struct fixed sum = {{0}};
    for (int i = 0; i < 1000; i++) {
        fixed_add(&sum, dd_of_double(ldexp(1, (int)(next() % 36))));
        struct fixed before = sum;
        f128 want = 0;
        for (int j = 0; j < 10; j++) {
            struct dd step = random_step();
            want += exact(step);
            fixed_add(&sum, step);
        }
        f128 off = exact(fixed_since(&sum, &before)) - want;
        assert_true(off <= want * (f128)0x1p-103 && off >= -want * (f128)0x1p-103);
    }
}

static void test_fixed_leaves_nothing_alone(void **state)
{
    (void)state;
    struct fixed sum = {{1, 2, 3, 4}};
    const struct fixed before = sum;
    fixed_add(&sum, dd_of_double(0));
    fixed_add(&sum, dd_of_double(0x1p-300));
    assert_memory_equal(&sum, &before, sizeof(sum));
    assert_near(dd_value(fixed_since(&sum, &before)), 0, 0);
}

int main(void)
{
    return TEST_RUN(TEST(test_fixed_sums_exactly), TEST(test_fixed_keeps_small_steps),
                    TEST(test_fixed_leaves_nothing_alone));
}
