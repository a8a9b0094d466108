// Random numbers that are the same on every machine: xoshiro256** (Blackman and Vigna, "Scrambled
// linear pseudorandom number generators", ACM TOMS 47, 2021), seeded by splitmix64, and
// distributions in integer arithmetic alone, since log() and exp() differ between C libraries.
#pragma once

#include <stdint.h>

// All state there is; a copy of it goes on the same way. Not thread-safe.
struct random {
    uint64_t s[4];
};

void random_init(struct random *r, uint64_t seed);
uint64_t random_u64(struct random *r);
uint64_t random_below(struct random *r, uint64_t n); // 0..n-1, n > 0, unbiased

// Exponentially distributed with this mean: the gaps of a Poisson process. mean 0..2^56.
int64_t random_exponential(struct random *r, int64_t mean);

// Log-normal: median * e^(sigma * z), z normal within +-6 (a sum of twelve uniform numbers).
// median 0..2^40, sigma in thousandths, 0..2000.
int64_t random_lognormal(struct random *r, int64_t median, int32_t sigma_milli);

// The mean of that: median * e^(sigma^2 / 2).
int64_t random_lognormal_mean(int64_t median, int32_t sigma_milli);

// 2^x as 32.32 fixed point, x as 32.32 fixed point in [-32, 31), and log2(v) for v > 0.
uint64_t fixed_exp2(int64_t x);
int64_t fixed_log2(uint64_t v);
