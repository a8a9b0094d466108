// A store that stands before another one and does what a test tells it to: fail, or call back.
#pragma once

#include <stdatomic.h>

#include "output/store_impl.h"

struct faulty_store {
    struct store base;
    struct store *inner; // borrowed
    int commits;         // so far
    int fail_commit;     // this one fails (from 1), and all behind it; 0: none
    int fail_prices;     // the same for reads of the price book
    int prices_read;
    int error;               // what it fails with
    atomic_bool away;        // everything fails with -ETIMEDOUT, which may pass
    atomic_int lost_replies; // so many commits more are applied and fail like that
    atomic_int refused;      // so often something failed because of these two
    void (*on_commit)(void *ctx, const struct store_write *w); // before it is passed on
    void *ctx;
};

void faulty_store_init(struct faulty_store *f, struct store *inner);
