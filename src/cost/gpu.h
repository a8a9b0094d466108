// What an engine holds of one GPU: the samples from a gpu_timeout before the frontier on, the
// requests that end after the frontier, and of those before it only when they were. Times are ns
// of event time. It belongs to its engine and that one's thread. Internal to src/cost.
#pragma once

#include "base/str.h"
#include "cost/engine.h"
#include "cost/short_id.h"

#define NO_TEXT UINT32_MAX // an interned string that is absent

// A usage record that is not final yet, once, however many GPUs it runs on. Freed by whoever makes
// it final.
struct request {
    int64_t start, first, end; // first: -1 when the record has none
    int64_t seq;
    struct short_id id;                 // owned
    int32_t prompt, cached, completion; // at most RECORD_TOKENS_MAX each
    int32_t requests;                   // and of these
    uint32_t group;                     // (model, tenant), see engine_impl.h
    uint32_t site;
    uint8_t n_gpus; // at most RECORD_GPUS_MAX
    bool late;
    bool has_energy;
    bool unpriced;       // some part has no price, of the windows computed so far
    bool unpriced_ahead; // of the windows in a preview
    int64_t cost_in, cost_out, unpriced_ns; // of the windows computed so far
    double energy_j;
};
_Static_assert(RECORD_TOKENS_MAX <= INT32_MAX / 2, "two kinds of tokens add up in 31 bits");
_Static_assert(RECORD_GPUS_MAX <= UINT8_MAX, "a request counts its GPUs in 8 bits");

void request_free(struct request *r); // accepts NULL

// The requests lie scattered over more memory than the caches hold, and every loop over them waits
// for each: it asks for the one that comes PREFETCH steps later.
enum { PREFETCH = 6 };
static inline void request_prefetch(const struct request *r)
{
    for (size_t at = 0; at < sizeof(*r); at += 64)
        __builtin_prefetch((const char *)r + at, 1);
}

// A request's place on one of its GPUs.
struct use {
    int64_t start, end; // the request's
    struct request *request;
    uint32_t part; // it is this one, from 0, of its request's GPUs
};

struct sample {
    int64_t ts;
    int64_t price_nusd; // PRICE_NONE when it states none
    double power_w;     // NAN when absent
    uint32_t name, site;
    struct short_id id; // owned
};

// Billed time between two changes of anything: see timeline.h.
struct piece {
    int64_t from, to;
    int64_t price_nusd; // PRICE_NONE: unpriced
    int64_t entry;      // where that is from: see price.h
    double power_w;     // NAN: unknown or not covered
    bool covered;
};

struct gpu {
    struct gpu_key key;
    int64_t packed; // its key in the engine's map
    struct sample *samples;
    size_t n_samples, cap_samples, sorted_samples; // [0, sorted) is sorted
    struct use *uses; // [head_uses, n_uses): those that end after the frontier
    size_t head_uses, n_uses, cap_uses, sorted_uses;
    struct time_range *busy; // merged times of requests that ended by the frontier
    size_t n_busy, cap_busy;
    bool has_sites; // some sample ever stated a site

    // Evidence nearest to the frontier F, to tell whether a record after F reaches back over it.
    int64_t before, after; // newest instant of evidence < F, oldest >= F (F itself: it crosses)
    int64_t sample_after;  // oldest sample >= F
    int64_t sited_after;   // oldest one that states a site; INT64_MAX also when that is not known

    // The current stretch of computation. The pieces go with its end: a stretch of many windows has
    // as many as there are samples.
    struct piece *pieces;
    size_t n_pieces, cap_pieces;
    size_t at_piece;   // first piece that ends after the current window's start
    size_t at_use;     // first use that starts at or after it
    uint32_t *running; // indices of earlier uses that still run, ascending
    size_t n_running, cap_running;
};

void gpu_done(struct gpu *g);
void gpu_add_sample(struct gpu *g, const struct sample *s); // takes the id over
void gpu_add_use(struct gpu *g, struct use u);
void gpu_add_busy(struct gpu *g, int64_t from, int64_t to); // a request that is not held
void gpu_sort(struct gpu *g); // both arrays; of samples at one instant only the first id is kept
void gpu_drop_pieces(struct gpu *g);

// After the windows up to `frontier` were computed, with the cursors behind the last one: lets go
// of what ended, and of evidence at or before `before`.
void gpu_forget(struct gpu *g, int64_t frontier, int64_t before);
bool gpu_empty(const struct gpu *g);
