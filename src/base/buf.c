#include "base/buf.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "base/wide.h"

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

// ---- doubles -----------------------------------------------------------------------------------

// m * 2^-shift, and that times 10^scale, with 17 digits before the point: n * 2^-shift.
struct binary {
    uint64_t m;
    unsigned shift, scale;
    u128 ten; // 10^scale
    u128 n;
};

enum { DIGITS_MOST = 17, DIGITS_LEAST = 15, MANTISSA_BITS = 52, EXPONENT_BIAS = 1075 };

static const uint64_t tens[] = {1, 10, 100}; // by the digits that are given up

// For 1e-4 <= v < 1e15, where nothing below overflows 128 bits. A power of two is told apart: the
// numbers next to it are not equally far from it.
static bool take_apart(double v, struct binary *ret)
{
    const uint64_t least = 10000000000000000U; // of 17 digits
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    uint64_t mantissa = bits & ((UINT64_C(1) << MANTISSA_BITS) - 1);
    *ret = (struct binary){.m = mantissa | UINT64_C(1) << MANTISSA_BITS,
                           .shift = EXPONENT_BIAS - (unsigned)(bits >> MANTISSA_BITS),
                           .scale = DIGITS_MOST - 1,
                           .ten = least};
    for (double ten = 10; ten <= v; ten *= 10) {
        ret->scale--;
        ret->ten = (uint64_t)ret->ten / 10;
    }
    ret->n = ret->m * ret->ten;
    while ((uint64_t)(ret->n >> ret->shift) < least) {
        ret->scale++;
        ret->ten *= 10;
        ret->n *= 10;
    }
    return mantissa != 0;
}

// The nearest number of so many digits less than 17, half to even.
static uint64_t round_off(const struct binary *x, unsigned less)
{
    uint64_t q = (uint64_t)(x->n >> x->shift) / tens[less];
    u128 rest = x->n - ((u128)q * tens[less] << x->shift);
    u128 half = (u128)tens[less] << (x->shift - 1);
    return q + (rest > half || (rest == half && q % 2 == 1));
}

// Whether it is nearer to x than to any other double; halfway, the even one is read.
static bool reads_back(const struct binary *x, uint64_t q, unsigned less)
{
    u128 decimal = (u128)q * tens[less] << (x->shift + 1), binary = x->n << 1;
    u128 off = decimal > binary ? decimal - binary : binary - decimal;
    return off < x->ten || (off == x->ten && x->m % 2 == 0);
}

static void add_fixed(struct buf *b, uint64_t v, unsigned scale, bool negative)
{
    char text[DOUBLE_TEXT_MAX];
    size_t at = sizeof(text);
    for (; scale > 0 && v % 10 == 0; scale--) {
        v /= 10;
    }
    for (unsigned i = 0; i <= scale || v > 0; i++, v /= 10) {
        if (i == scale && scale > 0) {
            text[--at] = '.';
        }
        text[--at] = (char)('0' + v % 10);
    }
    if (negative) {
        text[--at] = '-';
    }
    buf_add(b, text + at, sizeof(text) - at);
}

// What printf() and strtod() below say, many times as fast, for most of what is ever written.
static bool add_usual(struct buf *b, double v)
{
    struct binary x;
    double size = v < 0 ? -v : v;
    if (!(size >= 1e-4 && size < 1e15)) {
        return false;
    }
    if (size == (double)(uint64_t)size) {
        add_decimal(b, (uint64_t)size, v < 0);
        return true;
    }
    if (!take_apart(size, &x)) {
        return false;
    }
    for (unsigned less = DIGITS_MOST - DIGITS_LEAST;; less--) {
        uint64_t q = round_off(&x, less);
        if (less == 0 || reads_back(&x, q, less)) {
            add_fixed(b, q, x.scale - less, v < 0);
            return true;
        }
    }
}

void buf_double(struct buf *b, double v)
{
    assert(isfinite(v));
    char text[DOUBLE_TEXT_MAX];
    if (add_usual(b, v)) {
        return;
    }
    for (int digits = DIGITS_LEAST; digits <= DIGITS_MOST; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        double back = strtod(text, NULL);
        if (memcmp(&back, &v, sizeof(v)) == 0) {
            break;
        }
    }
    buf_cstr(b, text);
}

// ---- JSON --------------------------------------------------------------------------------------

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

static bool json_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void json_body(struct buf *b, const unsigned char *p, size_t n)
{
    size_t plain = 0, i = 0;
    while (i < n) {
        if (json_plain(p[i])) { // most are
            i++;
            continue;
        }
        size_t len = utf8_length((const char *)p + i, n - i);
        if (len > 1) {
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
