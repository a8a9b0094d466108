#include "model/refuse.h"

#include <errno.h>

#include "model/token.h"

enum { QUOTE_MAX = 40, BRACES_MAX = 64 };

int refuse_text(struct error *err, const char *what)
{
    return error_set(err, -EINVAL, "not JSON: %s", what);
}

int refuse_byte(struct error *err, struct str text, const char *at)
{
    size_t n = (size_t)(at - text.p);
    if (n >= text.n) {
        return refuse_text(err, "ends too early");
    }
    if (*at > ' ' && *at <= '~') {
        return error_set(err, -EINVAL, "not JSON: unexpected %c at byte %zu", *at, n + 1);
    }
    return error_set(err, -EINVAL, "not JSON: unexpected character at byte %zu", n + 1);
}

// Just behind the string that begins at p[at].
static size_t skip_string(struct str text, size_t at)
{
    for (at++; at < text.n && text.p[at] != '"'; at++) {
        at += text.p[at] == '\\';
    }
    return at + 1;
}

// Just behind the brace that closes the first one, or at one that is of another kind or too deep.
static size_t closing_brace(struct str text)
{
    uint64_t objects = 0; // a bit for each level: it is an object, not an array
    size_t depth = 0;
    for (size_t at = 0; at < text.n;) {
        char c = text.p[at];
        if (c == '{' || c == '[') {
            if (depth == BRACES_MAX) {
                return at;
            }
            objects = objects << 1 | (c == '{');
            depth++;
        } else if (c == '}' || c == ']') {
            if (depth == 0 || (objects & 1) != (c == '}')) {
                return at;
            }
            objects >>= 1;
            depth--;
        }
        at = c == '"' ? skip_string(text, at) : at + 1;
        if (depth == 0 && !json_space(c)) {
            return at;
        }
    }
    return text.n;
}

int refuse_braces(struct error *err, struct str text)
{
    size_t at = closing_brace(text);
    while (at < text.n && json_space(text.p[at])) {
        at++;
    }
    return refuse_byte(err, text, text.p + at);
}

int refuse_string(struct error *err, struct str text, const char *at)
{
    return error_set(err, -EINVAL, "not JSON: bad escape in the string at byte %zu",
                     (size_t)(at - text.p) + 1);
}

int refuse_value(struct error *err, const struct field *f, const char *problem, struct str token)
{
    size_t n = token.n < QUOTE_MAX ? token.n : QUOTE_MAX;
    while (n < token.n && ((unsigned char)token.p[n] & 0xc0) == 0x80) {
        n--;
    }
    return error_set(err, -EINVAL, "%s: %s (%.*s%s)", f->name, problem, (int)n, token.p,
                     n < token.n ? "..." : "");
}

int refuse_type(struct error *err, struct str text, const struct field *f, struct str token,
                const char *expected)
{
    if (token_malformed(token)) {
        return refuse_byte(err, text, token.p);
    }
    return error_set(err, -EINVAL, "%s: wrong type (%s), expected %s", f->name, token_type(token),
                     expected);
}

int refuse_root(struct error *err, struct str text)
{
    struct str token = str_trim(text);
    if (token.n == 0 || token_malformed(token)) {
        return refuse_byte(err, text, token.p);
    }
    return error_set(err, -EINVAL, "not a JSON object, but %s", token_type(token));
}
