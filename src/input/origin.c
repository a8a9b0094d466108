#include "input/origin.h"

#include <assert.h>
#include <sys/random.h>

#include "base/hash.h"
#include "base/time.h"

enum { FINGERPRINT_DIGITS = 12, NUMBER_DIGITS = 12, NUMBER_DIGITS_MAX = 19 };

void origin_init(struct origin *o, struct str name, uint64_t fingerprint)
{
    size_t most = sizeof(o->prefix) - FINGERPRINT_DIGITS - 2;
    o->n = 0;
    for (size_t i = 0; i < name.n && i < most; i++) {
        char c = name.p[i];
        o->prefix[o->n++] = c > ' ' && c <= '~' ? c : '_';
    }
    o->prefix[o->n++] = '#';
    for (int shift = 4 * (FINGERPRINT_DIGITS - 1); shift >= 0; shift -= 4) {
        o->prefix[o->n++] = "0123456789abcdef"[(fingerprint >> shift) & 0xf];
    }
    o->prefix[o->n++] = ':';
}

struct str origin_file_name(struct str path)
{
    const char *slash = memrchr(path.p, '/', path.n);
    return slash ? (struct str){slash + 1, path.n - (size_t)(slash + 1 - path.p)} : path;
}

struct str origin_id(const struct origin *o, int64_t number, struct arena *a)
{
    assert(number > 0);
    char digits[NUMBER_DIGITS_MAX];
    size_t n = 0;
    for (int64_t v = number; v > 0 || n < NUMBER_DIGITS; v /= 10) {
        digits[n++] = (char)('0' + v % 10);
    }
    char *id = arena_alloc(a, o->n + n + 1);
    memcpy(id, o->prefix, o->n);
    for (size_t i = 0; i < n; i++) {
        id[o->n + i] = digits[n - 1 - i];
    }
    id[o->n + n] = '\0';
    return (struct str){id, o->n + n};
}

uint64_t origin_random(void)
{
    uint64_t v = 0;
    if (getrandom(&v, sizeof(v), 0) != (ssize_t)sizeof(v)) {
        // Before the kernel's pool is ready: two runs still differ in time and place.
        int64_t seen[] = {clock_wall(&clock_system), clock_mono(&clock_system).ns,
                          (int64_t)(intptr_t)&v};
        v = hash_bytes(seen, sizeof(seen), 0);
    }
    return v;
}
