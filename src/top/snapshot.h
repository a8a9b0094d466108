// What a source knows at one instant: the GPUs, and cost rows of a window of time, in the two
// groupings that are shown. Everything is in its arena.
#pragma once

#include "report/query.h"

enum top_window { TOP_1M, TOP_5M, TOP_1H, TOP_24H, TOP_TODAY, TOP_WINDOWS };
enum top_group { TOP_BY_MODEL_TENANT, TOP_BY_MODEL, TOP_BY_TENANT, TOP_BY_GPU_MODEL, TOP_GROUPS };

// What is asked of a source.
struct top_ask {
    enum top_window window;
    enum top_group group;
    const struct zone *zone; // of "today"
    int64_t at;              // as if it were this time; INT64_MIN: now
};

const char *top_window_name(enum top_window w); // "5m", as it is typed
const char *top_window_text(enum top_window w); // "last 5 min"
const char *top_group_name(enum top_group g);   // "model/tenant"
// The dimensions of a grouping, and how many.
size_t top_group_dims(enum top_group g, enum report_dim ret[2]);
// Where the window begins that ends at `at`: ns.
int64_t top_window_from(enum top_window w, const struct zone *z, int64_t at);

enum top_price_source { TOP_PRICE_UNKNOWN, TOP_PRICE_SAMPLE, TOP_PRICE_BOOK, TOP_PRICE_DEFAULT };

struct top_gpu {
    struct str label, name;        // "gpu-01/0"; what it is, may be absent
    int64_t first_seen, last_seen; // its samples; INT64_MIN: unknown
    uint32_t has;                  // SAMPLE_UTILIZATION, ..., of its newest sample
    double utilization, mem_used_mb, mem_total_mb, power_w;
    int64_t price_nusd_hour; // PRICE_NONE: it has none
    enum top_price_source price_source;
};

struct top_snapshot {
    struct arena arena;
    struct top_ask ask;
    int64_t at;           // wall time of whoever has the numbers
    int64_t from, to;     // of the rows, whole windows
    int64_t final_until;  // INT64_MIN: nothing is
    int64_t newest;       // evidence; INT64_MIN: unknown
    bool empty;           // no records at all
    int64_t stale_ns;     // a sample older than this says nothing about now
    struct top_gpu *gpus; // canonical order
    size_t n_gpus;
    struct report placed; // by GPU and model
    struct report groups; // as asked
};

void top_snapshot_init(struct top_snapshot *s, const struct top_ask *ask, int64_t at);
void top_snapshot_free(struct top_snapshot *s); // accepts NULL

// Rows of `from`, of which only the dimensions `dims` stay, added up, and what each bears of idle
// time by that. Values are borrowed from `from`; the rest is in the arena. -EINVAL when `from`
// lacks one of them.
int top_fold(const struct report *from, const enum report_dim *dims, size_t n, struct arena *a,
             struct report *ret) GTAP_CHECK;

// Sets the totals by kind and the bill from the rows.
void top_totals(struct report *r);
