#include "test.h"

#include <string.h>

#include "base/macros.h"
#include "base/wide.h"

// The reference: 113 bits of mantissa against the 106 of a double-double.
typedef __float128 f128;

static uint64_t seed = 1;

static uint64_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

// Either sign, exponents within +-60, and a low part below the high one's last bit.
static struct dd random_dd(void)
{
    double mantissa = (double)(next() >> 11) * 0x1p-53 + 0.5;
    double hi = ldexp(next() % 2 ? mantissa : -mantissa, (int)(next() % 121) - 60);
    double lo = ((double)(next() >> 11) * 0x1p-53 - 0.5) * 0x1p-53 * hi;
    return dd_quick_sum(hi, lo);
}

static f128 exact(struct dd a)
{
    return (f128)a.hi + (f128)a.lo;
}

static void check(struct dd got, f128 want, f128 scale, const char *what)
{
    f128 off = exact(got) - want;
    off = off < 0 ? -off : off;
    scale = scale < 0 ? -scale : scale;
    if (off > scale * (f128)0x1p-101) {
        fail_at(__FILE__, __LINE__, "%s is off by %g of %g\n", what, (double)off, (double)scale);
    }
    if (got.hi != 0 && fabs(got.lo) > fabs(got.hi) * 0x1p-52) {
        fail_at(__FILE__, __LINE__, "%s: parts overlap\n", what);
    }
}

static void test_against_float128(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        struct dd a = random_dd(), b = random_dd();
        f128 qa = exact(a), qb = exact(b);
        check(dd_add(a, b), qa + qb, qa + qb, "add");
        check(dd_sub(a, b), qa - qb, qa - qb, "sub");
        check(dd_mul(a, b), qa * qb, qa * qb, "mul");
        check(dd_div(a, b), qa / qb, qa / qb, "div");
        check(dd_ratio(a.hi, b), (f128)a.hi / qb, (f128)a.hi / qb, "ratio");
    }
}

static void test_error_free_transformations(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        double a = random_dd().hi, b = random_dd().hi;
        struct dd p = dd_two_prod(a, b), s = dd_two_sum(a, b);
        assert_true(exact(p) == (f128)a * (f128)b);
        assert_true(s.hi == a + b);
        int gap = ilogb(a) - ilogb(b);
        if (gap > -50 && gap < 50) {
            assert_true(exact(s) == (f128)a + (f128)b);
        }
    }
}

static void test_cancellation(void **state)
{
    (void)state;
    struct dd third = dd_div(dd_of_double(1), dd_of_double(3));
    struct dd rest = dd_sub(dd_of_double(1), dd_mul(third, dd_of_double(3)));
    assert_near(dd_value(rest), 0, 0x1p-103);
    struct dd big = dd_add(dd_of_double(0x1p60), dd_of_double(0x1p-40));
    assert_near(dd_value(dd_sub(big, dd_of_double(0x1p60))), 0x1p-40, 0);
    assert_near(dd_value(dd_sub(third, third)), 0, 0);
}

static void test_from_integers(void **state)
{
    (void)state;
    static const int64_t rows[] = {
        0,
        1,
        -1,
        INT64_C(1) << 53,
        (INT64_C(1) << 53) + 1,
        INT64_MAX,
        INT64_MIN,
        INT64_MIN + 1,
        -9007199254740993,
        999999999999999999,
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(exact(dd_of_i64(rows[i])) == (f128)rows[i]);
    }
    for (int i = 0; i < 10000; i++) {
        u128 v = ((u128)next() << 64 | next()) >> (22 + next() % 100);
        assert_true(exact(dd_of_u128(v)) == (f128)v);
    }
    u128 top = ~(u128)0;
    f128 off = exact(dd_of_u128(top)) - (f128)top;
    assert_true(off <= (f128)0x1p22 && off >= -(f128)0x1p22);
}

static void test_mul_div_floor(void **state)
{
    (void)state;
    static const struct {
        int64_t a, b, c, want;
    } rows[] = {
        {0, 5, 3, 0},
        {7, 1, 2, 3},
        {-7, 1, 2, -4},
        {7, -1, 2, -4},
        {-7, -1, 2, 3},
        {-8, 1, 2, -4},
        {-1, 1, INT64_MAX, -1},
        {1, 1, INT64_MAX, 0},
        {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX},
        {INT64_MIN, INT64_MAX, INT64_MAX, INT64_MIN},
        {2480000000, 1795442400000000000, 3600000000000, INT64_C(1236860320000000)},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_i64(mul_div_floor(rows[i].a, rows[i].b, rows[i].c), rows[i].want);
    }
}

// What a span bills does not depend on how it is sliced (cost-model.md, "Money is integer").
static void test_floors_telescope(void **state)
{
    (void)state;
    const int64_t price = 2489999999, hour = 3600000000000, t0 = 1795442400000000000;
    int64_t sum = 0, at = t0;
    for (int i = 0; i < 10000; i++) {
        int64_t to = at + (int64_t)(next() % 1000000000);
        sum += mul_div_floor(price, to, hour) - mul_div_floor(price, at, hour);
        at = to;
    }
    assert_i64(sum, mul_div_floor(price, at, hour) - mul_div_floor(price, t0, hour));
}

int main(void)
{
    return TEST_RUN(TEST(test_against_float128), TEST(test_error_free_transformations),
                    TEST(test_cancellation), TEST(test_from_integers), TEST(test_mul_div_floor),
                    TEST(test_floors_telescope));
}
