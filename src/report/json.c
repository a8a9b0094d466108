#include "report/json.h"

#include <math.h>

#include "base/decimal.h"
#include "base/time.h"

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
