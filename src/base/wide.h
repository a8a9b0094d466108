// 128-bit integers and double-double reals, for the arithmetic of money.
//
// A double-double is the unevaluated sum hi + lo of two doubles, |lo| <= ulp(hi)/2: 106 bits of
// mantissa. The operations are Dekker's and Knuth's (T. J. Dekker, "A floating-point technique for
// extending the available precision", Numer. Math. 18, 1971; D. E. Knuth, TAOCP vol. 2, 4.2.2).
// They are exact only under strict IEEE 754 double arithmetic: the build sets -ffp-contract=off,
// and wide.h refuses -ffast-math. Same input, same digits, on every machine. The relative error of
// a sum is below 2^-104, of a product below 2^-103 (M. Joldes, J.-M. Muller, V. Popescu, "Tight and
// rigorous error bounds for basic building blocks of double-word arithmetic", ACM TOMS 44, 2017:
// algorithms 6 and 10). Infinities and NaN do not occur: whoever calls keeps its numbers in range.
#pragma once

#include <math.h>
#include <stdint.h>

#ifdef __FAST_MATH__
#error "gtap's arithmetic needs IEEE 754: do not build it with -ffast-math"
#endif

typedef __int128 i128;
typedef unsigned __int128 u128;

struct dd {
    double hi, lo;
};

static inline struct dd dd_quick_sum(double a, double b) // |a| >= |b|
{
    double s = a + b;
    return (struct dd){s, b - (s - a)};
}

// a + b, exactly, whichever is larger.
static inline struct dd dd_two_sum(double a, double b)
{
    double s = a + b;
    double v = s - a;
    return (struct dd){s, (a - (s - v)) + (b - v)};
}

// a * b, exactly, where nothing over- or underflows (|a| and |b| below 2^996).
static inline struct dd dd_two_prod(double a, double b)
{
    double p = a * b;
    double ta = 134217729.0 * a, tb = 134217729.0 * b; // 2^27 + 1: Veltkamp's split
    double ah = ta - (ta - a), bh = tb - (tb - b);
    double al = a - ah, bl = b - bh;
    return (struct dd){p, ((ah * bh - p) + ah * bl + al * bh) + al * bl};
}

static inline struct dd dd_add(struct dd a, struct dd b)
{
    struct dd s = dd_two_sum(a.hi, b.hi), t = dd_two_sum(a.lo, b.lo);
    s = dd_quick_sum(s.hi, s.lo + t.hi);
    return dd_quick_sum(s.hi, s.lo + t.lo);
}

static inline struct dd dd_sub(struct dd a, struct dd b)
{
    return dd_add(a, (struct dd){-b.hi, -b.lo});
}

static inline struct dd dd_mul(struct dd a, struct dd b)
{
    struct dd p = dd_two_prod(a.hi, b.hi);
    return dd_quick_sum(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}

static inline struct dd dd_div(struct dd a, struct dd b)
{
    double q1 = a.hi / b.hi;
    struct dd r = dd_sub(a, dd_mul(b, (struct dd){q1, 0}));
    double q2 = r.hi / b.hi;
    r = dd_sub(r, dd_mul(b, (struct dd){q2, 0}));
    double q3 = r.hi / b.hi;
    struct dd q = dd_quick_sum(q1, q2);
    return dd_add(q, (struct dd){q3, 0});
}

// a / b, as exact as dd_div and faster: a has but one part.
static inline struct dd dd_ratio(double a, struct dd b)
{
    double q1 = a / b.hi;
    struct dd p = dd_two_prod(q1, b.hi);
    double rest = (a - p.hi) - p.lo - q1 * b.lo; // a - p.hi is exact
    return dd_quick_sum(q1, rest / b.hi);
}

static inline struct dd dd_of_double(double v)
{
    return (struct dd){v, 0};
}

// Exact for |v| < 2^106; beyond that rounded, the same way everywhere.
static inline struct dd dd_of_u128(u128 v)
{
    double top = (double)(int64_t)(v >> 96) * 0x1p96;
    double high = (double)(int64_t)((v >> 48) & 0xffffffffffff) * 0x1p48;
    double low = (double)(int64_t)(v & 0xffffffffffff);
    return dd_add((struct dd){top, 0}, dd_two_sum(high, low));
}

static inline struct dd dd_of_i64(int64_t v)
{
    return v < 0 ? dd_sub((struct dd){0, 0}, dd_of_u128((u128)(-(i128)v)))
                 : dd_of_u128((u128)(uint64_t)v);
}

static inline double dd_value(struct dd a)
{
    return a.hi + a.lo;
}

// floor(a * b / c) for c > 0, a and b of any sign; the product must fit 127 bits, the result an
// int64.
static inline int64_t mul_div_floor(int64_t a, int64_t b, int64_t c)
{
    i128 p = (i128)a * b;
    i128 q = p / c;
    return (int64_t)(p % c < 0 ? q - 1 : q);
}
