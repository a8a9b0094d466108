// Deriving results again from the stored raw records, with the engine: what `verify` compares and
// `recompute` replaces. Settlement of late records is the same function over a small range.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/wide.h"
#include "output/store.h"

// One stored row that is not what the raw records say; or, with level "ledger", that is not what
// the ledger of corrections says; or with `copy` what a store keeps once more of an hour or a day
// (store_check_copies()) and is not what the stored rows say.
struct difference {
    const struct window_row *stored, *derived;           // window rows; NULL: missing on that side
    const struct usage_cost *stored_cost, *derived_cost; // or costs of a request
    const char *level; // "window", "hour", "packed hour", "day", "packed day", "request"
    const struct ledger_row *ledger;
    const struct store_copy *copy;
};

struct rederive_progress {
    int64_t done, from, to; // event time, ns
    uint64_t records;
};

struct rederive_config {
    const char *store; // opened to read by verify, to write by recompute
    int64_t from, to;  // [from, to): widened to whole windows, cut to what is final
    // As if the price book had these too, added last: what they would change. Not with a recompute
    // that writes.
    const struct price_entry *also;
    size_t n_also;
    size_t max_differences; // reported one by one; all are counted
    void (*difference)(void *ctx, const struct difference *d);      // may be NULL
    void (*progress)(void *ctx, const struct rederive_progress *p); // about 5 times a second
    void *ctx;
};

struct rederive_result {
    // What was looked at, ns: from the first window there is, where the range begins before it.
    // from == to: nothing is final yet.
    int64_t from, to;
    uint64_t requests, gpus, windows;    // derived
    uint64_t rows_equal, rows_different; // stored rows compared (window rows, costs, roll-ups)
    // Hours and days whose copies are not what their rows say, for the whole range that was asked
    // for. Not looked at with `also`.
    uint64_t packs_different;
    // verify: rows of closed months that were corrected (output/corrections.h) and are what they
    // were when the month was closed plus all corrections since; and those that are not.
    uint64_t ledger_equal, ledger_different;
    i128 bill_nusd; // from the prices and billed time alone, not from the parts
    i128 requests_nusd, idle_nusd, unattributed_nusd; // the parts: they add up to the bill
    uint64_t unpriced_requests, unplaced_requests;
    i128 unpriced_ns; // GPU time without a price
};

// Compares; changes nothing. 0 also when rows differ: see rows_different.
int verify_store(const struct rederive_config *c, struct rederive_result *ret, struct error *err)
    GTAP_CHECK;

// Replaces every row that differs, revision + 1, sums up again hours and days that are not the sum
// of their windows, and packs again what is packed wrongly. With dry_run only counts them: roll-ups
// against the windows as they are stored.
int recompute_store(const struct rederive_config *c, bool dry_run, struct rederive_result *ret,
                    struct error *err) GTAP_CHECK;
