// JSON objects, written field by field. No tree is built: the writer only knows whether a comma is
// due.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/wide.h"

struct json {
    struct buf *b;
    bool comma;
};

// name NULL: an element of an array, or the outermost value. Names are written as they are: one
// needs no escaping.
void json_open(struct json *j, const char *name, char bracket); // '{' or '['
void json_close(struct json *j, char bracket);                  // '}' or ']'
void json_name(struct json *j, const char *name);              // for a value that the caller writes
void json_str(struct json *j, const char *name, struct str s); // absent is null
void json_int(struct json *j, const char *name, i128 v);
void json_double(struct json *j, const char *name, double v); // not finite is null
void json_bool(struct json *j, const char *name, bool v);
void json_null(struct json *j, const char *name);
// Null where it is not known.
void json_int_known(struct json *j, const char *name, bool known, i128 v);
void json_double_known(struct json *j, const char *name, bool known, double v);
void json_time(struct json *j, const char *name, int64_t t);    // ISO 8601
void json_instant(struct json *j, const char *name, int64_t t); // INT64_MIN, INT64_MAX: null
// v / 10^scale, all its digits, as text; of nano-USD, USD.
enum { JSON_USD_SCALE = 9 };
void json_decimal(struct json *j, const char *name, i128 v, int scale);
// For the prefix "cost": "cost_nusd", an integer (as text from 2^53 on, where numbers of others are
// not exact), and "cost_usd" as text. Not known: both null.
void json_money(struct json *j, const char *prefix, bool known, i128 nusd);
