// A stable merge sort with the comparison inlined, for the arrays the engine sorts all day; runs
// that are in order already cost one comparison an element.
//
// DEFINE_SORT(name, T, less) defines `static void name(T *v, size_t n, T *scratch)`, where
// less(const T *a, const T *b) says whether a must stand before b, a strict weak order; scratch has
// room for n, and its contents are lost. O(n log n) comparisons at worst. Runs of SORT_RUN are
// sorted by insertion first (D. E. Knuth, TAOCP vol. 3, 5.2.4 and 5.2.1).
#pragma once

#include <stddef.h>
#include <string.h>

enum { SORT_RUN = 12 };

#define DEFINE_SORT(name, T, less)                                                                 \
    static void name##_run(T *v, size_t n)                                                         \
    {                                                                                              \
        for (size_t i = 1; i < n; i++) {                                                           \
            if (!less(&v[i], &v[i - 1]))                                                           \
                continue;                                                                          \
            T moving = v[i];                                                                       \
            size_t j = i;                                                                          \
            for (; j > 0 && less(&moving, &v[j - 1]); j--)                                         \
                v[j] = v[j - 1];                                                                   \
            v[j] = moving;                                                                         \
        }                                                                                          \
    }                                                                                              \
    /* Merges v[0..mid) and v[mid..n), both in order; only the left part is copied out. */         \
    static void name##_merge(T *v, size_t mid, size_t n, T *scratch)                               \
    {                                                                                              \
        if (mid == 0 || mid == n || !less(&v[mid], &v[mid - 1]))                                   \
            return;                                                                                \
        memcpy(scratch, v, mid * sizeof(T));                                                       \
        size_t left = 0, right = mid, out = 0;                                                     \
        while (left < mid && right < n)                                                            \
            v[out++] = less(&v[right], &scratch[left]) ? v[right++] : scratch[left++];             \
        memcpy(&v[out], &scratch[left], (mid - left) * sizeof(T));                                 \
    }                                                                                              \
    static void name(T *v, size_t n, T *scratch)                                                   \
    {                                                                                              \
        for (size_t i = 0; i < n; i += SORT_RUN)                                                   \
            name##_run(&v[i], n - i < SORT_RUN ? n - i : SORT_RUN);                                \
        for (size_t run = SORT_RUN; run < n; run *= 2)                                             \
            for (size_t i = 0; i + run < n; i += 2 * run)                                          \
                name##_merge(&v[i], run, n - i < 2 * run ? n - i : 2 * run, scratch);              \
    }                                                                                              \
    struct sort_needs_a_semicolon_
