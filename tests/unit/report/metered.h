// A store as a meter leaves it behind in the middle of its work: random requests over three days,
// costs and rows by the engine as far as it came, and what it did not come to.
//
//  - two hosts, each a shard; that of the second stops in the second day;
//  - requests of a second to hours, on one GPU or two, some without any, some long and dear;
//  - prices until the second noon, from when on nothing has one;
//  - records that came late and are not settled, and records that no engine has taken in.
#pragma once

#include "../output/fixture.h"

enum { METERED_SHARDS = 2, METERED_DAY = 86400, METERED_DAYS = 3, METERED_MAX = 1200 };

struct metered {
    struct fixture *f;
    uint64_t random;
    struct settings epochs[2];
    struct settings_history settings;
    struct price_book prices;
    struct record *arriving[METERED_MAX]; // in their order
    size_t n;
};

// late: percent of the requests that come late.
void metered_init(struct metered *m, struct fixture *f, uint64_t seed, size_t requests,
                  uint64_t late);
uint64_t metered_draw(struct metered *m, uint64_t below);
