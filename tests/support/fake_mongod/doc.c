#include "doc.h"

#include <math.h>
#include <stdio.h>

#include "base/hash.h"

struct doc doc_at(const uint8_t *p, size_t room)
{
    if (!p || room < 5) {
        return (struct doc){0};
    }
    uint32_t n = read_u32(p);
    if (n < 5 || n > room || p[n - 1] != 0) {
        return (struct doc){0};
    }
    return (struct doc){p, n};
}

struct walk walk_doc(struct doc d)
{
    if (!d.p) {
        return (struct walk){0};
    }
    return (struct walk){.at = d.p + 4, .end = d.p + d.n - 1};
}

// Bytes of a value whose length is written in it, plus `more`; 0 when they do not fit.
static size_t counted(const uint8_t *p, size_t room, size_t more)
{
    if (room < 4) {
        return 0;
    }
    size_t n = (size_t)read_u32(p) + more;
    return n <= room && n >= more ? n : 0;
}

static size_t text_size(const uint8_t *p, size_t room)
{
    const uint8_t *nul = memchr(p, 0, room);
    return nul ? (size_t)(nul - p) + 1 : 0;
}

static size_t regex_size(const uint8_t *p, size_t room)
{
    size_t n = text_size(p, room);
    size_t options = n ? text_size(p + n, room - n) : 0;
    return options ? n + options : 0;
}

// Bytes of a value of this type at p; false when there is no such type or not enough room.
static bool value_size(uint8_t type, const uint8_t *p, size_t room, size_t *ret)
{
    size_t n = 0;
    switch (type) {
    case BSON_UNDEFINED:
    case BSON_NULL:
    case BSON_MIN_KEY:
    case BSON_MAX_KEY:
        *ret = 0;
        return true;
    case BSON_BOOL:
        n = 1;
        break;
    case BSON_I32:
        n = 4;
        break;
    case BSON_DOUBLE:
    case BSON_DATE:
    case BSON_TIMESTAMP:
    case BSON_I64:
        n = 8;
        break;
    case BSON_OID:
        n = 12;
        break;
    case BSON_DECIMAL:
        n = 16;
        break;
    case BSON_STRING:
    case BSON_CODE:
    case BSON_SYMBOL:
        n = counted(p, room, 4);
        break;
    case BSON_BINARY:
        n = counted(p, room, 5);
        break;
    case BSON_POINTER:
        n = counted(p, room, 16);
        break;
    case BSON_DOC:
    case BSON_ARRAY:
    case BSON_SCOPE:
        n = counted(p, room, 0);
        break;
    case BSON_REGEX:
        n = regex_size(p, room);
        break;
    default:
        return false;
    }
    *ret = n;
    return n > 0 && n <= room;
}

static bool well_ended(struct value v)
{
    if (v.type == BSON_STRING || v.type == BSON_CODE || v.type == BSON_SYMBOL) {
        return v.n >= 5 && v.p[v.n - 1] == 0;
    }
    if (v.type == BSON_DOC || v.type == BSON_ARRAY) {
        return doc_at(v.p, v.n).p != NULL;
    }
    return true;
}

bool walk_next(struct walk *w)
{
    if (w->at >= w->end) {
        return false;
    }
    uint8_t type = *w->at;
    const uint8_t *key = w->at + 1;
    const uint8_t *nul = memchr(key, 0, (size_t)(w->end - key));
    size_t n = 0;
    w->broken = !nul || !value_size(type, nul + 1, (size_t)(w->end - nul - 1), &n);
    if (!w->broken) {
        w->key = (struct str){(const char *)key, (size_t)(nul - key)};
        w->v = (struct value){nul + 1, (uint32_t)n, type};
        w->at = nul + 1 + n;
        w->broken = !well_ended(w->v);
    }
    if (w->broken) {
        w->at = w->end;
    }
    return !w->broken;
}

