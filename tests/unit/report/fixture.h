// A store in memory with hand-made cost rows, and reports of it.
#pragma once

#include "report/format.h"

// Rows begin at minutes after this: 2026-11-22T00:00:00Z, a Sunday.
#define FIXTURE_EPOCH INT64_C(1795305600000000000)
#define FIXTURE_MINUTE (60 * NS_PER_S)

enum { FIXTURE_OPEN = 1, FIXTURE_UNPRICED = 2 };

struct fixture_row {
    int minute;
    const char *host; // NULL: no GPU
    int gpu;
    enum row_kind kind;
    const char *model, *tenant; // NULL: absent
    int64_t cost_in, cost;      // nano-USD; the out part is the rest. Idle rows: all is `cost`
    int64_t prompt, completion, requests;
    unsigned flags;
    const char *site;
};

struct fixture {
    struct store *store;
    struct arena arena;
    struct report report;
    struct buf text;
};

// Stores the rows (ascending in minute), samples of every GPU that they name (an "NVIDIA L4"), and
// that all before `final_minutes` is final.
void fixture_init(struct fixture *f, const struct fixture_row *rows, size_t n, int final_minutes);
void fixture_done(struct fixture *f);

// A query of everything, by "model,tenant" and so on.
struct report_query fixture_query(const char *by);
const struct report *fixture_load(struct fixture *f, const struct report_query *q);
// The newest report in a format.
struct str fixture_text(struct fixture *f, const struct report_format *format,
                        const struct report_style *style);
