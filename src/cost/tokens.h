// Spreading a request's tokens over its windows and GPUs by telescoping floors, so that the parts
// add up exactly (cost-model.md, "Money is integer"): of n tokens in a phase [s, e) those up to t
// are floor(n * (t - s) / (e - s)), in 128 bits. Pure. Internal to src/cost.
#pragma once

#include "cost/gpu.h"

struct token_parts {
    int64_t prompt, cached, completion;
};

// What falls to this use in the window [from, to).
struct token_parts tokens_in_window(const struct use *u, int64_t from, int64_t to);
