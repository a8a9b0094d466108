// The thread that commits: what is waiting in its queue goes into one transaction, up to some
// 16,000 records, costs and rows (8,000 where it is a server's), though no parcel is cut, and comes
// back stored. It is the only one to use the store while it runs, but for moments when it has
// nothing to do and the meter knows that (settlement, taking shards). What it does unasked in such
// moments, saying that this process is alive, it does only with patience.use, which the meter has
// then.
#pragma once

#include "base/queue.h"
#include "output/store.h"
#include "pipeline/gauges.h"
#include "pipeline/parcel.h"
#include "pipeline/patience.h"

struct writer;

struct writer_config { // all borrowed
    struct store *store;
    struct queue *done; // parcels come back through it
    const struct run_config *run;
    struct patience *patience;
    struct gauges *gauges;
};

// Parcels pushed to *ret_queue come back through `done`, in their order.
int writer_start(const struct writer_config *c, struct writer **ret, struct queue **ret_queue,
                 struct error *err) GTAP_CHECK;
void writer_stop(struct writer *w); // commits what is queued, then joins; accepts NULL

// Whether it has moved lately. What the store takes long for, it may take long for.
bool writer_moves(const struct writer *w);
