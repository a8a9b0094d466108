// The inside of an engine, shared by the files that make it up: engine.c (records in), window.c
// (windows out). Internal to src/cost.
#pragma once

#include "base/intern.h"
#include "base/map.h"
#include "cost/engine.h"
#include "cost/gpu.h"
#include "cost/ranges.h"
#include "cost/sweep.h"

// A (model, tenant) pair.
struct group {
    uint32_t model, tenant; // names; tenant may be NO_TEXT
    uint32_t rank;          // its place in canonical order, when ranked
};

// What a GPU costs in the window being computed.
struct gpu_bill {
    const struct gpu *gpu;
    int64_t nusd;
};

// A request whose last window is being computed, and the row that counts it.
struct ending {
    struct request *request;
    size_t row;
};

struct engine {
    const struct settings_history *settings;
    const struct price_book *prices;
    struct intern *hosts, *names; // names: models, tenants, GPU names, sites
    struct intern *prefixes;      // of event ids
    struct gpu **gpus;            // canonical order
    size_t n_gpus, cap_gpus;
    struct map gpu_by_key;
    struct group *groups;
    size_t n_groups, cap_groups, n_ranked;
    struct map group_by_pair;  // value: index + 1
    struct request **unplaced; // not final yet; by end, once sorted
    size_t n_unplaced, cap_unplaced, at_unplaced;

    int64_t frontier;
    bool advanced;          // before the first advance, records behind the frontier are not late
    int64_t oldest, newest; // of all evidence; INT64_MAX, INT64_MIN
    int64_t oldest_pending;
    struct ranges dirty;
    struct map crossing; // by seq: requests that began before the frontier and end after it
    struct engine_stats stats;
    int64_t changed_from; // what is open before it is as engine_preview_changed() told; INT64_MIN
    int64_t telling_from; // where the last telling stopped for having told enough; INT64_MAX: it
                          // did not
    size_t rows_left;     // so many may be handed out before a computation stops at a window's end
    bool unpriced_ahead;  // some request has time without a price in the windows of a preview

    // Scratch of window.c.
    struct sweep sweep;
    struct window_row *rows;
    size_t n_rows, cap_rows;
    struct ending *ending;
    size_t n_ending, cap_ending;
    struct gpu_bill *bills;
    size_t n_bills, cap_bills;
    bool any_unpriced; // some request that runs in this window has time without a price
};

struct str engine_text(const struct engine *e, uint32_t id); // NO_TEXT: absent

// The longest gpu_timeout of any epoch: how far back neighbours matter.
int64_t engine_reach(const struct engine *e);

int64_t engine_window_floor(const struct engine *e, int64_t t);

// preview.c: that evidence is about to be taken in.
void preview_note_sample(struct engine *e, const struct gpu *g, const struct sample *s);
void preview_note_use(struct engine *e, const struct gpu *g, int64_t start);
void preview_note_unplaced(struct engine *e, int64_t end);

// Whole windows of [from, to), whatever the epochs; with `final` the frontier follows. Returns
// where it stopped: before the end once rows_left is 0.
int64_t engine_compute_stretches(struct engine *e, int64_t from, int64_t to, bool final,
                                 const struct engine_sink *sink);

// Computes the windows of [from, to), all of one epoch and both on its bounds. With `final` the
// requests are charged and their costs handed out, else nothing changes.
// Returns where it stopped.
int64_t engine_compute(struct engine *e, int64_t from, int64_t to, const struct settings *settings,
                       bool final, const struct engine_sink *sink);
