// An event id in 16 bytes instead of an allocation of its own: an engine holds millions. Two shapes
// are packed, which nearly all ids have: UUIDs as RFC 9562 writes them, and text that many share
// with a number behind it, such as input/origin.h makes. Others stay text. What an id looks like
// changes nothing but the memory it takes: short_id_cmp() is the order of the texts. Not
// thread-safe. Internal to src/cost.
#pragma once

#include <stdint.h>

#include "base/intern.h"

enum {
    SHORT_ID_PREFIXES = 4096, // that a table takes; ids with other ones stay text
    SHORT_ID_SCRATCH = 128,   // room for the longest id that is packed
};

// hi, lo: the 128 bits of a UUID, whose variant sets the highest bit of lo; or a number and, below
// the second bit of lo, how many digits it has and where its prefix is; or text and its length. All
// zero: absent.
struct short_id {
    uint64_t hi, lo;
};

// prefixes: a table for these alone, which must outlive the id; NULL: numbers are not packed. The
// result is the caller's, for short_id_done().
struct short_id short_id_make(struct intern *prefixes, struct str id);
void short_id_done(struct short_id id);

// Borrowed from the id or from scratch.
struct str short_id_text(struct short_id id, char scratch[SHORT_ID_SCRATCH]);

// As str_cmp() of the two texts. <0, 0, >0.
int short_id_cmp(struct short_id a, struct short_id b);
