// A report: stored cost rows of a range of time, grouped. Everything is a sum of integers; formats
// (format.h) make text and rates of it.
#pragma once

#include "base/arena.h"
#include "output/store.h"
#include "report/sums.h"
#include "report/zone.h"

enum report_dim {
    DIM_MODEL,
    DIM_TENANT,
    DIM_GPU,
    DIM_HOST,
    DIM_SITE,
    DIM_HOUR,
    DIM_DAY,
    DIM_TIME, // steps of report_query.step
    DIM_KIND,
    DIM_COUNT,
};

const char *report_dim_name(enum report_dim d); // "model", ...
// "model,tenant": names once each. -EINVAL naming the bad one and the choice. "" is no dimension.
int report_dims_parse(struct str text, enum report_dim dims[DIM_COUNT], size_t *ret_n,
                      struct error *err) GTAP_CHECK;

// GPU time without requests belongs to a GPU, host, site and time, but to no model or tenant.
bool report_dim_physical(enum report_dim d) GTAP_PURE;
bool report_dim_timed(enum report_dim d) GTAP_PURE; // hour, day and time

// Rows that say this. "" is a request that named none (no tenant), or no GPU.
struct report_filter {
    enum report_dim dim; // no time
    struct str value;    // as its rows show it: "gpu-01/0"
};
// "tenant=search". -EINVAL naming what is wrong. Borrows from text.
int report_filter_parse(struct str text, struct report_filter *ret, struct error *err) GTAP_CHECK;

#define STEP_WINDOW INT64_C(-1)
// "window", "15m", "1h", "1d": what divides a day. -EINVAL with what would be right.
int report_step_parse(struct str text, int64_t *ret, struct error *err) GTAP_CHECK;

enum report_sort {
    SORT_AUTO, // hours and days as they pass, the rest by cost
    SORT_COST,
    SORT_TOKENS,
    SORT_REQUESTS,
    SORT_RATE, // $/Mtok
    SORT_NAME,
};

struct report_query {
    enum report_dim by[DIM_COUNT];
    size_t n_by;
    int64_t from, to; // [from, to), widened to whole windows. INT64_MIN, INT64_MAX: everything
    bool provisional; // windows that are not final too
    // What changed after its month was closed stands in rows of its own, of the month in which it
    // was settled, and the rows of closed months are as they were: see output/corrections.h. The
    // range is of what is billed: corrections settled in it, whatever time they are of.
    bool corrections;
    const struct zone *zone;
    enum report_sort sort;
    // Groups; what is left out is added up in "(n others)". Where not every group has a bill of its
    // own, as many of each kind. By DIM_TIME first: so many for all of the time, the costliest, and
    // others at each. 0: all
    size_t limit;
    int64_t step; // of DIM_TIME: ns that divide a day, or STEP_WINDOW (also 0)
    size_t max;   // more groups than so many are refused, -E2BIG; 0: any number
    const struct report_filter *filters; // of one dimension any, of all dimensions each must hold
    size_t n_filters;
    int64_t now; // wall time; sets the end of an open range's header only
};

// Whether every group has idle and unattributed time of its own, and so a bill.
bool report_groups_have_bills(const struct report_query *q) GTAP_PURE;

struct report_value {
    struct str text; // absent: the row has none (idle time has no model)
    int64_t time;    // DIM_HOUR, DIM_DAY, DIM_TIME: see zone_hour(), zone_day(), zone_step()
};

struct report_row {
    enum row_kind kind;
    struct report_value values[DIM_COUNT]; // as query.by
    struct sums sums;
    // With its share of the idle and unattributed time of the same GPU, host, site, hour or day (as
    // far as grouped by these), in proportion to cost. Over all rows it adds up to the bill too;
    // idle rows keep what no request was there to bear.
    i128 loaded_nusd, loaded_in_nusd, loaded_out_nusd;
    bool hidden;     // by a filter; only until report_load() has returned
    size_t others;   // "(n others)": how many groups it stands for
    int64_t settled; // of a correction: the month in which it was settled; INT64_MIN: it is none
};

struct report_gpu {
    struct gpu_key key;
    struct str name; // as its newest sample says; may be absent
    i128 unattributed_ns, unpriced_ns;
};

struct report {
    struct report_query query;
    int64_t from, to;    // what is shown, whole windows
    int64_t final_until; // INT64_MIN: nothing is final
    bool has_open;       // rows that are not final are among them
    bool empty;          // the store holds no records at all
    int64_t first, last; // of the store's records
    struct report_row *rows;
    size_t n_rows;
    struct sums kinds[ROW_UNPLACED + 1]; // totals, by row_kind
    struct sums bill;                    // of all kinds but unplaced; its tokens are the requests'
    struct sums whole;                   // the bill without the filters
    int64_t corrections;                 // of stored rows, those that a settlement changed
    struct report_gpu *gpus;             // canonical order
    size_t n_gpus, n_hosts;
    const struct settings *splits; // epochs in force within the range
    size_t n_splits;
    struct report *more; // what report_load_more() read besides
    size_t n_more;
};

// Filters choose among rows that say what they would without: shares of idle time are of the whole.
// Everything is owned by the arena. Reads one state of the store, whatever a writer beside it does.
int report_load(struct store *s, const struct report_query *q, struct arena *a, struct report *ret,
                struct error *err) GTAP_CHECK;

// Says what else is to be read of the same state of the store, now that *r tells the range and what
// is in it: returns how many queries it has set. Called once; r's rows are in no order yet.
enum { REPORT_MORE_MAX = 4 };
typedef size_t report_more_fn(const struct report *r, struct report_query queries[REPORT_MORE_MAX]);
// report_load(), and what `more` (NULL: nothing) asks for into ret->more.
int report_load_more(struct store *s, const struct report_query *q, report_more_fn *more,
                     struct arena *a, struct report *ret, struct error *err) GTAP_CHECK;

// "gpu-01/0", or "gpu-01/0:3" for slice 3.
void report_gpu_name(struct buf *b, const struct gpu_key *gpu);
// "(1 other)", "(12 others)".
void report_others_name(struct buf *b, size_t n);

// order.c: puts the rows in order.
void report_order(struct report *r);
// fold.c: groups beyond the limit become one row a kind, at the end or, by time, within each step.
void report_fold(struct report *r, struct arena *a);
// Whether others are added up for each step.
bool report_folds_by_time(const struct report_query *q) GTAP_PURE;
// loaded.c: sets every row's loaded_*.
void report_spread_loaded(struct report *r);
