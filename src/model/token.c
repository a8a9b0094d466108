#include "model/token.h"

#include <errno.h>

#include "base/decimal.h"

enum { PLAIN_MAX = 18, EXPONENT_MAX = 1 << 30 };

static const int64_t powers_of_ten[] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
};

// What a token is made of: digits, and the exponent with its sign.
struct number {
    struct str whole, fraction, exponent;
    bool negative;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool eat(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c) {
        return false;
    }
    *s = (struct str){s->p + 1, s->n - 1};
    return true;
}

static struct str eat_digits(struct str *s)
{
    struct str digits = {s->p, 0};
    while (digits.n < s->n && is_digit(s->p[digits.n])) {
        digits.n++;
    }
    *s = (struct str){s->p + digits.n, s->n - digits.n};
    return digits;
}

static bool eat_exponent(struct str *s, struct str *ret)
{
    const char *start = s->p;
    if (!eat(s, '-')) {
        eat(s, '+');
    }
    bool any = eat_digits(s).n > 0;
    *ret = (struct str){start, (size_t)(s->p - start)};
    return any;
}

static bool split(struct str s, struct number *ret)
{
    *ret = (struct number){.negative = eat(&s, '-')};
    ret->whole = eat_digits(&s);
    if (ret->whole.n == 0 || (ret->whole.n > 1 && ret->whole.p[0] == '0')) {
        return false;
    }
    if (eat(&s, '.')) {
        ret->fraction = eat_digits(&s);
        if (ret->fraction.n == 0) {
            return false;
        }
    }
    if ((eat(&s, 'e') || eat(&s, 'E')) && !eat_exponent(&s, &ret->exponent)) {
        return false;
    }
    return s.n == 0;
}

bool token_is_number(struct str token)
{
    return token.p[0] == '-' || is_digit(token.p[0]);
}

bool token_is_null(struct str token)
{
    return str_eq(token, STR("null"));
}

bool token_malformed(struct str token)
{
    struct number num;
    switch (token.p[0]) {
    case '"':
    case '{':
    case '[':
        return false;
    case 't':
        return !str_eq(token, STR("true"));
    case 'f':
        return !str_eq(token, STR("false"));
    case 'n':
        return !token_is_null(token);
    default:
        return !split(token, &num);
    }
}

const char *token_type(struct str token)
{
    switch (token.p[0]) {
    case '"':
        return "a string";
    case '{':
        return "an object";
    case '[':
        return "an array";
    case 't':
    case 'f':
        return "a boolean";
    case 'n':
        return "null";
    default:
        return "a number";
    }
}

struct str token_key(struct str text, const char *p)
{
    const char *end = text.p + text.n, *at = p;
    while (at < end && *at != '"') {
        at += *at == '\\' ? 2 : 1;
    }
    return (struct str){p, (size_t)(at - p)};
}

// How many of the digits count: all but the zeros at the end.
static size_t significant(struct str digits)
{
    size_t n = digits.n;
    while (n > 0 && digits.p[n - 1] == '0') {
        n--;
    }
    return n;
}

bool number_negative(struct str token)
{
    struct number num;
    if (token.p[0] != '-' || !split(token, &num)) {
        return false;
    }
    return significant(num.fraction) > 0 || significant(num.whole) > 0;
}

bool number_plain(struct str s, int scale, int64_t *ret)
{
    int64_t v = 0;
    size_t point = s.n;
    if (s.n == 0 || s.n > PLAIN_MAX || (s.n > 1 && s.p[0] == '0' && s.p[1] != '.')) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (is_digit(s.p[i])) {
            v = v * 10 + (s.p[i] - '0');
        } else if (s.p[i] == '.' && point == s.n && i > 0) {
            point = i;
        } else {
            return false;
        }
    }
    size_t fraction = point < s.n ? s.n - point - 1 : 0;
    if (point + 1 == s.n || fraction > (size_t)scale ||
        __builtin_mul_overflow(v, powers_of_ten[(size_t)scale - fraction], &v)) {
        return false;
    }
    *ret = v;
    return true;
}

int number_scaled(struct str token, int scale, int64_t *ret)
{
    struct number num;
    if (number_plain(token, scale, ret)) {
        return 0;
    }
    return split(token, &num) ? decimal_parse(token, scale, ret) : -EINVAL;
}

static int64_t exponent_value(struct str s)
{
    bool negative = eat(&s, '-');
    eat(&s, '+');
    int64_t v = 0;
    for (size_t i = 0; i < s.n && v < EXPONENT_MAX; i++) {
        v = v * 10 + (s.p[i] - '0');
    }
    return negative ? -v : v;
}

static bool integral(const struct number *num)
{
    size_t fraction = significant(num->fraction), whole = significant(num->whole);
    if (fraction == 0 && whole == 0) {
        return true;
    }
    int64_t exponent = exponent_value(num->exponent);
    int64_t zeros = fraction > 0 ? -(int64_t)fraction : (int64_t)(num->whole.n - whole);
    return zeros + exponent >= 0;
}

int number_integer(struct str token, int64_t *ret)
{
    struct number num;
    if (number_plain(token, 0, ret)) {
        return 0;
    }
    if (!split(token, &num)) {
        return -EINVAL;
    }
    return integral(&num) ? decimal_parse(token, 0, ret) : -EDOM;
}
