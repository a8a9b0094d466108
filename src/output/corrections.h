// Rows of windows on their way into a store, and the ledger of those that were replaced after the
// bill of their month was closed.
//
// A billing period is a calendar month, UTC; it is closed once it has ended, by wall time. Stores
// replace rows whole, so what a row said before is gone; the ledger keeps, for each row of a closed
// month that a settlement changed, by how much, and when. So at any time, of every row:
//
//     what it says now = what it said when its month was closed + the sum of its corrections
//
// store_commit() makes the entries: of windows whose rows are settled it reads what is stored, and
// stores nothing to look at for others. A row's first entry is its opening: what it said when its
// month was closed, so that whoever looks can add up the ledger. Where a commit is no transaction,
// the entries are written before the rows, and marked as long as these may not have followed;
// readers pass over one whose row did not (its revision tells), and the next settlement of the
// window, which the shard's unsettled range brings about, writes over it.
//
// The ledger is never expired: hours and days are kept for ever, and corrections are of these too.
// Windows whose rows were expired are not rolled up again, so what is settled there later changes
// nothing that anybody sees, and makes no entry.
#pragma once

#include "base/error.h"
#include "cost/rows.h"

struct store;
struct store_cursor;

// All rows of one window of one shard: replaces what was there under (window_start, shard). When
// windows of an hour or a day already rolled up change, the store rolls up again in the same
// transaction.
struct window_rows {
    int64_t window_start;
    int64_t window_end;
    uint32_t shard;
    const struct window_row *rows; // canonical order; may be empty
    size_t n;
    bool settled; // what is replaced was final: see above
};

struct correction {
    int64_t settled_at; // ns, wall time
    uint32_t shard;
    int32_t n;             // of this row's corrections, from 0. Key: the row's, and this
    bool gone;             // the settlement left no such row
    bool orphan;           // out: its row did not follow; the next settlement writes over it
    struct window_row row; // its sums are differences; no energy. revision: as it became
};
enum { CORRECTION_OPENING = -1 }; // n of what the row said before: the difference from nothing

// Corrections of windows that begin within [from, to), ascending in window_start. Cursors as in
// store_read.h. Openings, and entries that took nothing and gave nothing, are not among them.
int store_corrections(struct store *s, int64_t from, int64_t to, struct store_cursor **ret,
                      struct error *err) GTAP_CHECK;
int store_corrections_next(struct store_cursor *c, struct correction *ret, struct error *err)
    GTAP_CHECK;

// Each row of a shard's windows within [from, to) that the ledger knows: what is stored (NULL:
// nothing) and what the ledger adds up to (NULL: its opening is missing). All are the callee's.
struct ledger_row {
    const struct window_row *key, *stored, *told;
};
int store_each_corrected(struct store *s, int64_t from, int64_t to, uint32_t shard,
                         void (*f)(void *ctx, const struct ledger_row *row), void *ctx,
                         struct error *err) GTAP_CHECK;

// Whether two rows say the same of all that is added up. NULL: no row, which is all 0.
bool ledger_same(const struct window_row *a, const struct window_row *b) GTAP_PURE;

int64_t billing_month(int64_t t);     // the start of the month that t is in
int64_t billing_month_end(int64_t t); // and its end
