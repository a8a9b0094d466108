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
    struct gpu_key gpu;
    int64_t nusd;
};

// A request whose last window is being computed, and the row that counts it.
struct ending {
    struct request *request;
    size_t row;
};

// What was found of the window being computed.
struct found {
    struct window_row *rows;
    size_t n_rows, cap_rows;
    struct ending *ending;
    size_t n_ending, cap_ending;
    struct gpu_bill *bills;
    size_t n_bills, cap_bills;
    bool any_unpriced; // some request that runs in it has time without a price
};

// Where engine_preview_changed() stopped.
struct telling {
    int64_t from;        // the start of a window; INT64_MAX: it had told all
    bool begun;          // in that window: behind the GPU `last`
    struct gpu_key last; // texts are the engine's
    struct found found;  // of that window so far, if it has begun
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
    struct telling telling;
    size_t rows_left;    // so many may be handed out before a computation stops at a window's end
    bool unpriced_ahead; // some request has time without a price in the windows of a preview

    // Scratch of window.c.
    struct sweep sweep;
    struct found found;
};

void engine_rank_groups(struct engine *e);                   // sets the ranks, where groups came
struct str engine_text(const struct engine *e, uint32_t id); // NO_TEXT: absent

// The longest gpu_timeout of any epoch: how far back neighbours matter.
int64_t engine_reach(const struct engine *e);

int64_t engine_window_floor(const struct engine *e, int64_t t);

// preview.c: that evidence is about to be taken in.
void preview_note_sample(struct engine *e, const struct gpu *g, const struct sample *s);
void preview_note_use(struct engine *e, const struct gpu *g, int64_t start);
void preview_note_unplaced(struct engine *e, int64_t end);

// The end of the stretch from `from` on that is of one epoch, at most `to`, in whole windows.
int64_t engine_stretch_end(const struct engine *e, int64_t from, int64_t to);

// Whole windows of [from, to), whatever the epochs; with `final` the frontier follows. Returns
// where it stopped: before the end once rows_left is 0.
int64_t engine_compute_stretches(struct engine *e, int64_t from, int64_t to, bool final,
                                 const struct engine_sink *sink);

// Computes the windows of [from, to), all of one epoch and both on its bounds. With `final` the
// requests are charged and their costs handed out, else nothing changes.
// Returns where it stopped.
int64_t engine_compute(struct engine *e, int64_t from, int64_t to, const struct settings *settings,
                       bool final, const struct engine_sink *sink);

// Goes on with the window that e->telling is at, which ends by the end of its stretch: GPU by GPU,
// until *work is used up, which counts requests and pieces of billed time. True: that was all of
// it, its rows are handed out, and telling.found has them.
bool engine_tell_window(struct engine *e, const struct settings *settings, size_t *work,
                        const struct engine_sink *sink);

// The start of the first window of [from, to), a stretch, in which something happens; `to`: none.
int64_t engine_next_window(struct engine *e, int64_t from, int64_t to,
                           const struct settings *settings);
