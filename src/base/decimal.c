#include "base/decimal.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>

#include "base/wide.h"

enum { SCALE_MAX = 18, I128_DIGITS_MAX = 39, EXPONENT_MAX = 1 << 30 };

// The parts of a number's text: the digits are p[0..whole), then, past the point, `fraction` more.
struct number {
    const char *p;
    size_t whole, fraction;
    int64_t exponent; // clamped to +-EXPONENT_MAX, far beyond what int64 can hold
    bool negative;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t count_digits(struct str s)
{
    size_t n = 0;
    while (n < s.n && is_digit(s.p[n])) {
        n++;
    }
    return n;
}

static struct str skip(struct str s, size_t n)
{
    return (struct str){s.p + n, s.n - n};
}

static int read_exponent(struct str *s, int64_t *ret)
{
    *s = skip(*s, 1);
    bool negative = s->n > 0 && s->p[0] == '-';
    if (s->n > 0 && (s->p[0] == '-' || s->p[0] == '+')) {
        *s = skip(*s, 1);
    }
    size_t n = count_digits(*s);
    int64_t v = 0;
    for (size_t i = 0; i < n && v < EXPONENT_MAX; i++) {
        v = v * 10 + (s->p[i] - '0');
    }
    v = v < EXPONENT_MAX ? v : EXPONENT_MAX;
    *ret = negative ? -v : v;
    *s = skip(*s, n);
    return n > 0 ? 0 : -EINVAL;
}

static int split_number(struct str s, struct number *ret)
{
    *ret = (struct number){.negative = s.n > 0 && s.p[0] == '-'};
    s = skip(s, ret->negative);
    ret->p = s.p;
    ret->whole = count_digits(s);
    s = skip(s, ret->whole);
    if (ret->whole == 0) {
        return -EINVAL;
    }
    if (s.n > 0 && s.p[0] == '.') {
        ret->fraction = count_digits(skip(s, 1));
        if (ret->fraction == 0) {
            return -EINVAL;
        }
        s = skip(s, 1 + ret->fraction);
    }
    if (s.n > 0 && (s.p[0] == 'e' || s.p[0] == 'E') && read_exponent(&s, &ret->exponent) < 0) {
        return -EINVAL;
    }
    return s.n == 0 ? 0 : -EINVAL;
}

static unsigned digit_at(const struct number *num, size_t i)
{
    return (unsigned)(num->p[i < num->whole ? i : i + 1] - '0');
}

// Whether the digits from `at` on make more than, or half and an odd neighbour, one unit.
static bool rounds_up(const struct number *num, size_t at, uint64_t v)
{
    size_t n = num->whole + num->fraction;
    if (at >= n || digit_at(num, at) != 5) {
        return at < n && digit_at(num, at) > 5;
    }
    for (size_t i = at + 1; i < n; i++) {
        if (digit_at(num, i) != 0) {
            return true;
        }
    }
    return v % 2 == 1;
}

// The number's first `keep` digits (zeros past its end) as an integer, rounded.
static int magnitude(const struct number *num, int64_t keep, uint64_t *ret)
{
    uint64_t v = 0;
    size_t n = num->whole + num->fraction;
    for (int64_t i = 0; i < keep && (v > 0 || (uint64_t)i < n); i++) {
        unsigned digit = (uint64_t)i < n ? digit_at(num, (size_t)i) : 0;
        if (__builtin_mul_overflow(v, 10U, &v) || __builtin_add_overflow(v, digit, &v)) {
            return -ERANGE;
        }
    }
    bool up = keep >= 0 && rounds_up(num, (size_t)keep, v);
    return __builtin_add_overflow(v, (unsigned)up, ret) ? -ERANGE : 0;
}

int decimal_parse(struct str text, int scale, int64_t *ret)
{
    assert(scale >= 0 && scale <= SCALE_MAX);
    struct number num;
    uint64_t v;
    if (text.p == NULL || split_number(text, &num) < 0) {
        return -EINVAL;
    }
    if (magnitude(&num, (int64_t)num.whole + num.exponent + scale, &v) < 0) {
        return -ERANGE;
    }
    i128 value = num.negative ? -(i128)v : (i128)v;
    if (value < INT64_MIN || value > INT64_MAX) {
        return -ERANGE;
    }
    *ret = (int64_t)value;
    return 0;
}

// Fills text from the back with the digits of v, at least `least` of them; returns the first.
// Dividing 128 bits costs a call, so that is done only as long as it must.
static char *write_digits(char *end, u128 v, int least)
{
    char *at = end;
    for (; v > UINT64_MAX; v /= 10) {
        *--at = (char)('0' + (int)(v % 10));
    }
    for (uint64_t rest = (uint64_t)v; rest > 0 || end - at < least; rest /= 10) {
        *--at = (char)('0' + rest % 10);
    }
    return at;
}

static void format(struct buf *b, i128 v, int scale, bool trim)
{
    assert(scale >= 0 && scale < I128_DIGITS_MAX);
    char digits[I128_DIGITS_MAX + 1], text[I128_DIGITS_MAX + 3];
    char *end = digits + sizeof(digits);
    char *first = write_digits(end, v < 0 ? -(u128)v : (u128)v, scale + 1);
    size_t whole = (size_t)(end - first - scale), fraction = (size_t)scale;
    while (trim && fraction > 0 && first[whole + fraction - 1] == '0') {
        fraction--;
    }
    size_t n = 0;
    if (v < 0) {
        text[n++] = '-';
    }
    memcpy(text + n, first, whole);
    n += whole;
    if (fraction > 0) {
        text[n++] = '.';
        memcpy(text + n, first + whole, fraction);
    }
    buf_add(b, text, n + fraction);
}

void decimal_format(struct buf *b, int64_t v, int scale)
{
    format(b, v, scale, false);
}

void decimal_format_short(struct buf *b, int64_t v, int scale)
{
    format(b, v, scale, true);
}

void decimal_format_i128(struct buf *b, __int128 v, int scale)
{
    format(b, v, scale, false);
}
