// The thread that commits: everything that is waiting in its queue goes into one transaction, and
// comes back stored. It is the only one to use the store while it runs, but for moments when it has
// nothing to do and the meter knows that (settlement).
#pragma once

#include "base/queue.h"
#include "output/store.h"
#include "pipeline/parcel.h"

struct writer;

// Parcels pushed to *ret_queue come back through `done`. retain_ns: see struct run_config.
int writer_start(struct store *store, struct queue *done, const int64_t retain_ns[4],
                 struct writer **ret, struct queue **ret_queue, struct error *err) GTAP_CHECK;
void writer_stop(struct writer *w); // commits what is queued, then joins; accepts NULL
