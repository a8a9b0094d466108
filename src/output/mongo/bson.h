// BSON (https://bsonspec.org) written straight into one growing buffer: what is sent by the
// thousand a second is not built by libbson, which takes 600 ns and more for a record. Field names
// are literals, copied together with their type. Internal to src/output/mongo.
//
// Documents are opened and closed: what mg_begin() and its like return goes to mg_end(). Whoever
// writes bounds what he writes: a batch at MG_BATCH_BYTES, a document at MG_DOC_MAX.
#pragma once

#include "base/alloc.h"
#include "base/str.h"
#include "base/time.h"
#include "output/mongo/mongo_lib.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "BSON is little-endian");

enum { MG_DOC_MAX = 16 << 20 }; // what every server takes at least

struct mg_buf {
    char *p;
    size_t n, cap;
};

void mg_buf_done(struct mg_buf *b);
void mg_buf_grow(struct mg_buf *b, size_t n);

static inline void mg_add(struct mg_buf *b, const void *p, size_t n)
{
    if (b->cap - b->n < n) {
        mg_buf_grow(b, n);
    }
    if (n > 0) {
        memcpy(b->p + b->n, p, n);
    }
    b->n += n;
}

// A field: its type and name (with the NUL), then its value.
static inline void mg_field(struct mg_buf *b, const char *key, size_t key_n, const void *value,
                            size_t n)
{
    if (b->cap - b->n < key_n + n) {
        mg_buf_grow(b, key_n + n);
    }
    memcpy(b->p + b->n, key, key_n);
    memcpy(b->p + b->n + key_n, value, n);
    b->n += key_n + n;
}

static inline size_t mg_begin(struct mg_buf *b)
{
    const int32_t length = 0; // set by mg_end
    size_t at = b->n;
    mg_add(b, &length, sizeof(length));
    return at;
}

static inline void mg_end(struct mg_buf *b, size_t at)
{
    mg_add(b, "", 1);
    int32_t length = (int32_t)(b->n - at);
    memcpy(b->p + at, &length, sizeof(length));
}

// The dynamic-name forms; `type` as in the specification.
void mg_key(struct mg_buf *b, char type, struct str name);
void mg_index(struct mg_buf *b, char type, size_t index); // of an array's element
void mg_text(struct mg_buf *b, const char *key, size_t key_n, struct str s);
void mg_bytes(struct mg_buf *b, const char *key, size_t key_n, struct str s);

#define MG_KEY(type, name) (type name), sizeof(type name)
#define MG_VALUE(b, type, T, name, v)                                                              \
    do {                                                                                           \
        const T mg_value_ = (v);                                                                   \
        mg_field((b), MG_KEY(type, name), &mg_value_, sizeof(mg_value_));                          \
    } while (0)

#define MG_REAL(b, name, v) MG_VALUE(b, "\x01", double, name, v)
#define MG_I32(b, name, v) MG_VALUE(b, "\x10", int32_t, name, v)
#define MG_I64(b, name, v) MG_VALUE(b, "\x12", int64_t, name, v)
#define MG_BOOL(b, name, v) MG_VALUE(b, "\x08", char, name, (v) ? 1 : 0)
// ns, stored as milliseconds.
#define MG_DATE(b, name, v)                                                                        \
    MG_VALUE(b, "\x09", int64_t, name, time_floor((v), NS_PER_MS) / NS_PER_MS)
#define MG_NULL(b, name) mg_add((b), MG_KEY("\x0a", name))
#define MG_STR(b, name, s) mg_text((b), MG_KEY("\x02", name), (s))
// Present or nothing; present or null.
#define MG_MAYBE_STR(b, name, s)                                                                   \
    do {                                                                                           \
        if (str_present(s)) {                                                                      \
            MG_STR(b, name, s);                                                                    \
        }                                                                                          \
    } while (0)
#define MG_STR_OR_NULL(b, name, s)                                                                 \
    do {                                                                                           \
        if (str_present(s)) {                                                                      \
            MG_STR(b, name, s);                                                                    \
        } else {                                                                                   \
            MG_NULL(b, name);                                                                      \
        }                                                                                          \
    } while (0)
// An embedded document or array, to be closed by mg_end().
#define MG_DOC(b, name) (mg_add((b), MG_KEY("\x03", name)), mg_begin(b))
#define MG_ARRAY(b, name) (mg_add((b), MG_KEY("\x04", name)), mg_begin(b))

// A whole document in the buffer, for libmongoc; lives as long as the buffer stands still. A bson_t
// points into itself: it cannot be copied.
static inline void mg_view(const struct mg_buf *b, size_t at, bson_t *ret)
{
    (void)bson_init_static(ret, (const uint8_t *)b->p + at, b->n - at);
}
