// Where one request's cost came from: what it paid on each of its GPUs in each window, what that
// GPU cost in the meantime, how many others ran beside it, and by which prices. It is the engine's
// own account, run once more over the stored records around the request, so its parts add up to
// what the engine says to the nano-dollar.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "output/store.h"

struct explain_window {
    int64_t start;
    int64_t cost_nusd, cost_in_nusd, cost_out_nusd;
    i128 gpu_cost_nusd; // of the GPU's priced time, while the request ran
    int64_t unpriced_ns;
    size_t beside; // other requests that ran at some time together with it in this window
    bool final;
};

struct explain_price {
    int64_t from, to;        // while the request ran
    int64_t price_nusd_hour; // PRICE_NONE: unpriced
    int64_t entry;           // see price.h
};

struct explain_gpu {
    struct gpu_key gpu;
    int64_t cost_nusd;
    i128 gpu_cost_nusd;
    size_t beside; // distinct ones
    double energy_j;
    bool has_energy;
    struct explain_window *windows; // ascending
    size_t n_windows, cap_windows;
    struct explain_price *prices; // ascending
    size_t n_prices, cap_prices;
};

struct explanation {
    struct stored_record request;
    struct settings split;    // in force when it began
    struct explain_gpu *gpus; // as it names them; none where nothing can be told
    size_t n_gpus;
    int64_t cost_nusd; // of all parts
    bool expired;      // records that it depends on are gone
    bool provisional;  // it is not final: this is how its time looks now
    bool agrees;       // final, and the stored cost is this one
    // Entries added to the price book after the cost was computed: it agrees without them.
    size_t newer_prices;
};

// Owned by the arena. -ENOENT: there is no such request. -E2BIG: too many others run beside it.
// Reads one state of the store.
int explain_request(struct store *s, struct str event_id, struct arena *a, struct explanation *ret,
                    struct error *err) GTAP_CHECK;

// "ran 41.2 s on gpu-01/0 beside 23 others; 1.9 % of the GPU's 0.0321 $ in that time"
void explain_sentence(struct buf *b, const struct explanation *e);
// What one should know beside it: sentences. The number of them; 0 <= i.
size_t explain_notes(const struct explanation *e);
void explain_note(struct buf *b, const struct explanation *e, size_t i);
const char *explain_price_source(
    const struct explain_price *p); // "book", "sample", "default"; NULL
