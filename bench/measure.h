// What the benchmarks' programs share: time spent, a generator of numbers, the line they print.
//
// A result is one JSON object on a line of its own; bench/run.py collects them. The time that
// counts is that of the processor, which other programs on the machine disturb least.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/decimal.h"
#include "base/macros.h"

// ---- time spent ----------------------------------------------------------------------------

struct spent {
    double cpu_s, wall_s; // user and system time of all threads; time passed
};

static inline double clock_s(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// Adds what has been spent since these clock readings: spent_begin(&s); ...; spent_end(&s);
static inline void spent_begin(struct spent *s)
{
    s->cpu_s -= clock_s(CLOCK_PROCESS_CPUTIME_ID);
    s->wall_s -= clock_s(CLOCK_MONOTONIC);
}

static inline void spent_end(struct spent *s)
{
    s->wall_s += clock_s(CLOCK_MONOTONIC);
    s->cpu_s += clock_s(CLOCK_PROCESS_CPUTIME_ID);
}

// ---- numbers that are the same on every machine --------------------------------------------

static inline uint64_t next_random(uint64_t *state) // splitmix64 (S. Vigna)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15U;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

static inline int64_t below(uint64_t *state, int64_t n)
{
    return (int64_t)(next_random(state) % (uint64_t)n);
}

// ---- arguments and answers -----------------------------------------------------------------

GTAP_PRINTF(1, 2) static inline _Noreturn void give_up(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

// The i-th argument, a positive number.
static inline int64_t argument(int argc, char **argv, int i)
{
    int64_t v;
    if (i >= argc || decimal_parse(str_of(argv[i]), 0, &v) < 0 || v <= 0) {
        give_up("argument %d must be a positive number; see the head of this program", i);
    }
    return v;
}
