// Provisional costs: what a request seems to cost the moment it is reported, by the mission's
// formula: its GPUs' price per hour over the tokens per hour that passed there in the last 30 s of
// event time, this request's included. An estimate that the final cost replaces; it is the one
// number here that depends on the order of arrival.
#pragma once

#include "cost/price.h"
#include "cost/rows.h"
#include "cost/settings.h"

#define PROVISIONAL_SPAN_NS INT64_C(30000000000)

struct provisional;

struct provisional *provisional_new(void);
void provisional_free(struct provisional *p); // accepts NULL

// Takes a sample in: it tells the GPU's price from now on.
void provisional_sample(struct provisional *p, const struct gpu_sample *s);

// Takes a request in and sets *ret (final false, revision 0; priced false when a price is unknown,
// it has no tokens or no place).
void provisional_usage(struct provisional *p, const struct settings *settings,
                       const struct price_book *prices, const struct usage_record *u,
                       struct usage_cost *ret);
