// What is UTF-8 (table 3-7 of the Unicode standard): no overlong forms, no surrogates, nothing
// beyond U+10FFFF.
#pragma once

#include "base/str.h"

static inline bool utf8_within(unsigned char c, unsigned char low, unsigned char high)
{
    return c >= low && c <= high;
}

// The length of the character at p, 0 when it is none. n > 0.
static inline size_t utf8_length(const char *p, size_t n)
{
    unsigned char c = (unsigned char)p[0], low = 0x80, high = 0xbf;
    size_t len = c < 0x80 ? 1 : utf8_within(c, 0xc2, 0xdf) ? 2 : utf8_within(c, 0xe0, 0xef) ? 3 : 4;
    if ((c >= 0x80 && c < 0xc2) || c > 0xf4 || len > n) {
        return 0;
    }
    if (c == 0xe0 || c == 0xf0) {
        low = c == 0xe0 ? 0xa0 : 0x90;
    } else if (c == 0xed || c == 0xf4) {
        high = c == 0xed ? 0x9f : 0x8f;
    }
    for (size_t i = 1; i < len; i++, low = 0x80, high = 0xbf) {
        if (!utf8_within((unsigned char)p[i], low, high)) {
            return 0;
        }
    }
    return len;
}

// All of it; absent and empty are.
static inline bool utf8_valid(struct str s)
{
    size_t at = 0, len = 1;
    while (at < s.n && len > 0) {
        len = utf8_length(s.p + at, s.n - at);
        at += len;
    }
    return at == s.n;
}
