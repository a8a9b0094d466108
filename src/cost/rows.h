// What the engine computes: rows of cost_windows and the costs of requests. Plain data; strings
// are borrowed from the engine (valid during the callback) or from whoever read the row.
//
// Every row names its method and is replaced whole, by key; nothing is ever added to one in place.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cost/settings.h"
#include "model/record.h"

// ROW_UNPLACED holds tokens and counts of requests that no GPU could be charged for: its host and
// gpu are absent (gpu.host absent, index and instance -1), its cost is unknown.
enum row_kind { ROW_USAGE, ROW_IDLE, ROW_UNATTRIBUTED, ROW_UNPLACED };

const char *row_kind_name(enum row_kind k); // "usage", "idle", "unattributed", "unplaced"
int row_kind_parse(struct str s, enum row_kind *ret) GTAP_CHECK;

// Key: (window_start, gpu, kind, model, tenant). The rows of one GPU and window add up to its bill.
struct window_row {
    int64_t window_start; // ns
    struct gpu_key gpu;
    struct str site;
    enum row_kind kind;
    struct str model, tenant;            // absent for idle and unattributed; tenant may be absent
    int64_t cost_nusd;                   // of the priced time
    int64_t cost_in_nusd, cost_out_nusd; // usage: add up to cost_nusd; else 0
    int64_t prompt_tokens, completion_tokens;
    int64_t cached_prompt_tokens;
    int64_t requests;          // requests that end in this window, counted on their first GPU
    int64_t unpriced_requests; // of these, how many have an unpriced part (so cost null)
    int64_t busy_ns;     // this row's share of the GPU's billed time; a window's rows add up to it
    int64_t unpriced_ns; // its share of billed time without a price
    double energy_j;     // valid when has_energy
    bool has_energy;
    bool final;
    int32_t revision; // 0 while open, 1 when first final, +1 for each settlement that changed it
    enum cost_method method;
    // Of a row that was read: numbers of the store for (gpu, site) and (model, tenant). Rows with
    // the same number say the same. 0: it does not tell.
    int64_t place, consumer;
};

// Equal in everything but final, revision and numbers; energy to the last bit.
bool window_row_same(const struct window_row *a, const struct window_row *b);
// Canonical order of rows: window_start, gpu, kind, model, tenant.
int window_row_cmp(const struct window_row *a, const struct window_row *b);

// What one request costs, all its windows and GPUs together. Neither side ever costs more than
// USAGE_COST_MAX: it takes a year on several GPUs at a million dollars an hour to get there.
#define USAGE_COST_MAX (INT64_MAX / 2)

struct usage_cost {
    int64_t seq; // the record's
    struct str event_id;
    int64_t ts;        // the record's end
    int64_t tokens;    // the record's, prompt and completion: what a cost per token divides by
    bool priced;       // false: some part of it has no price (or no GPU), and its cost is null
    int64_t cost_nusd; // = in + out; of the priced part only, when !priced
    int64_t cost_in_nusd, cost_out_nusd;
    int64_t unpriced_ns; // its share of GPU time without a price
    double energy_j;
    bool has_energy;
    bool final;
    bool late;        // it arrived for a window already final
    int32_t revision; // as in window_row; 0: provisional
    enum cost_method method;
};

bool usage_cost_same(const struct usage_cost *a,
                     const struct usage_cost *b); // but final, late, revision
