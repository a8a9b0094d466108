// Attribution: who pays for one GPU's billed time in one window (cost-model.md, "Attribution" and
// "Money is integer").
//
// Between two edges nobody's weight changes, so everyone's share follows from running integrals:
// V(t) = integral of dt / W over the time with weights, E(t) = integral of dt / n over the time
// shared equally (virtual time, as in fair queueing). A request earns weight * (V(t2) - V(t1)) +
// (E(t2) - E(t1)) GPU-nanoseconds.
//
// Weights are integers in a unit 2^-S that suits the window: S is the least of
// 104 - bits(coefficient * tokens) + bits(length * GPUs) over all phases with a weight of the
// requests that run in it, so no weight reaches 2^105, 2^22 concurrent requests cannot overflow
// their sum, and each converts to a double-double exactly. The integrals start afresh at each span
// of constant price, and W is an integer sum, so neither history nor the order of arrival can show
// in a digit.
//
// Internal to src/cost.
#pragma once

#include "base/fixed.h"
#include "cost/apportion.h"
#include "cost/gpu.h"
#include "cost/tokens.h"

// The running integrals at some instant. The energy ones (_j) integrate power as well, in
// watt-nanoseconds; powered_ns counts time with known power.
struct integrals {
    struct fixed weighted, weighted_j; // the latter in units of sweep.power_unit
    struct dd equal, equal_j;
    int64_t powered_ns;
};

// A request in the window being swept.
struct slot {
    const struct use *use;
    int64_t first;                 // of the request; -1 none
    struct token_parts tokens;     // in this window
    int64_t requests;              // that end in it; counted on the first of its GPUs
    u128 weight_in, weight_out;    // in the window's unit
    int exponent_in, exponent_out; // until that is known: they are times 2^-exponent
    uint32_t row;                  // index into sweep.rows
    u128 weight;                   // what counts in the phase it is in
    bool active;
    bool decoding;          // it has passed its first token
    struct integrals since; // when its phase, or the span, began
    struct dd in, out;      // earned in this span, GPU-ns
    struct dd earned;       // earned in this window
    double energy;          // W * ns in this window
    bool has_energy;
    int64_t cost_in, cost_out, unpriced_ns; // its parts in this window
    bool unpriced;                          // some real share has no price, be its part 0 ns
};

// A row in the making: usage rows by (model, tenant), idle, unattributed.
struct row_sum {
    uint32_t group; // usage only
    enum row_kind kind;
    struct dd time; // GPU-ns
    int64_t cost_in, cost_out, unpriced_ns;
    int64_t prompt, cached, completion, requests, unpriced_requests;
    int64_t busy_ns; // time, as an integer share
    double energy;   // W * ns
    bool has_energy;
};

struct mark { // the instant a slot's request has its first token, or ends
    int64_t at;
    uint32_t slot;
};

// Working memory of a sweep, reused from window to window.
struct sweep {
    struct slot *slots;
    size_t n_slots, cap_slots;
    struct mark *marks;
    size_t n_marks, cap_marks;
    uint32_t *members; // slots with a part in the current span, ascending
    size_t n_members, cap_members;
    struct row_sum *rows; // of this window
    size_t n_rows, cap_rows;
    uint32_t *row_of_group; // row index + 1, 0 none
    size_t cap_groups;
    struct share *shares;
    uint64_t *ranks;
    struct mark *mark_scratch;
    size_t cap_shares;

    // The sweep's state.
    struct integrals now;
    u128 weight_sum;
    size_t n_active;
    int64_t idle_ns, unattributed_ns; // in this span
    double power_unit;                // W, a power of two: no piece of this window draws more
    double idle_energy;
    bool idle_has_energy;
    int64_t span_from;
    int64_t billed_ns, bill_nusd; // in this window
};

void sweep_done(struct sweep *s);

// Sweeps the window [from, to) of g: its pieces, and the uses given by `running` and those that
// start inside it. Leaves slots (canonical order) and rows (usage rows in order of appearance,
// then idle, then unattributed, where there is such time). Rows are numbered from 0 at each call.
void sweep_window(struct sweep *s, const struct gpu *g, int64_t from, int64_t to,
                  const struct settings *settings);
