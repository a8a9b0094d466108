#define _GNU_SOURCE 1 // memmem, memrchr
#include "base/uri.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "base/time.h"
#include "base/utf8.h"

enum { SHOWN_MAX = 160, NUMBER_TEXT_MAX = 64 };

// A URI as messages may show it: without options and without the user and password.
struct shown {
    char text[SHOWN_MAX];
};

static struct shown show(struct str text)
{
    struct shown shown;
    struct str rest = text, head = STR_NONE;
    const char *query = text.n ? memrchr(text.p, '?', text.n) : NULL;
    if (query) {
        rest.n = (size_t)(query - rest.p);
    }
    const char *at = rest.n ? memrchr(rest.p, '@', rest.n) : NULL;
    const char *authority = rest.n ? memmem(rest.p, rest.n, "//", 2) : NULL;
    if (at && authority && authority < at) {
        head = (struct str){rest.p, (size_t)(authority + 2 - rest.p)};
        rest = (struct str){at, rest.n - (size_t)(at - rest.p)};
    }
    snprintf(shown.text, sizeof(shown.text), STR_FMT "%s" STR_FMT, STR_ARG(head),
             head.n ? "***" : "", STR_ARG(rest));
    return shown;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char low = (char)(c | 0x20);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

static int decode(struct arena *a, struct str s, struct str *ret)
{
    char *out = arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '%' && s.p[i] != '\0') {
            out[n++] = s.p[i];
            continue;
        }
        int high = s.p[i] == '%' && i + 2 < s.n ? hex_value(s.p[i + 1]) : -1;
        int low = high >= 0 ? hex_value(s.p[i + 2]) : -1;
        if (low < 0 || (high == 0 && low == 0)) {
            return -EINVAL;
        }
        out[n++] = (char)(high * 16 + low);
        i += 2;
    }
    out[n] = '\0';
    *ret = (struct str){out, n};
    return 0;
}

