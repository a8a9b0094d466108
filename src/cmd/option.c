#include "cmd/option.h"

#include <errno.h>

#include "base/decimal.h"
#include "cost/settings.h"
#include "model/record.h"

enum { MESSAGE_MAX = 400, USD_SCALE = 9, LIST_MAX = 1024, NAME_MAX_BYTES = 96 };

static void *member(const struct option *o, void *base)
{
    return (char *)base + o->offset;
}

static int parse_flag(const struct option *o, struct str text, void *base, struct error *err)
{
    static const char *const yes[] = {"yes", "true", "on", "1"}, *const no[] = {"no", "false",
                                                                                "off", "0"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (str_eq(text, str_of(yes[i])) || str_eq(text, str_of(no[i]))) {
            *(bool *)member(o, base) = str_eq(text, str_of(yes[i]));
            return 0;
        }
    }
    return error_set(err, -EINVAL, "must be yes or no, not '" STR_FMT "'", STR_ARG(text));
}

static int parse_int(const struct option *o, struct str text, void *base, struct error *err)
{
    int64_t v;
    bool whole = memchr(text.p, '.', text.n) == NULL;
    if (!whole || decimal_parse(text, 0, &v) < 0 || v < o->least || v > o->most) {
        return error_set(err, -EINVAL,
                         "must be a whole number from %lld to %lld, not '" STR_FMT "'",
                         (long long)o->least, (long long)o->most, STR_ARG(text));
    }
    *(int64_t *)member(o, base) = v;
    return 0;
}

static int parse_duration(const struct option *o, struct str text, void *base, struct error *err)
{
    int64_t v;
    if (duration_parse(text, &v) < 0) {
        return error_set(err, -EINVAL,
                         "must be a duration such as 90s, 5m, 24h or 7d, not '" STR_FMT "'",
                         STR_ARG(text));
    }
    *(int64_t *)member(o, base) = v;
    return 0;
}

static int parse_money(const struct option *o, struct str text, void *base, struct error *err)
{
    int64_t v = PRICE_NONE;
    bool none = str_eq(text, STR("none"));
    if (!none && (decimal_parse(text, USD_SCALE, &v) < 0 || v < 0 || v > RECORD_PRICE_MAX)) {
        return error_set(err, -EINVAL,
                         "must be an amount in USD such as 2.95, or none, not '" STR_FMT "'",
                         STR_ARG(text));
    }
    *(int64_t *)member(o, base) = v;
    return 0;
}

static int parse_time(const struct option *o, struct str text, void *base, struct error *err)
{
    struct time_spec spec;
    if (time_spec_parse(text, &spec) < 0) {
        return error_set(
            err, -EINVAL,
            "must be a time such as 24h (ago), 2026-11-23 or 2026-11-23T14:00:00Z, not "
            "'" STR_FMT "'",
            STR_ARG(text));
    }
    *(struct time_spec *)member(o, base) = spec;
    return 0;
}

static int parse_choice(const struct option *o, struct str text, void *base, struct error *err)
{
    struct buf known;
    buf_init(&known, MESSAGE_MAX);
    for (int i = 0; o->choices[i]; i++) {
        if (str_eq(text, str_of(o->choices[i]))) {
            *(int *)member(o, base) = i;
            buf_done(&known);
            return 0;
        }
        buf_printf(&known, "%s%s", i == 0 ? "" : o->choices[i + 1] ? ", " : " or ", o->choices[i]);
    }
    int r = error_set(err, -EINVAL, "must be " STR_FMT ", not '" STR_FMT "'",
                      STR_ARG(buf_view(&known)), STR_ARG(text));
    buf_done(&known);
    return r;
}

static int append(const struct option *o, const char *text, void *base, struct arena *a,
                  struct error *err)
{
    struct text_list *list = member(o, base);
    if (list->n >= LIST_MAX) {
        return error_set(err, -EINVAL, "is given more than %d times", LIST_MAX);
    }
    const char **items = arena_alloc(a, (list->n + 1) * sizeof(*items));
    if (list->n > 0) {
        memcpy(items, list->items, list->n * sizeof(*items));
    }
    items[list->n++] = text;
    list->items = items;
    return 0;
}

int option_parse(const struct option *o, const char *text, void *base, struct arena *a,
                 struct error *err)
{
    struct str s = str_of(text);
    switch (o->type) {
    case OPTION_FLAG:
        return parse_flag(o, s, base, err);
    case OPTION_TEXT:
        *(const char **)member(o, base) = text;
        return 0;
    case OPTION_INT:
        return parse_int(o, s, base, err);
    case OPTION_DURATION:
        return parse_duration(o, s, base, err);
    case OPTION_MONEY:
        return parse_money(o, s, base, err);
    case OPTION_TIME:
        return parse_time(o, s, base, err);
    case OPTION_CHOICE:
        return parse_choice(o, s, base, err);
    case OPTION_LIST:
        break;
    }
    return append(o, text, base, a, err);
}

static void add_upper(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        buf_char(b, c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c);
    }
}

static const char *derived_env(const struct option *o, struct str section, struct arena *a)
{
    struct buf name;
    buf_init(&name, NAME_MAX_BYTES);
    buf_cstr(&name, "GTAP_");
    if (!o->shared) {
        add_upper(&name, section);
        buf_char(&name, '_');
    }
    add_upper(&name, str_of(o->key));
    const char *copy = arena_copy(a, buf_view(&name)).p;
    buf_done(&name);
    return copy;
}

const char *option_env(const struct option *o, struct str section, size_t i, struct arena *a)
{
    struct str rest = str_of(o->env), name;
    while (str_split(&rest, ' ', &name)) {
        if (i-- == 0) {
            return arena_copy(a, name).p;
        }
    }
    return i == 0 && o->key ? derived_env(o, section, a) : NULL;
}

const char *option_mask(const struct option *o, const char *text, struct arena *a)
{
    if (o->secrecy == OPTION_PUBLIC) {
        return text;
    }
    if (o->secrecy == OPTION_SECRET) {
        return "(secret)";
    }
    const char *authority = strstr(text, "//");
    const char *at = authority ? strrchr(authority, '@') : NULL;
    const char *colon = at ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
    if (colon == NULL) {
        return text;
    }
    struct buf masked;
    buf_init(&masked, strlen(text) + sizeof(":***"));
    buf_printf(&masked, "%.*s:***%s", (int)(colon - text), text, at);
    const char *copy = arena_copy(a, buf_view(&masked)).p;
    buf_done(&masked);
    return copy;
}
