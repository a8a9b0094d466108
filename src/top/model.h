// What is shown, as numbers: a snapshot, looked at on a basis, in an order, through a filter. Pure.
// Money an hour is in whole cents that add up: GPUs to the bill, and rows, idle and unattributed
// time to the bill.
//
// An hour is an hour of the window's time, from its first evidence to its newest: what costs 2.80
// an hour shows 2.80, whether the window is full yet or not.
#pragma once

#include "report/format.h"
#include "report/rates.h"
#include "top/snapshot.h"

enum top_sort {
    TOP_SORT_COST,
    TOP_SORT_TOKENS,
    TOP_SORT_REQUESTS,
    TOP_SORT_RATE,
    TOP_SORT_NAME,
    TOP_SORTS
};

const char *top_sort_name(enum top_sort s); // "cost"
const char *top_basis_name(enum report_basis b);

// Money in whole cents, an hour and over the window.
struct top_cents {
    i128 hour, window;
};

struct top_look {
    enum report_basis basis;
    enum top_sort sort;
    struct str filter;  // rows whose names have this text, whatever its case; "": all
    const char *advice; // how commands that are advised name the store: " --store URI"; may be NULL
};

struct top_gpu_line {
    const struct top_gpu *gpu;
    struct sums parts[ROW_UNATTRIBUTED + 1], bill; // of the window
    struct top_cents cents;                        // valid when known
    bool billed, known;                            // has any time in the window; has a price
    struct rate rate;                              // on the basis
    bool silent;                                   // its newest sample is stale
    bool ahead;                                    // or of a time after the snapshot's
    int64_t age_ns;                                // of its newest sample
    struct str models;                             // "llama-3-70b", "llama-3-70b +1"
};

struct top_line {
    struct str names[2]; // absent: it has none
    size_t n_names;
    const struct report_row *row;
    i128 cost_nusd; // on the basis, as are cents and rates
    struct top_cents cents;
    bool known;
    struct rates rates;
    double share; // of the bill; NAN: unknown
};

enum { TOP_NOTES_MAX = 6 };

struct top_model {
    struct arena arena;
    const struct top_snapshot *snapshot; // borrowed
    struct top_look look;
    int64_t span_ns;                                    // 0: no time to divide by
    bool known;                                         // the bill, or a part of it, has a price
    struct top_cents bill, kinds[ROW_UNATTRIBUTED + 1]; // on the basis: what rows do not bear
    struct top_cents hidden;                            // of the rows that the filter hides
    struct rate loaded;                                 // of the bill
    double busy, idle;                                  // shares of GPU time; NAN: there was none
    size_t n_billed, n_hosts; // GPUs with time in the window, and their hosts
    struct top_gpu_line *gpus;
    struct top_line *lines;
    size_t n_gpus, n_lines;           // shown
    size_t hidden_gpus, hidden_lines; // by the filter
    size_t gone_gpus;                 // unheard of for over a day, and not shown
    struct str notes[TOP_NOTES_MAX];  // sentences: what is missing, and why
    size_t n_notes;
};

void top_model_init(struct top_model *m, const struct top_snapshot *s, const struct top_look *look);
void top_model_done(struct top_model *m);

// "llama-3-70b / search", of what a row names.
void top_line_label(const struct top_line *l, struct buf *b);
// A number a second over the window.
double top_per_second(const struct top_model *m, i128 n);

// notes.c
void top_notes(struct top_model *m);
void top_note(struct top_model *m, struct buf *text); // takes the text, and clears it
