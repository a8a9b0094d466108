// Exact decimal numbers: money, times and durations never pass through a double.
#pragma once

#include <stdint.h>

#include "base/buf.h"

// Reads a JSON-style number (optional '-', digits, optional fraction, optional exponent) and
// returns it times 10^scale as an integer, rounded half to even where digits are left over.
// -EINVAL: not a number; -ERANGE: outside int64. scale 0..18.
int decimal_parse(struct str text, int scale, int64_t *ret) GTAP_CHECK;

// Writes v / 10^scale with all `scale` decimals ("0.120000000"), or without trailing zeros.
void decimal_format(struct buf *b, int64_t v, int scale);
void decimal_format_short(struct buf *b, int64_t v, int scale);

// The same for sums that outgrow int64.
void decimal_format_i128(struct buf *b, __int128 v, int scale);
