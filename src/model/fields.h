// The fields of the wire format, one table line each: what the decoder, the encoder, the digest,
// the checks, the schemas' test and the generated documentation walk. To add a field: a member in
// record.h, a line in fields.c, a property in its schema.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "model/record.h"

enum field_type {
    // A word: eight bytes that stand in the record as they are.
    FIELD_TIME,    // .i, ns since the epoch: ISO 8601 text or a number of seconds
    FIELD_COUNT,   // .i, an integer
    FIELD_DECIMAL, // .i, a number read exactly, times 10^scale
    FIELD_REAL,    // .d, never -0
    // Others.
    FIELD_TEXT,     // .s
    FIELD_GPU,      // .i, an index; in usage, the only one of `gpus`
    FIELD_GPUS,     // .gpus, ascending and distinct; in usage, when there are several
    FIELD_INSTANCE, // .i, a MIG slice
};

// A list of GPU indices.
struct gpu_list {
    const int32_t *v;
    uint32_t n;
};

union field_value {
    int64_t i;
    double d;
    struct str s;
    struct gpu_list gpus;
};

struct field {
    const char *name;
    enum field_type type;
    uint8_t tag;      // in digests, which are stored: never changed, never given to another field
                      // (gpu_index and gpu_indices are one); 0: no part of what a record says
    uint8_t scale;    // FIELD_DECIMAL, FIELD_TIME
    uint8_t required; // FIELD_OF(kind) bits
    bool tells;       // a record with it is of its kind, and cannot be of the other
    bool filled;      // FIELD_TEXT: may not be empty
    uint32_t at[2];   // offset in struct record by kind; 0: no field of that kind
    uint32_t has;     // bit in the kind's `has`; 0: whether it is there shows in the member
    union field_value most; // inclusive; the least is 0
    const char *unit;       // as on the wire
    const char *help;       // one sentence, no full stop
};

enum { FIELDS_MAX = 64 }; // sets of fields are bits of a uint64_t
#define FIELD_OF(kind) (1U << (kind))

extern const struct field record_fields[];
extern const size_t n_record_fields; // <= FIELDS_MAX

static inline bool field_of(const struct field *f, enum record_kind kind)
{
    return f->at[kind] != 0;
}

static inline bool field_is_word(const struct field *f)
{
    return f->type <= FIELD_REAL;
}

// *r as a record of this kind with every optional field absent and every other one zero.
void record_clear(struct record *r, enum record_kind kind);

// The field's value in r; false when absent, or when r's kind has no such field.
bool field_load(const struct field *f, const struct record *r, union field_value *ret);

// Makes the field present in r. The value is one that field_check() lets pass; a usage record's
// GPU index moves to the arena, all else that a value points to is borrowed.
void field_store(const struct field *f, struct record *r, union field_value v, struct arena *a);

// The rules of one field: bounds, length, order. -EINVAL with "field: what is wrong".
int field_check(const struct field *f, union field_value v, struct error *err) GTAP_CHECK;

// The rules that need several fields, as record_check() applies them after those of each field.
int record_check_rules(const struct record *r, struct error *err) GTAP_CHECK;
