// Foreign text in a terminal: how wide it is, and nothing in it that the terminal would obey.
#pragma once

#include "base/arena.h"

// Columns that s takes: 2 for East Asian wide characters and emoji, 0 for combining ones. The few
// ranges that names of models and tenants meet, not the whole of Unicode's tables.
size_t text_width(struct str s) GTAP_PURE;

// How many bytes the first character of s has (0: s is empty), and how many columns it takes.
size_t text_char(struct str s, size_t *ret_width);

// s with control characters, bytes that are not UTF-8 and bidirectional overrides as U+FFFD; s
// itself where there are none. Absent stays absent.
struct str text_clean(struct arena *a, struct str s);

// s, or its beginning with an ellipsis, in at most `width` columns (width >= 1). s is clean.
struct str text_fit(struct arena *a, struct str s, size_t width);

// Whether a shell takes s, between single quotes, for what it is: plain ASCII, not empty.
bool text_quotable(struct str s) GTAP_PURE;

// Order for people: runs of digits compare as numbers, so that gpu-2 comes before gpu-10. Absent
// comes last. <0, 0, >0.
int text_natural_cmp(struct str a, struct str b) GTAP_PURE;
