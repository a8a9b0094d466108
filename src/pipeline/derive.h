// One pass of the engine over stored raw records: what the windows of a range and the requests that
// touch it come to, side by side with what is stored of them. Memory is bounded by what is running
// at one time, not by the range. Runs on the caller's thread, which has the store to itself
// meanwhile (a reader's handle: always); visitors must not use the store.
#pragma once

#include "base/error.h"
#include "cost/engine.h"
#include "output/store.h"

struct derive_window {
    int64_t start, end;
    const struct window_row *derived, *stored;
    size_t n_derived, n_stored;
    int64_t bill_nusd; // of all GPUs, from billed time and prices alone
};

struct derive_visitor {
    // One window in which either side has rows, ascending. Both are in canonical order; the stored
    // ones are borrowed for the call, the derived ones for the derivation's life.
    void (*window)(void *ctx, const struct derive_window *w);
    // One request that touches the range and is final. stored->final is false when no final cost
    // of it is stored.
    void (*cost)(void *ctx, const struct usage_cost *derived, const struct usage_cost *stored);
    // One request that touches the range and runs on behind the frontier: its sums up to there.
    void (*partial)(void *ctx, const struct usage_cost *sums);
    // Now and then: event time up to which windows were computed.
    void (*progress)(void *ctx, int64_t done);
    void *ctx;
};

struct derive_config {
    struct store *store;
    const struct settings_history *settings;
    const struct price_book *prices;
    uint32_t shard;
    int64_t from, to; // on window bounds; to <= frontier
    // Visit the windows behind `to` as well in which a request that touches the range ends: their
    // counts of unpriced requests hang on the whole of it.
    bool to_request_ends;
    int64_t frontier; // the shard's
    struct derive_visitor visitor;
};

struct derivation;

// Runs the whole pass. -ENODATA: records that it depends on were expired. On success *ret keeps the
// derived rows' texts alive until derivation_free.
int derive(const struct derive_config *c, struct derivation **ret, struct error *err) GTAP_CHECK;
void derivation_free(struct derivation *d); // accepts NULL
