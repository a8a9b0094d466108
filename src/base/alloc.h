// Allocation that cannot fail: small, bounded requests end the process with a message when memory
// is gone (as git and htop do), so that a third of all error paths need not exist. Whatever an
// outsider can size is bounded before it gets here. x_array checks n * size for overflow, and
// zeroes, as x_zalloc does. What they return is the caller's, to be freed with free(); sizes are
// bytes, and 0 is allowed. Thread-safe.
#pragma once

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

void *x_alloc(size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1)));
void *x_zalloc(size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1)));
void *x_array(size_t n, size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1, 2)));
void *x_realloc_array(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
char *x_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *x_strndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *x_asprintf(const char *fmt, ...) GTAP_PRINTF(1, 2) __attribute__((returns_nonnull));

static inline void x_freep(void *p)
{
    free(*(void **)p);
}
#define AUTO_FREE GTAP_CLEANUP(x_freep)

// Drops the first `gone` of the n elements of the array `a`, which may be NULL when n is 0.
#define ARRAY_DROP_FRONT(a, n, gone)                                                               \
    do {                                                                                           \
        (n) -= (gone);                                                                             \
        if ((n) > 0)                                                                               \
            memmove((a), (a) + (gone), (n) * sizeof((a)[0]));                                      \
    } while (0)

// Makes room for one more element in the growable array `a` with length `n` and capacity `cap`,
// growing by half, so that n additions cost O(n). `a` may move: pointers into it do not survive.
#define ARRAY_RESERVE(a, n, cap)                                                                   \
    do {                                                                                           \
        if ((n) >= (cap)) {                                                                        \
            (cap) = (cap) ? (cap) + (cap) / 2 + 1 : 16;                                            \
            (a) = x_realloc_array((a), (cap), sizeof((a)[0]));                                     \
        }                                                                                          \
    } while (0)
