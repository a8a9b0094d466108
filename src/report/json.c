#include "report/json.h"

#include <math.h>
#include <stdio.h>

#include "base/decimal.h"
#include "base/time.h"

enum { NAME_BYTES = 64 };
#define EXACT_IN_DOUBLE ((i128)1 << 53)

void json_name(struct json *j, const char *name)
{
    if (j->comma) {
        buf_char(j->b, ',');
    }
    j->comma = true;
    if (name) {
        buf_json_str(j->b, str_of(name));
        buf_char(j->b, ':');
    }
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

void json_int(struct json *j, const char *name, i128 v)
{
    json_name(j, name);
    decimal_format_i128(j->b, v, 0);
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

void json_decimal(struct json *j, const char *name, i128 v, int scale)
{
    json_name(j, name);
    buf_char(j->b, '"');
    decimal_format_i128(j->b, v, scale);
    buf_char(j->b, '"');
}

void json_money(struct json *j, const char *prefix, bool known, i128 nusd)
{
    char nano[NAME_BYTES], usd[NAME_BYTES];
    snprintf(nano, sizeof(nano), "%s_nusd", prefix);
    snprintf(usd, sizeof(usd), "%s_usd", prefix);
    if (!known) {
        json_null(j, nano);
        json_null(j, usd);
        return;
    }
    if (nusd < EXACT_IN_DOUBLE && nusd > -EXACT_IN_DOUBLE) {
        json_int(j, nano, nusd);
    } else {
        json_decimal(j, nano, nusd, 0);
    }
    json_decimal(j, usd, nusd, JSON_USD_SCALE);
}
