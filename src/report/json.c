#include "report/json.h"

#include <math.h>
#include <string.h>

#include "base/decimal.h"
#include "base/time.h"

#define EXACT_IN_DOUBLE ((i128)1 << 53)

// `,"name_suffix":` at once: answers have many names, and few bytes between them.
static void put_name(struct json *j, const char *name, const char *suffix)
{
    size_t n = strlen(name), more = strlen(suffix), room = n + more + 4;
    bool fits = !j->b->failed && room < j->b->cap - j->b->n && room <= j->b->limit - j->b->n;
    char *at = fits ? j->b->p + j->b->n : buf_reserve(j->b, room);
    if (at == NULL) {
        return;
    }
    char *const begin = at;
    if (j->comma) {
        *at++ = ',';
    }
    *at++ = '"';
    memcpy(at, name, n);
    memcpy(at + n, suffix, more);
    at += n + more;
    *at++ = '"';
    *at++ = ':';
    *at = '\0';
    j->b->n += (size_t)(at - begin);
    j->comma = true;
}

void json_name(struct json *j, const char *name)
{
    if (name) {
        put_name(j, name, "");
        return;
    }
    if (j->comma) {
        buf_char(j->b, ',');
    }
    j->comma = true;
}

void json_open(struct json *j, const char *name, char bracket)
{
    json_name(j, name);
    buf_char(j->b, bracket);
    j->comma = false;
}

void json_close(struct json *j, char bracket)
{
    buf_char(j->b, bracket);
    j->comma = true;
}

void json_str(struct json *j, const char *name, struct str s)
{
    json_name(j, name);
    buf_json_str(j->b, s);
}

static void put_int(struct json *j, i128 v)
{
    if (v >= INT64_MIN && v <= INT64_MAX) { // most are
        buf_i64(j->b, (int64_t)v);
    } else {
        decimal_format_i128(j->b, v, 0);
    }
}

void json_int(struct json *j, const char *name, i128 v)
{
    json_name(j, name);
    put_int(j, v);
}

void json_double(struct json *j, const char *name, double v)
{
    json_name(j, name);
    if (isfinite(v)) {
        buf_double(j->b, v);
    } else {
        buf_cstr(j->b, "null");
    }
}

void json_bool(struct json *j, const char *name, bool v)
{
    json_name(j, name);
    buf_cstr(j->b, v ? "true" : "false");
}

void json_null(struct json *j, const char *name)
{
    json_name(j, name);
    buf_cstr(j->b, "null");
}

void json_int_known(struct json *j, const char *name, bool known, i128 v)
{
    if (known) {
        json_int(j, name, v);
    } else {
        json_null(j, name);
    }
}

void json_double_known(struct json *j, const char *name, bool known, double v)
{
    json_double(j, name, known ? v : (double)NAN);
}

void json_time(struct json *j, const char *name, int64_t t)
{
    json_name(j, name);
    buf_char(j->b, '"');
    time_format_iso(j->b, t);
    buf_char(j->b, '"');
}

void json_instant(struct json *j, const char *name, int64_t t)
{
    if (t == INT64_MIN || t == INT64_MAX) {
        json_null(j, name);
    } else {
        json_time(j, name, t);
    }
}

static void put_decimal(struct json *j, i128 v, int scale)
{
    buf_char(j->b, '"');
    decimal_format_i128(j->b, v, scale);
    buf_char(j->b, '"');
}

void json_decimal(struct json *j, const char *name, i128 v, int scale)
{
    json_name(j, name);
    put_decimal(j, v, scale);
}

void json_money(struct json *j, const char *prefix, bool known, i128 nusd)
{
    bool exact = nusd < EXACT_IN_DOUBLE && nusd > -EXACT_IN_DOUBLE;
    put_name(j, prefix, "_nusd");
    if (!known) {
        buf_cstr(j->b, "null");
    } else if (exact) {
        put_int(j, nusd);
    } else {
        put_decimal(j, nusd, 0);
    }
    put_name(j, prefix, "_usd");
    if (!known) {
        buf_cstr(j->b, "null");
    } else {
        put_decimal(j, nusd, JSON_USD_SCALE);
    }
}