static bool sound_to(struct doc d, int depth)
{
    if (!d.p || depth > DOC_DEPTH) {
        return false;
    }
    struct walk w = walk_doc(d);
    while (walk_next(&w)) {
        struct doc inner = value_doc(w.v);
        if (inner.p && !sound_to(inner, depth + 1)) {
            return false;
        }
    }
    return !w.broken;
}

bool doc_sound(struct doc d)
{
    return sound_to(d, 0);
}

struct value doc_get(struct doc d, const char *key)
{
    struct walk w = walk_doc(d);
    struct str wanted = str_of(key);
    while (walk_next(&w)) {
        if (str_eq(w.key, wanted)) {
            return w.v;
        }
    }
    return (struct value){0};
}

struct doc value_doc(struct value v)
{
    if (v.type != BSON_DOC && v.type != BSON_ARRAY) {
        return (struct doc){0};
    }
    return doc_at(v.p, v.n);
}

struct str value_str(struct value v)
{
    return v.type == BSON_STRING ? (struct str){(const char *)v.p + 4, v.n - 5} : STR_NONE;
}

static double value_double(struct value v)
{
    double d = 0;
    memcpy(&d, v.p, sizeof(d));
    return d;
}

bool value_i64(struct value v, int64_t *ret)
{
    switch (v.type) {
    case BSON_I32:
        *ret = (int32_t)read_u32(v.p);
        return true;
    case BSON_I64:
        *ret = read_i64(v.p);
        return true;
    case BSON_DOUBLE: {
        double d = value_double(v);
        *ret = isnan(d) ? 0 : d >= 0x1p63 ? INT64_MAX : d < -0x1p63 ? INT64_MIN : (int64_t)d;
        return true;
    }
    default:
        return false;
    }
}

bool value_true(struct value v)
{
    int64_t n = 0;
    return v.type == BSON_BOOL ? v.p[0] != 0 : value_i64(v, &n) && n != 0;
}

uint64_t value_hash(struct value v)
{
    return hash_bytes(v.p, v.n, v.type);
}

