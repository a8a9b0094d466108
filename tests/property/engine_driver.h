// The parts of engine_driver, which plays pipeline and store around one cost engine.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "cost/engine.h"

struct decoder;
struct intern;

enum { EPOCHS_MAX = 16, PRICES_MAX = 1024 };

struct rows {
    struct window_row *v;
    size_t n, cap;
};

struct driver {
    struct decoder *decoder;
    struct buf out;
    struct arena arena;    // records, prices
    struct intern *texts;  // strings of rows
    struct intern *ids[2]; // event ids seen, by record kind
    struct settings epochs[EPOCHS_MAX];
    struct price_entry entries[PRICES_MAX];
    struct settings_history settings;
    struct price_book prices;
    struct record *records; // by seq - 1
    size_t n_records, records_cap;
    struct rows rows;
    struct usage_cost *costs; // by seq - 1; seq 0: none yet
    size_t costs_cap;
    struct engine *engine; // NULL until first needed
};

_Noreturn void die(const char *fmt, ...) GTAP_PRINTF(1, 2);

struct engine *driver_engine(struct driver *d); // made when first asked for

static inline const struct record *driver_record(const struct driver *d, int64_t seq)
{
    return &d->records[seq - 1];
}

// What the engine says replaces what it said before: rows by window, costs by request.
void driver_drop_rows(struct driver *d, int64_t from, int64_t to);
void driver_keep_row(struct driver *d, const struct window_row *row);
void driver_keep_cost(struct driver *d, const struct usage_cost *cost);

// Commands. settle computes every dirty range again on a second engine; restart rebuilds the
// engine from the records, as a new owner of the shard would.
void driver_settle(struct driver *d, struct str args);
void driver_restart(struct driver *d, struct str args);
void driver_preview(struct driver *d, struct str label);
void driver_dump(struct driver *d, struct str label);
