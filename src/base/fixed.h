// Sums of 256 bits in fixed point, 208 of them behind the point: for integrals whose steps differ
// by more than a double-double's precision.
//
// Sums are exact, whatever their order. What is added may not be negative, and all of it together
// must stay below 2^48. Pure functions: safe on any thread.
#pragma once

#include <string.h>

#include "base/wide.h"

enum { FIXED_WORDS = 4, FIXED_FRACTION = 208 };

struct fixed {
    uint64_t w[FIXED_WORDS]; // the lowest first
};

static inline double pow2(int exponent) // -1022 .. 1023
{
    uint64_t bits = (uint64_t)(exponent + 1023) << 52;
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

// Adds mantissa * 2^(shift - FIXED_FRACTION), cut off behind the last bit.
static inline void fixed_add_shifted(struct fixed *f, u128 mantissa, int shift)
{
    if (shift < 0) {
        mantissa >>= -shift;
        shift = 0;
    }
    uint64_t low = (uint64_t)mantissa, high = (uint64_t)(mantissa >> 64);
    int word = shift / 64, bit = shift % 64;
    uint64_t terms[FIXED_WORDS + 2] = {0};
    terms[word] = low << bit;
    terms[word + 1] = high << bit | (low >> 1 >> (63 - bit));
    terms[word + 2] = high >> 1 >> (63 - bit);
    u128 sum = 0;
    for (int i = 0; i < FIXED_WORDS; i++) {
        sum += (u128)f->w[i] + terms[i];
        f->w[i] = (uint64_t)sum;
        sum >>= 64;
    }
}

// Adds step >= 0, cut off at 2^-FIXED_FRACTION, or 2^-115 of itself.
static inline void fixed_add(struct fixed *f, struct dd step)
{
    if (step.hi < pow2(-FIXED_FRACTION))
        return;
    uint64_t bits;
    memcpy(&bits, &step.hi, sizeof(bits));
    int exponent = (int)(bits >> 52) - 1023 - 52; // of the last bit of hi
    uint64_t hi = (bits & 0xfffffffffffff) | 0x10000000000000;
    int64_t lo = (int64_t)(step.lo * pow2(63 - exponent)); // half the last bit of hi at most
    fixed_add_shifted(f, (u128)((i128)((u128)hi << 63) + lo), exponent - 63 + FIXED_FRACTION);
}

// now - then, where now is no less: its first 106 bits.
static inline struct dd fixed_since(const struct fixed *now, const struct fixed *then)
{
    uint64_t d[FIXED_WORDS + 2] = {0}; // two more below, to take from
    i128 rest = 0;
    for (int i = 0; i < FIXED_WORDS; i++) {
        rest += (i128)now->w[i] - then->w[i];
        d[i + 2] = (uint64_t)rest;
        rest >>= 64;
    }
    int top = FIXED_WORDS + 1;
    while (top > 1 && d[top] == 0)
        top--;
    if (top == 1)
        return (struct dd){0, 0};
    int zeros = __builtin_clzll(d[top]);
    uint64_t first = d[top] << zeros | (d[top - 1] >> 1 >> (63 - zeros));
    uint64_t second = d[top - 1] << zeros | (d[top - 2] >> 1 >> (63 - zeros));
    double hi = (double)(int64_t)(first >> 11);
    double lo = (double)(int64_t)((first & 0x7ff) << 42 | second >> 22);
    int exponent = 64 * (top - 2) - zeros + 11 - FIXED_FRACTION; // of the last bit of hi
    return dd_quick_sum(hi * pow2(exponent), lo * pow2(exponent - 53));
}
