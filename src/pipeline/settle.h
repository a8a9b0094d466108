// Replacing what a derivation finds different: settlement of late records, and `recompute`. Nothing
// is written here: what must be goes to an outbox. Rows that are right keep their revision, of a
// window that has others the new ones get the window's highest plus one.
#pragma once

#include "base/error.h"
#include "cost/engine.h"
#include "output/store.h"
#include "pipeline/derive.h"
#include "pipeline/outbox.h"

// How much time to take at once, so that about 200,000 records pass between two commits.
int64_t settle_slice(const struct store_info *info, const struct settings *s);

// Compares a window: 0 when the stored rows say what the derived ones do.
size_t rows_different(const struct derive_window *w, size_t *ret_equal);

// Adds what must replace the stored rows to the outbox: of a window that differs, all its rows.
void settle_window(struct outbox *o, const struct derive_window *w);
void settle_cost(struct outbox *o, const struct usage_cost *derived,
                 const struct usage_cost *stored);

// Settles [from, to) of a shard into the outbox, whose texts *ret_keep keeps. live: the engine that
// gets the sums of requests still running; may be NULL. Of range->visitor only progress() counts.
int settle_range(const struct derive_config *range, struct engine *live, struct outbox *o,
                 struct derivation **ret_keep, struct error *err) GTAP_CHECK;
