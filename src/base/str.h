// Borrowed text: a pointer and a length, not NUL-terminated, owned by somebody else (an arena, an
// input buffer, a literal). p == NULL means absent, which is not the same as empty. Any bytes may
// be in it: nothing here knows an encoding or a locale. Results borrow from the arguments.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/macros.h"

struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_NONE ((struct str){NULL, 0})
#define STR_FMT "%.*s" // printf("... " STR_FMT, STR_ARG(s))
#define STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct str str_of(const char *z)
{
    return z ? (struct str){z, strlen(z)} : STR_NONE;
}

static inline bool str_present(struct str s)
{
    return s.p != NULL;
}

// Equal bytes; absent equals only absent.
static inline bool str_eq(struct str a, struct str b)
{
    return (a.p == NULL) == (b.p == NULL) && a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

// Byte order, shorter first on a common prefix; absent before everything. <0, 0, >0.
int str_cmp(struct str a, struct str b) GTAP_PURE;

bool str_starts(struct str s, struct str prefix) GTAP_PURE;
bool str_ends(struct str s, struct str suffix) GTAP_PURE;
struct str str_trim(struct str s); // without leading and trailing ASCII white space

// Splits at the first `sep`: ret_head before it, *s after it (absent when there was no sep).
// False when *s was absent to begin with.
bool str_split(struct str *s, char sep, struct str *ret_head);

// Shell-style match with * and ? (no classes), case-insensitive ASCII: how price-book patterns
// name GPUs. Linear in |s| * |pattern|.
bool str_glob(struct str pattern, struct str s) GTAP_PURE;
