#include "base/alloc.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void *checked(void *p, size_t size)
{
    if (p == NULL) {
        fprintf(stderr, "gtap: out of memory (%zu bytes asked for)\n", size);
        abort();
    }
    return p;
}

static size_t array_size(size_t n, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(n, size, &total)) {
        checked(NULL, SIZE_MAX);
    }
    return total;
}

void *x_alloc(size_t size)
{
    return checked(malloc(size ? size : 1), size);
}

void *x_zalloc(size_t size)
{
    return checked(calloc(1, size ? size : 1), size);
}

void *x_array(size_t n, size_t size)
{
    return x_zalloc(array_size(n, size));
}

void *x_realloc_array(void *p, size_t n, size_t size)
{
    size_t total = array_size(n, size);
    return checked(realloc(p, total ? total : 1), total);
}

char *x_strdup(const char *s)
{
    return x_strndup(s, strlen(s));
}

char *x_strndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *copy = x_alloc(len + 1);
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *x_asprintf(const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    size_t size = (size_t)(n < 0 ? 0 : n) + 1;
    char *text = x_zalloc(size);
    vsnprintf(text, size, fmt, again);
    va_end(again);
    return text;
}
