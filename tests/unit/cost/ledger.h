// What the tests of the engine share: records in one line, and a sink that keeps what it hears.
//
// Times are ns. Every record is of host "h"; a request runs on GPU 0, has a prompt of `prompt` and
// answers with `completion` tokens, model "m", no tenant; a sample states nothing but a price.
#pragma once

#include "base/arena.h"
#include "cost/engine.h"
#include "test.h"

#define S INT64_C(1000000000)
#define HOUR (3600 * S)
// USD per hour in nano-USD; at $3.60 a millisecond costs 1,000 nano-USD.
#define USD INT64_C(1000000000)

struct record make_sample(const char *id, int64_t ts, int64_t price_nusd);
struct record make_usage(const char *id, int64_t start, int64_t first, int64_t end, int64_t prompt,
                         int64_t completion);                    // first: -1 none
void on_gpus(struct record *r, const int32_t *gpus, uint32_t n); // a request's; borrowed

struct ledger {
    struct arena arena; // texts
    struct window_row rows[256];
    size_t n_rows;
    struct usage_cost costs[64];
    size_t n_costs, n_windows;
    int64_t bill_nusd;
};

struct engine_sink ledger_sink(struct ledger *l);
void ledger_clear(struct ledger *l); // also frees: nothing is held afterwards

// The only row of this kind in the window that begins at `start` on this GPU (-1: without one), of
// this model where `model` is not NULL. The test fails when there is none, or more than one.
const struct window_row *ledger_row(const struct ledger *l, int64_t start, int32_t gpu,
                                    enum row_kind kind, const char *model);
const struct usage_cost *ledger_cost(const struct ledger *l, const char *id);
int64_t ledger_money(const struct ledger *l, enum row_kind kind); // over all rows
int64_t ledger_time(const struct ledger *l, enum row_kind kind);  // their busy_ns

// An engine with one epoch of settings: settings_default at $3.60 an hour, and whatever a test
// changes before it feeds the first record.
struct bench {
    struct settings epochs[3];
    struct settings_history settings;
    struct price_entry entries[8];
    struct price_book prices;
    struct engine *engine;
    int64_t seq;
    struct ledger ledger;
};

void bench_init(struct bench *b);
void bench_done(struct bench *b);
int bench_add(struct bench *b, struct record r); // gives it the next seq; engine_add's answer
void bench_cover(struct bench *b, int64_t from, int64_t to); // a sample every 30 s, `to` included
void bench_advance(struct bench *b, int64_t until); // into the ledger, which it clears first
void bench_preview(struct bench *b);                // likewise
void bench_price(struct bench *b, const char *name, int64_t price_nusd, int64_t effective_from);
