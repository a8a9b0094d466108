// The rows of each collection, by the field names of the stores (internal to `gtap export`). Each
// function reads one snapshot of the store, row by row, so memory does not grow with the answer.
// from and to are ns, [from, to).
#pragma once

#include "cmd/cli.h"
#include "cmd/emit.h"
#include "output/store.h"

struct export
{
    struct store *store;
    struct arena *arena;
    int64_t from, to;
    enum record_filter filter;
    enum window_level level;
    struct emitter emitter;
    struct cli *cli;
    int64_t first, last;      // of the rows, for progress; equal: none is shown
    struct mono began, shown; // shown: of the progress line; 0: not yet
    uint64_t rows;
};

// A row of event time t was written: shows progress, where somebody would see it.
void export_wrote(struct export *x, int64_t t);

// 0 or a negative errno with a message. CSV headers are written even where there are no rows.
int export_token_usage(struct export *x, struct error *err) GTAP_CHECK;
int export_gpu_metrics(struct export *x, struct error *err) GTAP_CHECK;
int export_cost_windows(struct export *x, struct error *err) GTAP_CHECK;
int export_dead_letters(struct export *x, struct error *err) GTAP_CHECK;
int export_price_book(struct export *x, struct error *err) GTAP_CHECK;
int export_gpus(struct export *x, struct error *err) GTAP_CHECK;
int export_settings(struct export *x, struct error *err) GTAP_CHECK;

// The row that writes the CSV header: emit it, then go on. No-ops in NDJSON.
bool export_titles_begin(struct export *x);
void export_titles_end(struct export *x);
int export_failed(int code, struct error *err); // the output stream's error
