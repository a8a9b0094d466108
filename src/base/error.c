#define _GNU_SOURCE 1 // strerrordesc_np
#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// A message cut inside a character would not be UTF-8 any more.
static void drop_partial_char(char *msg)
{
    size_t n = strlen(msg), lead = n;
    if (n < ERROR_MSG_MAX - 1) {
        return;
    }
    while (lead > 0 && n - lead < 4 && ((unsigned char)msg[lead - 1] & 0xc0) == 0x80) {
        lead--;
    }
    if (lead == 0 || (unsigned char)msg[lead - 1] < 0xc0) {
        return;
    }
    unsigned char c = (unsigned char)msg[lead - 1];
    size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (n - (lead - 1) < want) {
        msg[lead - 1] = '\0';
    }
}

int error_set(struct error *ret, int code, const char *fmt, ...)
{
    assert(code < 0);
    if (ret == NULL) {
        return code;
    }
    ret->code = code;
    ret->retryable = code == -EAGAIN || code == -EBUSY || code == -ETIMEDOUT;

    va_list args;
    va_start(args, fmt);
    char msg[ERROR_MSG_MAX]; // the arguments may point into ret->msg
    vsnprintf(msg, sizeof(msg), fmt, args);
    va_end(args);
    drop_partial_char(msg);
    memcpy(ret->msg, msg, strlen(msg) + 1);
    return code;
}

int error_prefix(struct error *err, const char *fmt, ...)
{
    char prefix[ERROR_MSG_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(prefix, sizeof(prefix), fmt, args);
    va_end(args);

    char whole[2 * ERROR_MSG_MAX + 2];
    snprintf(whole, sizeof(whole), "%s: %s", prefix, err->msg);
    whole[ERROR_MSG_MAX - 1] = '\0';
    drop_partial_char(whole);
    memcpy(err->msg, whole, strlen(whole) + 1);
    return err->code;
}

const char *error_name(int code)
{
    unsigned value = code < 0 ? -(unsigned)code : (unsigned)code;
    const char *words = strerrordesc_np((int)value);
    return words ? words : "unknown error";
}
