// What record_digest() computes, field by field, for a decoder that has the values at hand.
// Internal to model/.
#pragma once

#include "model/fields.h"

// Two words a field that is there: its tag and length, then its value or the hash of its bytes.
// So no two records that say different things hash the same words, whatever their texts hold.
struct digest {
    uint64_t words[2 * (FIELDS_MAX + 2)];
    size_t n;
};

void digest_start(struct digest *d, enum record_kind kind);

static inline void digest_word(struct digest *d, uint64_t tag, uint64_t length, uint64_t word)
{
    d->words[d->n++] = tag | length << 8;
    d->words[d->n++] = word;
}

// In the order of record_fields.
void digest_field(struct digest *d, const struct field *f, union field_value v);

uint64_t digest_end(struct digest *d, struct str extra);
