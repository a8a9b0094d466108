// The time a GPU is billed, and at what price (cost-model.md, "The time a GPU is billed", "Price").
// Internal to src/cost.
#pragma once

#include "base/intern.h"
#include "cost/gpu.h"

// Fills g->pieces with the billed time of [from, to): ascending, disjoint, cut at every change of
// coverage, price or power. The settings must hold for all of it; g is sorted and holds all
// evidence within a gpu_timeout of it. names: what sample.name and sample.site are ids of.
void timeline_build(struct gpu *g, int64_t from, int64_t to, const struct settings *s,
                    const struct price_book *prices, const struct intern *names);
