// What a commit adds to the ledger of corrections (internal to src/output; see corrections.h).
#pragma once

#include "base/arena.h"
#include "output/store.h"

struct ledger {
    struct arena arena; // of texts
    struct correction *v;
    size_t n, cap;
};

// Finds the entries that *w makes necessary; `now` is wall time. Looks only at windows that were
// settled and whose month is closed.
int ledger_make(struct ledger *l, struct store *s, const struct store_write *w, int64_t now,
                struct error *err) GTAP_CHECK;
void ledger_done(struct ledger *l);

// Whether an entry says nothing.
bool correction_is_empty(const struct correction *c) GTAP_PURE;

// Whether the row that an entry tells of was written after it; stored NULL: there is none.
bool correction_followed(const struct correction *c, const struct window_row *stored) GTAP_PURE;
