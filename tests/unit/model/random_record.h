// Records that are valid and otherwise as odd as can be, one for each number; made by walking the
// table of fields, so that a new field is in every test that uses them.
#pragma once

#include "base/arena.h"
#include "model/fields.h"

struct random {
    uint64_t state;
};

uint64_t random_next(struct random *r);
uint64_t random_below(struct random *r, uint64_t n); // 0..n-1, n > 0

// A value that field_check() lets pass. Strings and lists are in the arena.
union field_value random_value(struct random *r, const struct field *f, struct arena *a);

// A record that record_check() lets pass, its digest set.
void random_record(struct random *r, struct arena *a, struct record *ret);
