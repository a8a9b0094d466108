// JSON tokens (RFC 8259): what kind they are, and numbers as exact integers. What is money, time
// or a count on the wire never passes through a double.
#pragma once

#include <stdint.h>

#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

static inline bool json_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

// A token here is never empty: a whole number or literal, or what begins with ", { or [.
bool token_is_number(struct str token); // by its first byte
bool token_is_null(struct str token);
const char *token_type(struct str token); // "a string", "null", ...: for messages

// Nothing in JSON begins so, or it is a number or literal that goes wrong after its first byte.
bool token_malformed(struct str token);

// The key that begins at p in the text of an object, behind its opening quote, as it stands there.
struct str token_key(struct str text, const char *p);

// Of well-formed numbers: below zero, so not for -0.0.
bool number_negative(struct str token);

// The token times 10^scale (0..18), rounded half to even. -EINVAL: not a JSON number; -ERANGE:
// outside int64.
int number_scaled(struct str token, int scale, int64_t *ret) GTAP_CHECK;

// The same in one pass for what most numbers are: no sign, no exponent, at most 18 characters, and
// no digits to round. False for any other token.
bool number_plain(struct str token, int scale, int64_t *ret) GTAP_CHECK;

// As number_scaled() with scale 0, for tokens that are integers, however written (1, 1.0, 1e3).
// -EDOM: a number, but not an integer.
int number_integer(struct str token, int64_t *ret) GTAP_CHECK;

#ifdef __cplusplus
}
#endif
