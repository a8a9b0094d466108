// Where in time some requests may have begun, found without looking at others: from what days say
// to their hours to their windows, newest first, and only into those in which a row is theirs.
//
// A request on a GPU has a row in every window that it runs in, so also in the one it begins in.
// One without a GPU, and the count of those without a price, stand in the window it ends in: from
// there it is as far back as the longest request is long. Of what rows do not tell yet (windows not
// final, late records not settled, records that no engine has taken in) all time is named.
#pragma once

#include "output/store.h"

struct seek_query {
    int64_t from, to; // [from, to) on requests' start
    enum record_filter filter;
    const struct store_match *match; // NULL: of anyone
    const struct gpu_key *gpus;      // on one of them
    size_t n_gpus;                   // 0: on any, or none
    struct str_list hosts;
};

// Either may return more than 0 to end the seek, which then returns that, or an error.
struct seek_visitor {
    // Requests of the query may have begun in [from, to). `to` never grows from call to call;
    // ranges may overlap those before them. May read the store.
    int (*look)(void *ctx, int64_t from, int64_t to, struct error *err);
    // All from `t` on was named. rows: looked at for it since the last call.
    int (*passed)(void *ctx, int64_t t, size_t rows);
    void *ctx;
};

int seek(struct store *s, const struct seek_query *q, const struct seek_visitor *v,
         struct error *err) GTAP_CHECK;
