#include "input/random.h"

#include <assert.h>
#include <stdbool.h>

#include "base/macros.h"
#include "base/wide.h"

#define LOG2_E UINT64_C(6196328019) // 32.32
#define LN_2 UINT64_C(2977044472)

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

void random_init(struct random *r, uint64_t seed)
{
    for (size_t i = 0; i < ARRAY_LEN(r->s); i++) {
        r->s[i] = splitmix64(&seed);
    }
}

static uint64_t rotate(uint64_t v, int by)
{
    return (v << by) | (v >> (64 - by));
}

uint64_t random_u64(struct random *r)
{
    uint64_t *s = r->s, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

// D. Lemire, "Fast random integer generation in an interval", ACM TOMACS 29, 2019.
uint64_t random_below(struct random *r, uint64_t n)
{
    assert(n > 0);
    u128 m = (u128)random_u64(r) * n;
    if ((uint64_t)m < n) {
        for (uint64_t least = -n % n; (uint64_t)m < least;) {
            m = (u128)random_u64(r) * n;
        }
    }
    return (uint64_t)(m >> 64);
}

// 2^(2^-(i+1)) as 2.62 fixed point: the product over the bits set in a fraction is 2^fraction.
static const uint64_t roots_of_two[] = {
    0x5a827999fcef3242, 0x4c1bf828c6dc54b8, 0x45cae0f1f545eb73, 0x42d561b3e6243d8a,
    0x4166c34c5615d0ec, 0x40b268f9de0183ba, 0x4058f6a7ecccd5b6, 0x402c6be96af2fb58,
    0x4016321b687027a8, 0x400b18178ba33b14, 0x40058bce410147e8, 0x4002c5d7bff71daf,
    0x400162e807ee7e5b, 0x4000b1730df6a524, 0x400058b9497b8152, 0x40002c5c955dd701,
    0x4000162e46d6f26c, 0x40000b1722757b1b, 0x4000058b90fd3e0c, 0x400002c5c86f3f26,
};

uint64_t fixed_exp2(int64_t x)
{
    int64_t whole = x >> 32;
    assert(whole >= -32 && whole < 31);
    uint64_t v = UINT64_C(1) << 62;
    for (size_t i = 0; i < ARRAY_LEN(roots_of_two); i++) {
        if (x >> (31 - i) & 1) {
            v = (uint64_t)((u128)v * roots_of_two[i] >> 62);
        }
    }
    return v >> (30 - whole);
}

int64_t fixed_log2(uint64_t v)
{
    assert(v > 0);
    int whole = 63 - __builtin_clzll(v);
    uint64_t m = v << (63 - whole); // 1.63, in [1, 2)
    int64_t log = whole;
    for (int i = 0; i < 32; i++) {
        u128 square = (u128)m * m >> 63;
        bool two = square >> 64 != 0;
        m = (uint64_t)(two ? square >> 1 : square);
        log = log * 2 + two;
    }
    return log;
}

int64_t random_exponential(struct random *r, int64_t mean)
{
    uint64_t v = (random_u64(r) >> 1) + 1; // u = v / 2^63 in (0, 1]
    uint64_t minus_log2 = (UINT64_C(63) << 32) - (uint64_t)fixed_log2(v);
    uint64_t minus_ln = (uint64_t)((u128)minus_log2 * LN_2 >> 32);
    return (int64_t)((u128)minus_ln * (uint64_t)mean >> 32);
}

static int64_t times_exp(int64_t v, i128 exponent) // v * e^exponent, exponent 32.32
{
    int64_t binary = (int64_t)(exponent * (i128)LOG2_E >> 32);
    return (int64_t)((u128)(uint64_t)v * fixed_exp2(binary) >> 32);
}

int64_t random_lognormal(struct random *r, int64_t median, int32_t sigma_milli)
{
    int64_t z = -(INT64_C(6) << 32);
    for (int i = 0; i < 6; i++) {
        uint64_t two = random_u64(r);
        z += (int64_t)((two >> 32) + (two & UINT32_MAX));
    }
    return times_exp(median, (i128)z * sigma_milli / 1000);
}

int64_t random_lognormal_mean(int64_t median, int32_t sigma_milli)
{
    i128 half_variance = ((i128)sigma_milli * sigma_milli << 32) / 2000000;
    return times_exp(median, half_variance);
}
