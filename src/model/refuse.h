// What the sender of a bad record is told. All set *err and return -EINVAL. Internal to model/.
#pragma once

#include "model/fields.h"

#ifdef __cplusplus
extern "C" {
#endif

// "not JSON: <what>".
int refuse_text(struct error *err, const char *what);

// "not JSON: unexpected x at byte 17": at a byte of the text that cannot stand there. Bytes are
// counted from 1.
int refuse_byte(struct error *err, struct str text, const char *at);

// A text whose braces do not pair up: "ends too early", or the first byte behind its end.
int refuse_braces(struct error *err, struct str text);

// A string that does not unescape.
int refuse_string(struct error *err, struct str text, const char *at);

// "field: <problem> (<token>)", the token cut to what reads well.
int refuse_value(struct error *err, const struct field *f, const char *problem, struct str token);

// "field: wrong type (a string), expected <expected>"; of malformed tokens, refuse_byte().
int refuse_type(struct error *err, struct str text, const struct field *f, struct str token,
                const char *expected);

// A text that is no object.
int refuse_root(struct error *err, struct str text);

#ifdef __cplusplus
}
#endif
