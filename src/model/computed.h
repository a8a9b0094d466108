// The fields that gtap adds to a record when it exports it. A record that comes with them was
// exported once: they are no part of what its producer said, so the decoder leaves them aside, and
// what was exported and is read again is the same record.
#pragma once

#include "model/fields.h"

#ifdef __cplusplus
extern "C" {
#endif

// FIELD_OF(kind) bits of the kinds that have a computed field of this name; 0: none.
unsigned computed_of(struct str name) GTAP_PURE;

#ifdef __cplusplus
}
#endif
