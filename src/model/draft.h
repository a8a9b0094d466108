// A record while it is read: values by field, before its kind is known. Internal to model/.
#pragma once

#include "base/buf.h"
#include "model/fields.h"

#ifdef __cplusplus
extern "C" {
#endif

// Sets of fields: a bit for each, by its place in record_fields.
struct field_sets {
    uint64_t of[2]; // by kind
    uint64_t required[2];
    uint64_t telling;
};

struct field_sets record_field_sets(void);

static inline uint64_t field_bit(const struct field *f)
{
    return UINT64_C(1) << (f - record_fields);
}

// Whether a record of the kind that has no such field may have it as an unknown one.
bool draft_may_be_unknown(const struct field_sets *sets, const struct field *f) GTAP_PURE;

struct draft {
    uint64_t seen;  // named, be it with null
    uint64_t given; // seen with a value, which is in value[] and has passed field_check()
    union field_value value[FIELDS_MAX]; // texts and lists are borrowed until draft_finish()
    struct str extra;
};

// The text, with something else than a brace behind it: if need be in `copy`, which has room for
// it and DECODER_PADDING. The parser looks there, and takes another way at a brace, which finds
// other faults first; what is said of a text is not to depend on what lies behind it.
struct str draft_text(struct str text, struct buf *copy);

// The kind that the given fields tell: that of a telling one; else a sample if there is a field
// that only samples have; else usage if there is one that only usage has. -EINVAL: fields that
// tell both kinds, or nothing that tells.
int draft_kind(const struct field_sets *sets, uint64_t given, enum record_kind *ret,
               struct error *err) GTAP_CHECK;

// The record: required fields are there, texts and lists are copied to the arena, the digest is
// set. All that is given must be of this kind. -EINVAL as record_check().
int draft_finish(const struct draft *d, const struct field_sets *sets, enum record_kind kind,
                 struct arena *a, struct record *ret, struct error *err) GTAP_CHECK;

#ifdef __cplusplus
}
#endif