bool value_same(struct value a, struct value b)
{
    return a.type == b.type && a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

// ---- the server's order --------------------------------------------------------------------

int value_class(struct value v)
{
    switch (v.type) {
    case BSON_MIN_KEY:
        return 0;
    case BSON_NONE:
    case BSON_UNDEFINED:
    case BSON_NULL:
        return 1;
    case BSON_DOUBLE:
    case BSON_I32:
    case BSON_I64:
        return 2;
    case BSON_STRING:
    case BSON_SYMBOL:
        return 3;
    case BSON_DOC:
        return 4;
    case BSON_ARRAY:
        return 5;
    case BSON_BINARY:
        return 6;
    case BSON_OID:
        return 7;
    case BSON_BOOL:
        return 8;
    case BSON_DATE:
        return 9;
    case BSON_TIMESTAMP:
        return 10;
    case BSON_REGEX:
        return 11;
    case BSON_MAX_KEY:
        return 127;
    default:
        return 20 + v.type; // by bytes, among themselves
    }
}

static int cmp_i64(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

// Holds every int64 and every double.
static long double value_long_double(struct value v)
{
    int64_t n = 0;
    return v.type == BSON_DOUBLE ? (long double)value_double(v)
                                 : (value_i64(v, &n), (long double)n);
}

static int cmp_numbers(struct value a, struct value b)
{
    int64_t x = 0, y = 0;
    if (a.type != BSON_DOUBLE && b.type != BSON_DOUBLE && value_i64(a, &x) && value_i64(b, &y)) {
        return cmp_i64(x, y);
    }
    long double p = value_long_double(a), q = value_long_double(b);
    if (isnan(p) || isnan(q)) {
        return (int)isnan(q) - (int)isnan(p);
    }
    return (p > q) - (p < q);
}

static int cmp_bytes(struct value a, struct value b)
{
    return str_cmp((struct str){(const char *)a.p, a.n}, (struct str){(const char *)b.p, b.n});
}

static int cmp_docs(struct doc a, struct doc b)
{
    struct walk x = walk_doc(a), y = walk_doc(b);
    for (;;) {
        bool more = walk_next(&x), other = walk_next(&y);
        if (!more || !other) {
            return (int)more - (int)other;
        }
        int c = cmp_i64(value_class(x.v), value_class(y.v));
        c = c ? c : str_cmp(x.key, y.key);
        c = c ? c : value_cmp(x.v, y.v);
        if (c) {
            return c;
        }
    }
}

int value_cmp(struct value a, struct value b)
{
    int class = value_class(a);
    if (class != value_class(b)) {
        return cmp_i64(class, value_class(b));
    }
    switch (class) {
    case 1:
        return 0;
    case 2:
        return cmp_numbers(a, b);
    case 3:
        return str_cmp((struct str){(const char *)a.p + 4, a.n - 5},
                       (struct str){(const char *)b.p + 4, b.n - 5});
    case 4:
    case 5:
        return cmp_docs(value_doc(a), value_doc(b));
    case 6:
        return a.n != b.n ? cmp_i64(a.n, b.n) : cmp_bytes(a, b);
    case 9:
        return cmp_i64(read_i64(a.p), read_i64(b.p));
    case 10: {
        uint64_t x = (uint64_t)read_i64(a.p), y = (uint64_t)read_i64(b.p);
        return (x > y) - (x < y);
    }
    default:
        return cmp_bytes(a, b);
    }
}

// ---- writing -------------------------------------------------------------------------------

size_t put_begin(struct buf *b)
{
    size_t mark = b->n;
    buf_add(b, "\0\0\0\0", 4);
    return mark;
}

static void put_key(struct buf *b, uint8_t type, struct str key)
{
    buf_char(b, (char)type);
    buf_str(b, key);
    buf_char(b, '\0');
}

size_t put_open(struct buf *b, uint8_t type, const char *key)
{
    put_key(b, type, str_of(key));
    return put_begin(b);
}

void put_close(struct buf *b, size_t mark)
{
    buf_char(b, '\0');
    if (buf_ok(b)) {
        uint32_t n = (uint32_t)(b->n - mark);
        memcpy(b->p + mark, &n, sizeof(n));
    }
}

void put_raw(struct buf *b, struct str key, uint8_t type, const void *p, size_t n)
{
    put_key(b, type, key);
    if (n > 0) {
        buf_add(b, p, n);
    }
}

void put_value(struct buf *b, struct str key, struct value v)
{
    put_raw(b, key, v.type, v.p, v.n);
}

void put_doc(struct buf *b, const char *key, struct doc d)
{
    put_raw(b, str_of(key), BSON_DOC, d.p, d.n);
}

void put_index(struct buf *b, size_t i, struct value v)
{
    char key[24];
    int n = snprintf(key, sizeof(key), "%zu", i);
    put_value(b, (struct str){key, (size_t)n}, v);
}

void put_i32(struct buf *b, const char *key, int32_t v)
{
    put_raw(b, str_of(key), BSON_I32, &v, sizeof(v));
}

void put_i64(struct buf *b, const char *key, int64_t v)
{
    put_raw(b, str_of(key), BSON_I64, &v, sizeof(v));
}

void put_double(struct buf *b, const char *key, double v)
{
    put_raw(b, str_of(key), BSON_DOUBLE, &v, sizeof(v));
}

void put_bool(struct buf *b, const char *key, bool v)
{
    put_raw(b, str_of(key), BSON_BOOL, v ? "\1" : "\0", 1);
}

void put_date(struct buf *b, const char *key, int64_t ms)
{
    put_raw(b, str_of(key), BSON_DATE, &ms, sizeof(ms));
}

void put_str(struct buf *b, const char *key, struct str s)
{
    uint32_t n = (uint32_t)s.n + 1;
    put_key(b, BSON_STRING, str_of(key));
    buf_add(b, &n, sizeof(n));
    buf_str(b, s);
    buf_char(b, '\0');
}
