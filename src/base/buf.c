#include "base/buf.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/utf8.h"

enum { BUF_FIRST = 64, DOUBLE_TEXT_MAX = 32, U64_DIGITS_MAX = 20 };

void buf_init(struct buf *b, size_t limit)
{
    *b = (struct buf){.limit = limit};
}

void buf_done(struct buf *b)
{
    free(b->p);
    *b = (struct buf){.limit = b->limit};
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->failed = false;
    if (b->p) {
        b->p[0] = '\0';
    }
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (b->failed || n > b->limit - b->n || b->n + n == SIZE_MAX) {
        b->failed = true;
        return NULL;
    }
    size_t need = b->n + n + 1;
    if (need > b->cap) {
        size_t grown = b->cap + b->cap / 2;
        size_t cap = grown > need ? grown : need;
        b->cap = cap > BUF_FIRST ? cap : BUF_FIRST;
        b->p = x_realloc_array(b->p, b->cap, 1);
    }
    b->p[b->n + n] = '\0';
    return b->p + b->n;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    char *at = buf_reserve(b, n);
    if (at && n > 0) {
        memcpy(at, p, n);
        b->n += n;
    }
}

void buf_str(struct buf *b, struct str s)
{
    buf_add(b, s.p, s.n);
}

void buf_cstr(struct buf *b, const char *z)
{
    buf_add(b, z, strlen(z));
}

void buf_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

static void add_decimal(struct buf *b, uint64_t v, bool negative)
{
    char text[U64_DIGITS_MAX + 1];
    size_t at = sizeof(text);
    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    if (negative) {
        text[--at] = '-';
    }
    buf_add(b, text + at, sizeof(text) - at);
}

void buf_u64(struct buf *b, uint64_t v)
{
    add_decimal(b, v, false);
}

void buf_i64(struct buf *b, int64_t v)
{
    add_decimal(b, v < 0 ? -(uint64_t)v : (uint64_t)v, v < 0);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *at = n < 0 ? NULL : buf_reserve(b, (size_t)n);
    if (at) {
        vsnprintf(at, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    b->failed |= n < 0;
    va_end(again);
}

void buf_double(struct buf *b, double v)
{
    assert(isfinite(v));
    char text[DOUBLE_TEXT_MAX];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        double back = strtod(text, NULL);
        if (memcmp(&back, &v, sizeof(v)) == 0) {
            break;
        }
    }
    buf_cstr(b, text);
}

static void json_escape(struct buf *b, unsigned char c)
{
    static const char names[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                 ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};
    if (c < sizeof(names) && names[c]) {
        buf_add(b, (char[]){'\\', names[c]}, 2);
    } else {
        buf_printf(b, "\\u%04x", c);
    }
}

static void json_body(struct buf *b, const unsigned char *p, size_t n)
{
    size_t plain = 0, i = 0;
    while (i < n) {
        size_t len = utf8_length((const char *)p + i, n - i);
        if (len > 0 && p[i] >= 0x20 && p[i] != '"' && p[i] != '\\') {
            i += len;
            continue;
        }
        buf_add(b, p + plain, i - plain);
        if (len == 0) {
            buf_cstr(b, "\xef\xbf\xbd");
        } else {
            json_escape(b, p[i]);
        }
        plain = ++i;
    }
    buf_add(b, p + plain, n - plain);
}

void buf_json_str(struct buf *b, struct str s)
{
    if (s.p == NULL) {
        buf_cstr(b, "null");
        return;
    }
    buf_char(b, '"');
    json_body(b, (const unsigned char *)s.p, s.n);
    buf_char(b, '"');
}
