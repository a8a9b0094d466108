// Bytes written down as hexadecimal digits, with texts in single quotes between them; white space
// is passed over.
#pragma once

#include "base/buf.h"
#include "test.h"

static inline int hex_value(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;
    assert_non_null(at);
    return (int)(at - digits);
}

static inline void hex_put(struct buf *b, const char *text)
{
    while (*text) {
        if (*text == '\'') {
            const char *end = strchr(text + 1, '\'');
            assert_non_null(end);
            buf_add(b, text + 1, (size_t)(end - text) - 1);
            text = end + 1;
        } else if (*text == ' ') {
            text++;
        } else {
            buf_char(b, (char)(uint8_t)(hex_value(text[0]) << 4 | hex_value(text[1])));
            text += 2;
        }
    }
}
