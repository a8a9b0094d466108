// Random histories: what a meter might write to a store, in any order and mixture.
#pragma once

#include "fixture.h"

enum { SHARDS = 3 };

struct history {
    uint64_t random;
    int64_t frontier[SHARDS]; // seconds
    int64_t seqs;             // costs are given to seqs up to here, stored or not
    int64_t position;
};

int64_t pick(struct history *h, int64_t below);
bool chance(struct history *h, int64_t percent);
struct str pick_text(struct history *h); // absent, empty, or some word

// Puts the next write together in *f.
void write_random(struct history *h, struct fixture *f);
