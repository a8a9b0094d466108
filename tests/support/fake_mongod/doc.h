// BSON, as much as a fake server needs: walking, looking up, comparing, writing.
//
// Documents are borrowed bytes: a struct doc or value lives as long as what it was read from. Bytes
// come from outside: a walk never leaves its document, and stops where the bytes make no sense.
// Format: bsonspec.org, version 1.1. Not thread-safe where a buf is written.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum {
    BSON_NONE = 0, // no value at all
    BSON_DOUBLE = 1,
    BSON_STRING = 2,
    BSON_DOC = 3,
    BSON_ARRAY = 4,
    BSON_BINARY = 5,
    BSON_UNDEFINED = 6,
    BSON_OID = 7,
    BSON_BOOL = 8,
    BSON_DATE = 9,
    BSON_NULL = 10,
    BSON_REGEX = 11,
    BSON_POINTER = 12,
    BSON_CODE = 13,
    BSON_SYMBOL = 14,
    BSON_SCOPE = 15,
    BSON_I32 = 16,
    BSON_TIMESTAMP = 17,
    BSON_I64 = 18,
    BSON_DECIMAL = 19,
    BSON_MAX_KEY = 127,
    BSON_MIN_KEY = 255,
};

enum { DOC_MAX = 16 << 20, DOC_DEPTH = 100, MESSAGE_MAX = 48000000 };

struct doc {
    const uint8_t *p; // NULL: none
    uint32_t n;       // bytes, with the length in front and the NUL behind
};

struct value {
    const uint8_t *p;
    uint32_t n;
    uint8_t type;
};

struct walk {
    const uint8_t *at, *end;
    struct str key;
    struct value v;
    bool broken; // it stopped at bytes that are no element
};

// The document that begins at p, of at most `room` bytes; only its length and its last byte are
// looked at. .p is NULL when there is none.
struct doc doc_at(const uint8_t *p, size_t room);
bool doc_sound(struct doc d); // all of it makes sense, no deeper than DOC_DEPTH

struct walk walk_doc(struct doc d);
bool walk_next(struct walk *w);

struct value doc_get(struct doc d, const char *key); // BSON_NONE where absent
struct doc value_doc(struct value v);                // of a document or an array, else none
struct str value_str(struct value v);                // of a string, else absent
bool value_i64(struct value v, int64_t *ret);        // of any number, cut; false for others
bool value_true(struct value v);                     // as the server takes flags: 1, 1.0, true
uint64_t value_hash(struct value v);                 // by type and bytes
bool value_same(struct value a, struct value b);     // by type and bytes

// In the server's order of sorting; numbers of different types compare by their value.
int value_cmp(struct value a, struct value b);
int value_class(struct value v); // values of one class can be compared by $lt and the like

// ---- writing: put_begin or put_open, elements, put_close with what it returned ----------------

size_t put_begin(struct buf *b);
size_t put_open(struct buf *b, uint8_t type, const char *key); // BSON_DOC or BSON_ARRAY
void put_close(struct buf *b, size_t mark);
void put_raw(struct buf *b, struct str key, uint8_t type, const void *p, size_t n);
void put_value(struct buf *b, struct str key, struct value v);
void put_doc(struct buf *b, const char *key, struct doc d);
void put_index(struct buf *b, size_t i, struct value v); // an element of an array
void put_i32(struct buf *b, const char *key, int32_t v);
void put_i64(struct buf *b, const char *key, int64_t v);
void put_double(struct buf *b, const char *key, double v);
void put_bool(struct buf *b, const char *key, bool v);
void put_date(struct buf *b, const char *key, int64_t ms);
void put_str(struct buf *b, const char *key, struct str s);

// The document that was begun at mark and closed.
static inline struct doc doc_of(const struct buf *b, size_t mark)
{
    return b->n > mark ? doc_at((const uint8_t *)b->p + mark, b->n - mark) : (struct doc){0};
}

static inline uint32_t read_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v)); // BSON and every machine we run on are little-endian
    return v;
}

static inline int64_t read_i64(const uint8_t *p)
{
    int64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}
