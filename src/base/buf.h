// A growable byte buffer with a hard limit. Always NUL-terminated once something was appended.
//
// The limit is given at init; an append that would pass it sets the sticky `failed` flag and is
// ignored whole, so writers need not check each append: they check buf_ok() once at the end. The
// buffer owns its bytes; a pointer into it or a view of it lives until the next append. Not
// thread-safe.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"

struct buf {
    char *p;
    size_t n;
    size_t cap;
    size_t limit;
    bool failed;
};

void buf_init(struct buf *b, size_t limit); // bytes, without the NUL
void buf_done(struct buf *b);               // frees; the buffer may be init'ed again
void buf_clear(struct buf *b);              // empty, failure forgotten, memory kept

static inline void buf_add(struct buf *b, const void *p, size_t n);
static inline void buf_str(struct buf *b, struct str s);
static inline void buf_cstr(struct buf *b, const char *z);
static inline void buf_char(struct buf *b, char c);
void buf_i64(struct buf *b, int64_t v);
void buf_u64(struct buf *b, uint64_t v);
void buf_printf(struct buf *b, const char *fmt, ...) GTAP_PRINTF(2, 3);

// Room for n more bytes at b->p + b->n, or NULL (and failed) past the limit; the caller then
// writes there and adds to b->n.
char *buf_reserve(struct buf *b, size_t n) GTAP_CHECK;

// Shortest decimal text that reads back as the same double (finite values only).
void buf_double(struct buf *b, double v);
// A JSON string with quotes; bytes that are not UTF-8 become U+FFFD. Absent is written as null.
void buf_json_str(struct buf *b, struct str s);

// What was appended so far, borrowed; never absent.
static inline struct str buf_view(const struct buf *b)
{
    return (struct str){b->p ? b->p : "", b->n};
}
static inline bool buf_ok(const struct buf *b)
{
    return !b->failed;
}

// Most appends are of a few bytes that there is room for.
static inline void buf_add(struct buf *b, const void *p, size_t n)
{
    bool fits = !b->failed && n < b->cap - b->n && n <= b->limit - b->n;
    char *at = fits ? b->p + b->n : buf_reserve(b, n);
    if (at && n > 0) {
        memcpy(at, p, n);
        b->n += n;
        at[n] = '\0';
    }
}

static inline void buf_str(struct buf *b, struct str s)
{
    buf_add(b, s.p, s.n);
}

static inline void buf_cstr(struct buf *b, const char *z)
{
    buf_add(b, z, strlen(z));
}

static inline void buf_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}
