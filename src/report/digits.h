// Numbers as people read them. A table must add up to the last digit it shows, so its parts are
// not rounded one by one: what is shown of the total is shared out over them by largest remainder.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/wide.h"

// exact / unit rounded half up; exact >= 0.
i128 digits_round(i128 exact, i128 unit);

// Sets shown[i] to exact[i] / unit rounded down or up (up only where something is cut off), so that
// they add up to `total`, which is the rounded sum of exact or a part that digits_share gave to it.
// All exact >= 0.
void digits_share(const i128 *exact, size_t n, i128 unit, i128 total, i128 *shown);

// v / 10^scale with all its decimals and thousands separated: "1,204.50".
void digits_grouped(struct buf *b, i128 v, int scale);

// Three significant digits, never an exponent: "0.590", "12.3", "1,230". "0" is exactly zero.
void digits_rate(struct buf *b, double v);

// The two largest units: "18 min", "2 h 5 min", "3 d 4 h", "41 s"; less than a second: "0.4 s".
void digits_duration(struct buf *b, int64_t ns);

// "1 request", "2 requests": the plural is the singular and an s.
void digits_count(struct buf *b, int64_t n, const char *thing);

// USD for a million tokens, from sums. False when there are no tokens.
bool digits_per_mtok(i128 cost_nusd, i128 tokens, double *ret);
