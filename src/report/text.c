#include "report/text.h"

#include <stdint.h>

#define REPLACEMENT STR("\xef\xbf\xbd")
#define ELLIPSIS STR("\xe2\x80\xa6")

// The character at the start of s and its length in bytes; U+FFFD and 1 where it is not UTF-8.
static uint32_t next_char(struct str s, size_t *ret_n)
{
    const unsigned char *p = (const unsigned char *)s.p;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t c = n == 1 ? p[0] : p[0] & (0xffU >> (n + 1));
    bool good = p[0] < 0x80 || (p[0] >= 0xc2 && p[0] <= 0xf4);
    for (size_t i = 1; good && i < n; i++) {
        good = i < s.n && (p[i] & 0xc0) == 0x80;
        c = good ? c << 6 | (p[i] & 0x3f) : c;
    }
    good = good && c >= least[n] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
    *ret_n = good ? n : 1;
    return good ? c : 0xfffd;
}

struct range {
    uint32_t first, last;
};

static bool within(uint32_t c, const struct range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (c >= ranges[i].first && c <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

// Combining marks, joiners and variation selectors.
static const struct range narrowest[] = {
    {0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},     {0x64b, 0x65f},
    {0x900, 0x902},   {0x93c, 0x93c},   {0x941, 0x948},   {0xe31, 0xe31},     {0xe34, 0xe3a},
    {0xe47, 0xe4e},   {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200d},   {0x20d0, 0x20ff},
    {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0xe0100, 0xe01ef},
};

// East Asian wide and fullwidth, and emoji (UAX #11).
static const struct range widest[] = {
    {0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},
    {0x4e00, 0x9fff},   {0xa000, 0xa4cf},   {0xa960, 0xa97f},   {0xac00, 0xd7a3},
    {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
    {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
};

// What changes the order or the place of other text is no part of a name: C0, DEL, C1, line and
// paragraph separators, bidirectional embeddings, overrides and isolates.
static const struct range commanding[] = {
    {0, 0x1f}, {0x7f, 0x9f}, {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069},
};

static size_t char_width(uint32_t c)
{
    if (c < 0x300) {
        return 1;
    }
    if (within(c, narrowest, ARRAY_LEN(narrowest))) {
        return 0;
    }
    return within(c, widest, ARRAY_LEN(widest)) ? 2 : 1;
}

static struct str skip(struct str s, size_t n)
{
    return (struct str){s.p + n, s.n - n};
}

size_t text_width(struct str s)
{
    size_t width = 0, n;
    for (; s.n > 0; s = skip(s, n)) {
        width += char_width(next_char(s, &n));
    }
    return width;
}

size_t text_char(struct str s, size_t *ret_width)
{
    size_t n = 0;
    *ret_width = s.n > 0 ? char_width(next_char(s, &n)) : 0;
    return n;
}

static bool shown_as_is(struct str s, size_t *ret_n)
{
    uint32_t c = next_char(s, ret_n);
    bool replaced = c == 0xfffd && *ret_n == 1;
    return !replaced && !within(c, commanding, ARRAY_LEN(commanding));
}

static bool is_clean(struct str s)
{
    size_t n;
    for (; s.n > 0; s = skip(s, n)) {
        if (!shown_as_is(s, &n)) {
            return false;
        }
    }
    return true;
}

struct str text_clean(struct arena *a, struct str s)
{
    if (s.p == NULL || is_clean(s)) {
        return s;
    }
    char *out = arena_alloc(a, s.n * REPLACEMENT.n + 1);
    size_t written = 0, n;
    for (; s.n > 0; s = skip(s, n)) {
        struct str piece = shown_as_is(s, &n) ? (struct str){s.p, n} : REPLACEMENT;
        memcpy(out + written, piece.p, piece.n);
        written += piece.n;
    }
    out[written] = '\0';
    return (struct str){out, written};
}

struct str text_fit(struct arena *a, struct str s, size_t width)
{
    if (text_width(s) <= width) {
        return s;
    }
    size_t used = 0, kept = 0, n;
    while (kept < s.n) {
        used += char_width(next_char(skip(s, kept), &n));
        if (used > width - 1) {
            break;
        }
        kept += n;
    }
    char *out = arena_alloc(a, kept + ELLIPSIS.n + 1);
    memcpy(out, s.p, kept);
    memcpy(out + kept, ELLIPSIS.p, ELLIPSIS.n + 1);
    return (struct str){out, kept + ELLIPSIS.n};
}

bool text_quotable(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < ' ' || s.p[i] > '~' || s.p[i] == '\'') {
            return false;
        }
    }
    return s.n > 0;
}

static bool digit_at(struct str s)
{
    return s.n > 0 && s.p[0] >= '0' && s.p[0] <= '9';
}

// Takes the number at the start of *s, without its leading zeros.
static struct str eat_number(struct str *s)
{
    while (s->n > 1 && s->p[0] == '0' && digit_at(skip(*s, 1))) {
        *s = skip(*s, 1);
    }
    struct str number = {s->p, 0};
    while (digit_at(*s)) {
        *s = skip(*s, 1);
        number.n++;
    }
    return number;
}

static int number_cmp(struct str a, struct str b)
{
    return a.n != b.n ? (a.n > b.n) - (a.n < b.n) : str_cmp(a, b);
}

int text_natural_cmp(struct str a, struct str b)
{
    if (a.p == NULL || b.p == NULL) {
        return (a.p == NULL) - (b.p == NULL);
    }
    struct str x = a, y = b;
    while (x.n > 0 && y.n > 0) {
        bool numbers = digit_at(x) && digit_at(y);
        int order = numbers ? number_cmp(eat_number(&x), eat_number(&y))
                            : (unsigned char)x.p[0] - (unsigned char)y.p[0];
        if (order != 0) {
            return order;
        }
        x = numbers ? x : skip(x, 1);
        y = numbers ? y : skip(y, 1);
    }
    int order = (x.n > 0) - (y.n > 0);
    return order ? order : str_cmp(a, b);
}
