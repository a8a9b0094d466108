// Event ids of our own: UUIDs of version 7 (RFC 9562, section 5.7), which sort by the time they
// were made at.
#pragma once

#include <stdint.h>

#include "base/str.h"

enum { UUID_TEXT = 36 };

// Makes ids; one a thread. Zeroed, it seeds itself at the first id.
struct uuid7 {
    uint64_t state[2]; // of the generator of random bits
    int64_t last;      // the time in the last id: milliseconds and 12 bits of their fraction
};

// The next id, for wall time `now` (ns), as lower case text without a NUL. Within one generator ids
// grow strictly, also when the clock stands still or is set back (RFC 9562, section 6.2, method 3).
void uuid7_next(struct uuid7 *g, int64_t now, char ret[UUID_TEXT]);
