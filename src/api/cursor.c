#include "api/cursor.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void put_base64(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t bits = 0;
        size_t n = s.n - i < 3 ? s.n - i : 3;
        for (size_t k = 0; k < 3; k++) {
            bits = bits << 8 | (k < n ? (unsigned char)s.p[i + k] : 0);
        }
        for (size_t k = 0; k <= n; k++) {
            buf_char(b, alphabet[bits >> (18 - 6 * k) & 63]);
        }
    }
}

void cursor_put(struct json *j, const char *name, int64_t time, struct str id)
{
    json_name(j, name);
    buf_char(j->b, '"');
    buf_i64(j->b, time);
    if (str_present(id)) {
        buf_char(j->b, '.');
        put_base64(j->b, id);
    }
    buf_char(j->b, '"');
}

static int digit_of(char c)
{
    const char *at = memchr(alphabet, c, sizeof(alphabet) - 1);
    return at ? (int)(at - alphabet) : -1;
}

static bool parse_base64(struct str text, struct arena *a, struct str *ret)
{
    char *bytes = arena_alloc(a, text.n + 1);
    uint32_t bits = 0;
    size_t n = 0, held = 0;
    for (size_t i = 0; i < text.n; i++) {
        int digit = digit_of(text.p[i]);
        if (digit < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            bytes[n++] = (char)(bits >> held & 0xff);
        }
    }
    *ret = (struct str){bytes, n};
    return held < 6 && (bits & ((1U << held) - 1)) == 0;
}

bool cursor_parse(struct str text, struct arena *a, int64_t *ret_time, struct str *ret_id)
{
    bool minus = str_starts(text, STR("-"));
    int64_t time = 0;
    size_t i = minus, first = minus;
    for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++) {
        if (__builtin_mul_overflow(time, 10, &time) ||
            __builtin_add_overflow(time, text.p[i] - '0', &time)) {
            return false;
        }
    }
    *ret_time = minus ? -time : time;
    *ret_id = STR_NONE;
    if (i == first) {
        return false;
    }
    if (i == text.n) {
        return true;
    }
    return text.p[i] == '.' &&
           parse_base64((struct str){text.p + i + 1, text.n - i - 1}, a, ret_id);
}