static bool scheme_char(char c, size_t at)
{
    bool letter = c >= 'a' && c <= 'z';
    return letter || (at > 0 && ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'));
}

static int read_scheme(struct arena *a, struct str s, struct uri *u, struct error *err)
{
    struct str copy = arena_copy(a, s);
    char *p = arena_alloc(a, s.n + 1);
    for (size_t i = 0; i < s.n; i++) {
        p[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i];
        if (!scheme_char(p[i], i)) {
            return error_set(err, -EINVAL, "'%s' is not a URI scheme", copy.p);
        }
    }
    p[s.n] = '\0';
    u->scheme = (struct str){p, s.n};
    return 0;
}

static int read_option(struct arena *a, struct str text, struct uri *u, struct error *err)
{
    struct uri_option *option = &u->options[u->n_options];
    struct str key, value = text;
    str_split(&value, '=', &key);
    if (decode(a, key, &option->key) < 0 || decode(a, value, &option->value) < 0) {
        return error_set(err, -EINVAL, "'%s': bad %%-escape in option " STR_FMT, show(u->text).text,
                         STR_ARG(key));
    }
    if (!utf8_valid(option->key) || !utf8_valid(option->value)) {
        return error_set(err, -EINVAL, "'%s': option " STR_FMT " is not UTF-8", show(u->text).text,
                         STR_ARG(key));
    }
    if (option->key.n == 0) {
        return error_set(err, -EINVAL, "'%s': an option without a name", show(u->text).text);
    }
    if (str_present(uri_option(u, option->key.p))) {
        return error_set(err, -EINVAL, "'%s': option '%s' is given twice", show(u->text).text,
                         option->key.p);
    }
    u->n_options++;
    return 0;
}

static int read_options(struct arena *a, struct str text, struct uri *u, struct error *err)
{
    if (text.n == 0) {
        return 0;
    }
    u->options = arena_alloc(a, URI_OPTIONS_MAX * sizeof(u->options[0]));
    for (struct str one; str_split(&text, '&', &one);) {
        if (u->n_options == URI_OPTIONS_MAX) {
            return error_set(err, -EINVAL, "'%s': more than %d options", show(u->text).text,
                             URI_OPTIONS_MAX);
        }
        int r = read_option(a, one, u, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int uri_parse(struct arena *a, struct str text, struct uri *ret, struct error *err)
{
    *ret = (struct uri){0};
    if (text.n > URI_MAX) {
        return error_set(err, -EINVAL, "URI longer than %d bytes", URI_MAX);
    }
    ret->text = arena_copy(a, text);
    const char *colon = text.n ? memchr(text.p, ':', text.n) : NULL;
    if (colon == NULL || colon == text.p) {
        return error_set(err, -EINVAL, "'%s' has no scheme: expected SCHEME:REST, like file:-",
                         show(text).text);
    }
    struct str scheme = {text.p, (size_t)(colon - text.p)};
    int r = read_scheme(a, scheme, ret, err);
    if (r < 0) {
        return r;
    }
    struct str path = {colon + 1, text.n - scheme.n - 1}, options = STR_NONE;
    const char *query = path.n ? memrchr(path.p, '?', path.n) : NULL;
    if (query) {
        options = (struct str){query + 1, path.n - (size_t)(query + 1 - path.p)};
        path.n = (size_t)(query - path.p);
    }
    if (decode(a, path, &ret->path) < 0) {
        return error_set(err, -EINVAL, "'%s': bad %%-escape", show(text).text);
    }
    return read_options(a, options, ret, err);
}

struct str uri_option(const struct uri *u, const char *key)
{
    for (size_t i = 0; i < u->n_options; i++) {
        if (str_eq(u->options[i].key, str_of(key))) {
            return u->options[i].value;
        }
    }
    return STR_NONE;
}

static bool is_integer(struct str s)
{
    size_t i = s.n > 0 && s.p[0] == '-';
    bool any = i < s.n;
    for (; i < s.n; i++) {
        any = any && s.p[i] >= '0' && s.p[i] <= '9';
    }
    return any;
}

int uri_option_i64(const struct uri *u, const char *key, int64_t min, int64_t max, int64_t *ret,
                   struct error *err)
{
    struct str s = uri_option(u, key);
    int64_t v;
    if (!str_present(s)) {
        return 0;
    }
    if (!is_integer(s) || decimal_parse(s, 0, &v) < 0 || v < min || v > max) {
        return error_set(err, -EINVAL,
                         "'%s': option %s=" STR_FMT " must be a whole number from %lld to %lld",
                         show(u->text).text, key, STR_ARG(s), (long long)min, (long long)max);
    }
    *ret = v;
    return 0;
}

// strtod alone would take hexadecimal, infinities, white space and trailing text.
static bool parse_double(struct str s, double *ret)
{
    char text[NUMBER_TEXT_MAX];
    if (s.n == 0 || s.n >= sizeof(text)) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    if (strspn(text, "0123456789.-+eE") != s.n || text[0] == '+') {
        return false;
    }
    char *end;
    *ret = strtod(text, &end);
    return *end == '\0' && isfinite(*ret);
}

int uri_option_double(const struct uri *u, const char *key, double min, double max, double *ret,
                      struct error *err)
{
    struct str s = uri_option(u, key);
    double v;
    if (!str_present(s)) {
        return 0;
    }
    if (!parse_double(s, &v) || v < min || v > max) {
        return error_set(err, -EINVAL, "'%s': option %s=" STR_FMT " must be a number from %g to %g",
                         show(u->text).text, key, STR_ARG(s), min, max);
    }
    *ret = v;
    return 0;
}

int uri_option_duration(const struct uri *u, const char *key, int64_t *ret, struct error *err)
{
    struct str s = uri_option(u, key);
    int64_t v;
    if (!str_present(s)) {
        return 0;
    }
    if (duration_parse(s, &v) < 0) {
        return error_set(err, -EINVAL,
                         "'%s': option %s=" STR_FMT " must be a duration, like 250ms, 5m or 1h30m",
                         show(u->text).text, key, STR_ARG(s));
    }
    *ret = v;
    return 0;
}

int uri_option_money(const struct uri *u, const char *key, int64_t *ret_nusd, struct error *err)
{
    struct str s = uri_option(u, key);
    int64_t v;
    if (!str_present(s)) {
        return 0;
    }
    if (decimal_parse(s, 9, &v) < 0 || v < 0) {
        return error_set(err, -EINVAL,
                         "'%s': option %s=" STR_FMT " must be an amount in USD, like 2.5",
                         show(u->text).text, key, STR_ARG(s));
    }
    *ret_nusd = v;
    return 0;
}

static bool is_named(struct str key, struct str known)
{
    bool prefix = str_ends(known, STR("*"));
    known.n -= prefix;
    return prefix ? str_starts(key, known) && key.n > known.n : str_eq(key, known);
}

static bool is_known(struct str key, const char *const *known)
{
    while (*known && !is_named(key, str_of(*known))) {
        known++;
    }
    return *known != NULL;
}

static int unknown_option(const struct uri *u, struct str key, const char *const *known,
                          struct error *err)
{
    struct buf list;
    buf_init(&list, ERROR_MSG_MAX);
    for (size_t i = 0; known[i]; i++) {
        buf_printf(&list, "%s%s", i ? ", " : "", known[i]);
    }
    int r = error_set(err, -EINVAL, "'%s': unknown option '" STR_FMT "'; known are: " STR_FMT,
                      show(u->text).text, STR_ARG(key),
                      STR_ARG(list.n ? buf_view(&list) : STR("none")));
    buf_done(&list);
    return r;
}

int uri_options_known(const struct uri *u, const char *const *known, struct error *err)
{
    for (size_t i = 0; i < u->n_options; i++) {
        if (!is_known(u->options[i].key, known)) {
            return unknown_option(u, u->options[i].key, known, err);
        }
    }
    return 0;
}
