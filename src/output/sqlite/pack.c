#include "output/sqlite/pack.h"

#include <math.h>

#include "base/hash.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "hash and energy are copied as they are");

enum {
    KIND_BITS = 3,
    METHOD_BIT = 4,
    ENERGY_BIT = 8,
    KNOWN_BITS = KIND_BITS | METHOD_BIT | ENERGY_BIT,
    HASH_BYTES = 8,
    HASH_SEED = 0, // of this format
    VARINT_MAX = 10,
    NUMBERS = 10,
    ROW_BYTES_MAX = 1 + (3 + NUMBERS) * VARINT_MAX + 8,
    PACK_BYTES_MAX = 512 << 20,
};
_Static_assert((int)ROW_UNPLACED <= (int)KIND_BITS && METHOD_EQUAL <= 1,
               "a byte has room for them");

static uint64_t hash_of(const char *p, size_t n)
{
    return hash_bytes(p + HASH_BYTES, n - HASH_BYTES, HASH_SEED);
}

// ---- writing -------------------------------------------------------------------------------

void sq_pack_init(struct buf *b)
{
    buf_init(b, PACK_BYTES_MAX);
}

void sq_pack_begin(struct buf *b)
{
    static const char hash[HASH_BYTES];
    buf_clear(b);
    buf_add(b, hash, sizeof(hash));
}

bool sq_pack_any(const struct buf *b)
{
    return b->n > HASH_BYTES;
}

void sq_pack_seal(struct buf *b)
{
    uint64_t hash = hash_of(b->p, b->n);
    memcpy(b->p, &hash, sizeof(hash));
}

static char *put_varint(char *at, uint64_t v)
{
    while (v >= 0x80) {
        *at++ = (char)(v | 0x80);
        v >>= 7;
    }
    *at++ = (char)v;
    return at;
}

static uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static char *put_numbers(char *at, const struct window_row *row)
{
    const int64_t numbers[NUMBERS] = {row->cost_nusd,         row->cost_in_nusd,
                                      row->cost_out_nusd,     row->prompt_tokens,
                                      row->completion_tokens, row->cached_prompt_tokens,
                                      row->requests,          row->unpriced_requests,
                                      row->busy_ns,           row->unpriced_ns};
    for (size_t i = 0; i < NUMBERS; i++) {
        at = put_varint(at, zigzag(numbers[i]));
    }
    return at;
}

// A column of SQLite has neither a not-a-number, which becomes NULL, nor a zero below zero: rows
// and their pack say the same.
static bool has_energy(const struct window_row *row)
{
    return row->has_energy && !isnan(row->energy_j);
}

bool sq_pack_add(struct buf *b, int64_t place, int64_t consumer, const struct window_row *row)
{
    if ((unsigned)row->kind > ROW_UNPLACED || (unsigned)row->method > METHOD_EQUAL || place < 1 ||
        consumer < 1 || row->revision < 0) {
        return false;
    }
    char *const begin = buf_reserve(b, ROW_BYTES_MAX);
    if (begin == NULL) {
        return true;
    }
    char *at = begin;
    *at++ = (char)((unsigned)row->kind | (row->method == METHOD_EQUAL ? METHOD_BIT : 0U) |
                   (has_energy(row) ? ENERGY_BIT : 0U));
    at = put_varint(at, (uint64_t)place);
    at = put_varint(at, (uint64_t)consumer);
    at = put_varint(at, (uint64_t)row->revision);
    at = put_numbers(at, row);
    if (has_energy(row)) {
        double energy = fabs(row->energy_j) > 0 ? row->energy_j : 0;
        memcpy(at, &energy, sizeof(energy));
        at += sizeof(energy);
    }
    b->n += (size_t)(at - begin);
    return true;
}

// ---- reading ---------------------------------------------------------------------------------

bool sq_pack_open(const void *p, size_t n, int64_t start, struct sq_pack *ret)
{
    uint64_t hash;
    if (p == NULL || n <= HASH_BYTES) {
        return false;
    }
    memcpy(&hash, p, sizeof(hash));
    if (hash != hash_of(p, n)) {
        return false;
    }
    const unsigned char *bytes = p;
    *ret = (struct sq_pack){.start = start, .at = bytes + HASH_BYTES, .end = bytes + n};
    return true;
}

// In as few bytes as there can be, and of 64 bits.
static bool take_varint(struct sq_pack *p, uint64_t *ret)
{
    uint64_t v = 0;
    for (unsigned shift = 0; p->at < p->end && shift < 64; shift += 7) {
        unsigned char c = *p->at++;
        v |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80) {
            *ret = v;
            return (c > 0 || shift == 0) && (shift < 63 || c == 1);
        }
    }
    return false;
}

static bool take_id(struct sq_pack *p, int64_t *ret)
{
    uint64_t v;
    bool ok = take_varint(p, &v) && v >= 1 && v <= INT64_MAX;
    *ret = ok ? (int64_t)v : 0;
    return ok;
}

static bool take_revision(struct sq_pack *p, int32_t *ret)
{
    uint64_t v;
    bool ok = take_varint(p, &v) && v <= INT32_MAX;
    *ret = ok ? (int32_t)v : 0;
    return ok;
}

static bool take_numbers(struct sq_pack *p, struct window_row *row)
{
    int64_t *const numbers[NUMBERS] = {&row->cost_nusd,         &row->cost_in_nusd,
                                       &row->cost_out_nusd,     &row->prompt_tokens,
                                       &row->completion_tokens, &row->cached_prompt_tokens,
                                       &row->requests,          &row->unpriced_requests,
                                       &row->busy_ns,           &row->unpriced_ns};
    uint64_t v;
    for (size_t i = 0; i < NUMBERS; i++) {
        if (!take_varint(p, &v)) {
            return false;
        }
        *numbers[i] = (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
    }
    return true;
}

static bool take_energy(struct sq_pack *p, double *ret)
{
    if ((size_t)(p->end - p->at) < sizeof(*ret)) {
        return false;
    }
    memcpy(ret, p->at, sizeof(*ret));
    p->at += sizeof(*ret);
    return !isnan(*ret) && (fabs(*ret) > 0 || !signbit(*ret));
}

static bool take_row(struct sq_pack *p, struct window_row *row)
{
    unsigned bits = *p->at++;
    row->window_start = p->start;
    row->final = true;
    row->kind = (enum row_kind)(bits & KIND_BITS);
    row->method = bits & METHOD_BIT ? METHOD_EQUAL : METHOD_WEIGHTED;
    row->has_energy = bits & ENERGY_BIT;
    return bits <= KNOWN_BITS && take_id(p, &row->place) && take_id(p, &row->consumer) &&
           take_revision(p, &row->revision) && take_numbers(p, row) &&
           (!row->has_energy || take_energy(p, &row->energy_j));
}

bool sq_pack_next(struct sq_pack *p, struct window_row *ret)
{
    *ret = (struct window_row){0};
    bool ok = take_row(p, ret);
    p->at = ok ? p->at : p->end;
    return ok;
}
