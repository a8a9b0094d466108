// The message that travels source -> meter -> writer -> meter -> source. Whoever holds it owns all
// of it; a queue push hands it over.
#pragma once

#include "base/queue.h"
#include "input/input.h"
#include "output/store.h"
#include "pipeline/outbox.h"

struct source;

struct parcel {
    struct source *source; // whose records these are; NULL: it only carries computed rows
    bool stored;           // it comes from the writer
    bool calm;             // nobody waits for it: it may lie until something else is due
    int result;            // of input_next (INPUT_*), or of the commit; negative: see err
    struct error err;

    struct batch batch;
    int64_t newest_ts[2]; // newest event time in the batch, by enum record_kind; INT64_MIN: none

    struct store_record *entries; // one a record, filled by the meter
    struct usage_cost *provisional;
    size_t cap_entries;
    struct outbox outbox;
    bool preview; // rows of open windows are, or were, in the outbox
    // Of a parcel that comes from the writer: shards that other processes have by now, and what the
    // rows of open windows cost it, ns.
    uint32_t *lost;
    size_t n_lost, cap_lost;
    int64_t preview_took;

    bool reload_prices;       // the writer shall read the price book as well, into `prices`
    struct arena price_arena; // owns it
    struct price_book prices;
    int64_t expire_newest; // newest event time: the writer shall drop what is older than the
                           // retention allows; INT64_MIN: not now
    int64_t expire_now;    // wall time, for what is dated by it: dead letters
};

struct parcel *parcel_new(struct source *source);
void parcel_free(struct parcel *p);  // accepts NULL
void parcel_clear(struct parcel *p); // empty, to be filled again

// Hands it to the meter, whom a calm one does not wake up before something else does.
int parcel_push(struct queue *inbox, struct parcel *p) GTAP_CHECK;

// Makes the store's entries for the records of the batch.
void parcel_make_entries(struct parcel *p);
