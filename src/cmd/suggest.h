// "did you mean ...?"
#pragma once

#include <stddef.h>

// The candidate that takes the fewest typing slips (a letter more, less, other, or two swapped) to
// be `word`, or that it begins; NULL when none is near. candidates ends with NULL.
const char *suggest(const char *word, const char *const *candidates);
