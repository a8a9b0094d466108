#include "api/params.h"

#include <errno.h>

#include "base/decimal.h"
#include "base/utf8.h"

enum { NANO = 9 };

static bool is_clean(struct str s)
{
    size_t len;
    for (size_t i = 0; i < s.n; i += len) {
        len = utf8_length(s.p + i, s.n - i);
        if (len == 0 || (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static int take_text(struct str value, struct str *ret, struct error *err)
{
    if (value.n > PARAM_TEXT_MAX) {
        return error_set(err, -EINVAL, "more than %d bytes", PARAM_TEXT_MAX);
    }
    if (!is_clean(value)) {
        return error_set(err, -EINVAL, "write it in UTF-8 without control characters");
    }
    *ret = str_present(value) ? value : STR("");
    return 0;
}

static int take_texts(struct str value, struct texts *t, struct arena *a, struct error *err)
{
    if (t->n == PARAM_TEXTS_MAX) {
        return error_set(err, -EINVAL, "given more than %d times: choose fewer", PARAM_TEXTS_MAX);
    }
    if (t->n == 0) {
        t->v = arena_alloc(a, PARAM_TEXTS_MAX * sizeof(t->v[0]));
    }
    int r = take_text(value, &t->v[t->n], err);
    t->n += r == 0;
    return r;
}

static int take_int(const struct param *p, struct str value, int64_t *ret, struct error *err)
{
    int64_t v = 0;
    bool digits = value.n > 0 && value.n <= 18;
    for (size_t i = 0; i < value.n && digits; i++) {
        digits = value.p[i] >= '0' && value.p[i] <= '9';
        v = v * 10 + (value.p[i] - '0');
    }
    if (!digits || v < p->least || v > p->most) {
        return error_set(err, -EINVAL, "'" STR_FMT "' must be a number from %lld to %lld",
                         STR_ARG(value), (long long)p->least, (long long)p->most);
    }
    *ret = v;
    return 0;
}

static int take_flag(struct str value, bool *ret, struct error *err)
{
    bool yes = str_eq(value, STR("true")) || str_eq(value, STR("1"));
    if (!yes && !str_eq(value, STR("false")) && !str_eq(value, STR("0"))) {
        return error_set(err, -EINVAL, "'" STR_FMT "' must be true or false", STR_ARG(value));
    }
    *ret = yes;
    return 0;
}

static int take_choice(const struct param *p, struct str value, int *ret, struct error *err)
{
    struct buf list;
    for (int i = 0; p->choices[i]; i++) {
        if (str_eq(value, str_of(p->choices[i]))) {
            *ret = i;
            return 0;
        }
    }
    buf_init(&list, PARAM_TEXT_MAX);
    for (int i = 0; p->choices[i]; i++) {
        buf_printf(&list, "%s%s", i ? ", " : "", p->choices[i]);
    }
    int r = error_set(err, -EINVAL, "'" STR_FMT "' must be one of " STR_FMT, STR_ARG(value),
                      STR_ARG(buf_view(&list)));
    buf_done(&list);
    return r;
}

static int take_time(struct str value, struct time_spec *ret, struct error *err)
{
    if (!str_present(value) || !is_clean(value) || time_spec_parse(value, ret) < 0) {
        return error_set(err, -EINVAL,
                         "'" STR_FMT "' is no time: write 24h or 7d (before now), today, "
                         "2026-11-23, or 2026-11-23T14:00:00Z (a + as %%2B)",
                         STR_ARG(value));
    }
    return 0;
}

// A plus that was not encoded has become a space on its way.
static int take_zone(struct str value, const struct zone **ret, struct arena *a, struct error *err)
{
    struct str name = arena_copy(a, str_present(value) ? value : STR(""));
    if (name.n > 0 && name.p[0] == ' ') {
        ((char *)(uintptr_t)name.p)[0] = '+';
    }
    return zone_load(name, a, ret, err);
}

static int take_dims(struct str value, struct dims *ret, struct error *err)
{
    int r = report_dims_parse(str_present(value) ? value : STR(""), ret->v, &ret->n, err);
    for (size_t i = 0; r == 0 && i < ret->n; i++) {
        if (ret->v[i] >= DIM_HOUR && ret->v[i] <= DIM_TIME) {
            r = error_set(err, -EINVAL,
                          "time is no dimension here: ask for it by step, and group by model, "
                          "tenant, gpu, host, site, kind");
        }
    }
    return r;
}

static int take_step(struct str value, int64_t *ret, struct error *err)
{
    if (str_eq(value, STR("none"))) {
        *ret = 0;
        return 0;
    }
    return report_step_parse(value, ret, err);
}

static int take_money(struct str value, int64_t *ret, struct error *err)
{
    int64_t v;
    if (value.n > 64 || decimal_parse(value, NANO, &v) < 0 || v < 0) {
        return error_set(err, -EINVAL, "'%.*s' is no amount of USD: write 0.25",
                         (int)MIN(value.n, (size_t)64), value.p ? value.p : "");
    }
    *ret = v;
    return 0;
}

static int take(const struct param *p, struct str value, void *into, struct arena *a,
                struct error *err)
{
    void *at = (char *)into + p->offset;
    switch (p->type) {
    case PARAM_TEXT:
        return take_text(value, at, err);
    case PARAM_TEXTS:
        return take_texts(value, at, a, err);
    case PARAM_INT:
        return take_int(p, value, at, err);
    case PARAM_FLAG:
        return take_flag(value, at, err);
    case PARAM_CHOICE:
        return take_choice(p, value, at, err);
    case PARAM_TIME:
        return take_time(value, at, err);
    case PARAM_ZONE:
        return take_zone(value, at, a, err);
    case PARAM_STEP:
        return take_step(value, at, err);
    case PARAM_DIMS:
        return take_dims(value, at, err);
    case PARAM_MONEY:
        return take_money(value, at, err);
    }
    return -EINVAL;
}

static const struct param *find_param(const struct param *table, struct str name)
{
    for (const struct param *p = table; p && p->name; p++) {
        if (str_eq(name, str_of(p->name))) {
            return p;
        }
    }
    return NULL;
}

static int refuse_unknown(const struct param *table, struct error *err)
{
    struct buf list;
    buf_init(&list, PARAM_TEXT_MAX);
    for (const struct param *p = table; p && p->name; p++) {
        buf_printf(&list, "%s%s", list.n ? ", " : ": it knows ", p->name);
    }
    int r = error_set(err, -EINVAL, "this route knows no such parameter" STR_FMT,
                      STR_ARG(buf_view(&list)));
    buf_done(&list);
    return r;
}

static int set_fallbacks(const struct param *table, void *into, struct arena *a, struct error *err)
{
    int r = 0;
    for (const struct param *p = table; p && p->name && r == 0; p++) {
        r = p->fallback ? take(p, str_of(p->fallback), into, a, err) : 0;
    }
    return r;
}

int params_parse(const struct param *table, const struct param_pair *pairs, size_t n, void *into,
                 struct arena *a, struct str *ret_name, struct error *err)
{
    int r = set_fallbacks(table, into, a, err);
    *ret_name = STR("");
    for (size_t i = 0; i < n && r == 0; i++) {
        const struct param *p = find_param(table, pairs[i].name);
        *ret_name = pairs[i].name;
        if (!p) {
            return refuse_unknown(table, err);
        }
        for (size_t k = 0; k < i && p->type != PARAM_TEXTS; k++) {
            if (str_eq(pairs[k].name, pairs[i].name)) {
                return error_set(err, -EINVAL, "this is given twice: send it once");
            }
        }
        r = take(p, pairs[i].value, into, a, err);
    }
    return r;
}
