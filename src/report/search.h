// Requests, newest first by their start, page by page: what somebody searches for in a store of any
// size. A rare tenant costs about what its requests do, not what the store holds (report/seek.h).
// Filters that rows cannot tell (a site, a least cost, late) are looked for among all of that time,
// up to a bound on what one page may read.
#pragma once

#include "base/arena.h"
#include "output/store.h"

struct search_query {
    int64_t from, to; // [from, to) on start; INT64_MIN, INT64_MAX: all
    // A page after another: the former's next_to and next_before are this one's to and before. They
    // stay valid while records come in.
    struct str before;
    enum record_filter filter;
    struct store_match match;
    const struct gpu_key *gpus;   // on one of them
    size_t n_gpus;                // 0: wherever it ran
    struct str_list hosts, sites; // of the request's own record
    int64_t min_nusd;             // costs at least this; 0: also those of unknown cost
    size_t limit;                 // > 0
    size_t most_read;             // records to look at for one page, about; 0: no bound
};

struct search_result {
    struct stored_record *items;
    size_t n;
    // False: there is nothing before these. True: perhaps; also with less than `limit` items, or
    // none, where most_read ended the search early.
    bool more;
    int64_t next_to;
    struct str next_before; // may be absent
};

// Everything is owned by the arena. Reads one state of the store.
int search_requests(struct store *s, const struct search_query *q, struct arena *a,
                    struct search_result *ret, struct error *err) GTAP_CHECK;
