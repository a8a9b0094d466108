// Errors at I/O borders: a caller-owned value with a code, whether trying again may help, and a
// sentence for a person. Inside a layer, functions return 0 or a negative errno.
//
// The sentence says what failed and on what, lower case, no full stop; what is lost or safe and
// what to do next is added by whoever knows. Nothing here logs or exits: only src/cmd does.
#pragma once

#include <stdbool.h>

#include "base/macros.h"

enum { ERROR_MSG_MAX = 512 };

struct error {
    int code; // 0, or a negative errno
    bool retryable;
    char msg[ERROR_MSG_MAX]; // UTF-8, cut at ERROR_MSG_MAX - 1 bytes
};

// Fills *ret (which may be NULL) and returns code, so that `return error_set(err, -EIO, ...)` reads
// as one expression. code must be negative. retryable is set for -EAGAIN, -EBUSY and -ETIMEDOUT.
int error_set(struct error *ret, int code, const char *fmt, ...) GTAP_PRINTF(3, 4);

// Puts "<fmt>: " in front of the message already in *err; returns err->code.
int error_prefix(struct error *err, const char *fmt, ...) GTAP_PRINTF(2, 3);

// The C library's words for a negative errno, never NULL. Thread-safe.
const char *error_name(int code);
