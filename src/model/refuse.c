#include "model/refuse.h"

#include <errno.h>

#include "model/token.h"

enum { QUOTE_MAX = 40 };

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
