// The groups of a report while its rows are added, one after the other.
#pragma once

#include "report/query.h"

struct intern;
struct group_memo;

// Groups under construction: the packed key of a row is interned, its number is the group's. They
// are large, so they stay where they were made, chunk_rows side by side, until all are known.
struct groups {
    struct report *report;
    struct arena *arena;
    struct intern *keys, *gpu_keys;
    struct report_row **chunks; // of the arena
    size_t n_rows, n_chunks, cap_chunks, chunk_rows;
    struct report_gpu *gpus;
    size_t n_gpus, cap_gpus, last_gpu;   // rows of one GPU mostly follow each other
    struct buf key, text;                // scratch
    bool too_many;                       // groups
    int64_t settled;                     // of the rows that are being added, see report_row.settled
    bool by_time, by_place, by_consumer; // what of a row tells its group
    struct group_memo *memos;            // MEMO_SIZE of them
};

// report->query is set, and what the rows add up to is all zero. The groups are of the arena.
void groups_init(struct groups *g, struct report *report, struct arena *a);
// Nothing more once too_many is set.
void groups_add(struct groups *g, const struct window_row *row);
// Sets the report's rows, GPUs and totals.
void groups_finish(struct groups *g);
void groups_done(struct groups *g);
