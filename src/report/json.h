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

// name NULL: an element of an array, or the outermost value.
void json_open(struct json *j, const char *name, char bracket); // '{' or '['
void json_close(struct json *j, char bracket);                  // '}' or ']'
void json_name(struct json *j, const char *name);              // for a value that the caller writes
void json_str(struct json *j, const char *name, struct str s); // absent is null
void json_int(struct json *j, const char *name, i128 v);
void json_double(struct json *j, const char *name, double v); // not finite is null
void json_bool(struct json *j, const char *name, bool v);
void json_null(struct json *j, const char *name);
void json_time(struct json *j, const char *name, int64_t t); // ISO 8601
