// What is going on now: money, tokens and shares of the newest minute or so, from the store's
// newest windows, those that are not final included. However much the store holds, only these are
// read.
#pragma once

#include "report/json.h"
#include "report/query.h"

// Rates are of [from, to): from the window that holds the instant a minute before the newest
// record, or from the first record, for as long as the GPU was billed that was billed longest. GPUs
// are billed to their newest samples, which come every so often, and not to the newest record of
// all: but to no more than a max_gap before it, so that GPUs that follow each other do not count
// twice.
struct now {
    int64_t at; // wall time
    bool known; // false: nothing is there that rates could be of
    int64_t from, to;
    struct store_info info;
    struct report by_gpu;  // by GPU and model, in the order of names
    struct report windows; // by GPU, model and tenant: those that cost most first, and the others
};

// Everything is owned by the arena.
int now_read(struct store *s, struct arena *a, int64_t at, struct now *ret, struct error *err)
    GTAP_CHECK;

// All of the bill, by kind: USD an hour. False: nothing of it has a price, or it is not known.
bool now_usd_per_hour(const struct now *n, const struct sums *s, double *ret);
// What happened so often in [from, to), a minute.
double now_per_minute(const struct now *n, i128 count);

// The members of the object of the event "now" that come from the store.
void now_put_rates(struct json *j, const struct now *n);
// The object of the event "windows".
void now_put_windows(struct json *j, const struct now *n);
