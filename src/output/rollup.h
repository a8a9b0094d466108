// Hours and days from windows: the definition that every store, and `verify`, shares.
//
// The rows of a span (an hour or a day, UTC) of a shard are the sums, by GPU, kind, model and
// tenant, of the rows below it: an hour's of its final window rows, a day's of its hours. A span
// is rolled up once the shard's frontier has reached its end, and again when a row below changes.
//
// Sums are taken over rows in ascending window_start, so that energy, which is real-valued, comes
// out the same to the last bit wherever it is done. energy_j sums what is known and has_energy says
// whether any was. site and method are those of the newest row, revision is the highest.
#pragma once

#include "output/store.h"

struct rollup;

struct rollup *rollup_new(void);
void rollup_free(struct rollup *r); // accepts NULL

// Empty, for the span that begins at `start`. Frees what rollup_rows() gave.
void rollup_begin(struct rollup *r, int64_t start);
// Adds one row (copied); rows come in ascending window_start. One that is not final is ignored.
void rollup_add(struct rollup *r, const struct window_row *row);
// The sums in canonical order; borrowed until rollup_begin or rollup_free.
const struct window_row *rollup_rows(struct rollup *r, size_t *ret_n);

// Length of a level's span: NS_PER_HOUR or NS_PER_DAY.
int64_t rollup_span(enum window_level level);

// The spans of one level that a commit must roll up: collected in any order, then taken in
// ascending order, each once.
struct rollup_due {
    uint32_t shard;
    int64_t start;
};
struct rollup_plan {
    struct rollup_due *v;
    size_t n, cap;
};
void rollup_plan_add(struct rollup_plan *p, uint32_t shard, int64_t start);
void rollup_plan_sort(struct rollup_plan *p); // and drops what is there twice
void rollup_plan_done(struct rollup_plan *p);
