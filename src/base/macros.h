// Compiler attributes and the few macros a function cannot replace.
#pragma once

#include <stddef.h>

#define GTAP_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define GTAP_CHECK __attribute__((warn_unused_result))
#define GTAP_UNUSED __attribute__((unused))
#define GTAP_PURE __attribute__((pure))
#define GTAP_CLEANUP(f) __attribute__((cleanup(f)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

// Hands ownership over: evaluates to the pointer and leaves NULL behind.
#define TAKE_PTR(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) take_ptr_ = (p);                                                             \
        (p) = NULL;                                                                                \
        take_ptr_;                                                                                 \
    })

// Defines `void <fn>p(T *p)` for GTAP_CLEANUP(<fn>p), calling <fn>(*p); fn accepts NULL.
#define DEFINE_CLEANUP(T, fn)                                                                      \
    static inline void fn##p(T *p)                                                                 \
    {                                                                                              \
        fn(*p);                                                                                    \
    }                                                                                              \
    struct cleanup_needs_a_semicolon_

#define MIN(a, b)                                                                                  \
    ({                                                                                             \
        __typeof__(a) min_a_ = (a);                                                                \
        __typeof__(b) min_b_ = (b);                                                                \
        min_a_ < min_b_ ? min_a_ : min_b_;                                                         \
    })
#define MAX(a, b)                                                                                  \
    ({                                                                                             \
        __typeof__(a) max_a_ = (a);                                                                \
        __typeof__(b) max_b_ = (b);                                                                \
        max_a_ > max_b_ ? max_a_ : max_b_;                                                         \
    })
