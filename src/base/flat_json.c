#include "base/flat_json.h"

#include <errno.h>
#include <stdint.h>

#include "base/decimal.h"

static void skip_blanks(struct flat_json *j)
{
    while (j->rest.n > 0 && strchr(" \t\r\n", j->rest.p[0]) != NULL && j->rest.p[0] != '\0') {
        j->rest.p++;
        j->rest.n--;
    }
}

static bool eat(struct flat_json *j, char c)
{
    skip_blanks(j);
    bool found = j->rest.n > 0 && j->rest.p[0] == c;
    j->rest.p += found;
    j->rest.n -= found;
    return found;
}

static bool eat_hex(struct str *s, uint32_t *ret)
{
    uint32_t v = 0;
    for (size_t i = 0; i < 4; i++) {
        char c = i < s->n ? s->p[i] : '\0', low = (char)(c | 0x20);
        bool digit = c >= '0' && c <= '9', letter = low >= 'a' && low <= 'f';
        if (!digit && !letter) {
            return false;
        }
        v = v * 16 + (uint32_t)(digit ? c - '0' : low - 'a' + 10);
    }
    *s = (struct str){s->p + 4, s->n - 4};
    *ret = v;
    return true;
}

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    out[0] = (char)(leads[n] | c);
    return n;
}

// \uXXXX, or a pair of them for a character beyond the first 65,536.
static bool eat_unicode(struct str *s, char *out, size_t *written)
{
    uint32_t c, low;
    if (!eat_hex(s, &c) || c == 0 || (c >= 0xdc00 && c <= 0xdfff)) {
        return false;
    }
    if (c >= 0xd800 && c <= 0xdbff) {
        bool pair = s->n >= 2 && s->p[0] == '\\' && s->p[1] == 'u';
        *s = pair ? (struct str){s->p + 2, s->n - 2} : *s;
        if (!pair || !eat_hex(s, &low) || low < 0xdc00 || low > 0xdfff) {
            return false;
        }
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *written += put_utf8(out + *written, c);
    return true;
}

static bool eat_escape(struct str *s, char *out, size_t *written)
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char c = s->n > 0 ? s->p[0] : '\0';
    const char *known = c != '\0' ? strchr(names, c) : NULL;
    *s = (struct str){s->p + (s->n > 0), s->n - (s->n > 0)};
    if (c == 'u') {
        return eat_unicode(s, out, written);
    }
    if (known) {
        out[(*written)++] = meanings[known - names];
    }
    return known != NULL;
}

// Up to the quote that ends a string: at least as long as what the string says.
static size_t string_length(struct str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] != '"') {
        n += s.p[n] == '\\' ? 2 : 1;
    }
    return n;
}

// After the opening quote.
static bool eat_string(struct flat_json *j, struct str *ret)
{
    size_t n = string_length(j->rest), written = 0;
    if (n >= j->rest.n) {
        return false;
    }
    char *out = arena_alloc(j->arena, n + 1);
    struct str s = {j->rest.p, n};
    while (s.n > 0) {
        char c = s.p[0];
        s = (struct str){s.p + 1, s.n - 1};
        if (c == '\\' ? !eat_escape(&s, out, &written) : (unsigned char)c < 0x20) {
            return false;
        }
        if (c != '\\') {
            out[written++] = c;
        }
    }
    j->rest = (struct str){j->rest.p + n + 1, j->rest.n - n - 1};
    *ret = (struct str){out, written};
    return true;
}

// A number, true, false or null: up to the next comma, brace or blank.
static bool eat_word(struct flat_json *j, struct str *ret)
{
    skip_blanks(j);
    size_t n = 0;
    while (n < j->rest.n && strchr(",}{[] \t\r\n\"", j->rest.p[n]) == NULL) {
        n++;
    }
    struct str word = {j->rest.p, n};
    int64_t number;
    bool null = str_eq(word, STR("null"));
    bool logical = str_eq(word, STR("true")) || str_eq(word, STR("false"));
    j->rest = (struct str){j->rest.p + n, j->rest.n - n};
    *ret = null ? STR_NONE : word;
    return null || logical || decimal_parse(word, 0, &number) != -EINVAL;
}

int flat_json_next(struct flat_json *j, struct str *ret_name, struct str *ret_value,
                   struct error *err)
{
    if (!j->begun && !eat(j, '{')) {
        return error_set(err, -EINVAL, "is no JSON object");
    }
    if (eat(j, '}')) {
        skip_blanks(j);
        return j->rest.n == 0 ? 0 : error_set(err, -EINVAL, "goes on after the object");
    }
    bool comma = !j->begun || eat(j, ',');
    j->begun = true;
    if (!comma || !eat(j, '"') || !eat_string(j, ret_name) || !eat(j, ':')) {
        return error_set(err, -EINVAL, "is not well-formed JSON");
    }
    bool good = eat(j, '"') ? eat_string(j, ret_value) : eat_word(j, ret_value);
    return good ? 1 : error_set(err, -EINVAL, "has a value that is no string or number");
}
