#include "base/uuid.h"

#include <stdbool.h>
#include <sys/random.h>

#include "base/macros.h"
#include "base/time.h"

enum { FRACTION_BITS = 12 };

// Bits that no two processes share. Without the system's generator the clock and our address in
// memory have to do; getrandom() fails only on kernels older than Debian 12 knows.
static void seed(struct uuid7 *g, int64_t now)
{
    if (getrandom(g->state, sizeof(g->state), 0) != (ssize_t)sizeof(g->state)) {
        g->state[0] = (uint64_t)now;
        g->state[1] = (uint64_t)(uintptr_t)g;
    }
    g->state[0] |= 1; // never all zero
}

// xoroshiro128+ (Blackman and Vigna): ids must differ, not be secret.
static uint64_t draw(struct uuid7 *g)
{
    uint64_t a = g->state[0], b = g->state[1], sum = a + b;
    b ^= a;
    g->state[0] = (a << 24 | a >> 40) ^ b ^ b << 16;
    g->state[1] = b << 37 | b >> 27;
    return sum;
}

// Milliseconds since the epoch, and behind them the fraction of one in 2^-12.
static int64_t id_time(int64_t now)
{
    int64_t ms = now / NS_PER_MS, rest = now % NS_PER_MS;
    return ms << FRACTION_BITS | (rest << FRACTION_BITS) / NS_PER_MS;
}

static void put_hex(uint64_t v, int digits, char *ret)
{
    static const char hex[] = "0123456789abcdef";
    for (int i = digits - 1; i >= 0; i--) {
        ret[i] = hex[v & 15];
        v >>= 4;
    }
}

void uuid7_next(struct uuid7 *g, int64_t now, char ret[UUID_TEXT])
{
    if (g->state[0] == 0 && g->state[1] == 0) {
        seed(g, now);
    }
    int64_t at = now > 0 ? id_time(now) : 0;
    g->last = MAX(at, g->last + 1);
    uint64_t time = (uint64_t)g->last, random = draw(g);
    put_hex(time >> (FRACTION_BITS + 16), 8, ret);
    ret[8] = '-';
    put_hex(time >> FRACTION_BITS & 0xffff, 4, ret + 9);
    ret[13] = '-';
    put_hex(0x7000 | (time & 0xfff), 4, ret + 14);
    ret[18] = '-';
    put_hex(0x8000 | (random >> 48 & 0x3fff), 4, ret + 19);
    ret[23] = '-';
    put_hex(random, 12, ret + 24);
}
