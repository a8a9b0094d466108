// The documents of a collection in the order of their _id, as in the index that every server has: a
// skip list. A document is in up to two of them: that of all, and one of a part of them. Not
// thread-safe.
#pragma once

#include "doc.h"

struct kept;

enum { ORDER_LEVELS = 20 }; // each has a quarter of the one below

struct order {
    struct kept *first[ORDER_LEVELS];
    bool of_part;   // its links are the second ones
    uint64_t state; // of the random numbers
};

// How many levels the next document goes up: 1 to ORDER_LEVELS.
unsigned order_height(struct order *o);
void order_add(struct order *o, struct kept *k); // with k->height of these, and room for them
void order_remove(struct order *o, struct kept *k);

// The first whose _id is not before this value; NULL: there is none.
struct kept *order_from(const struct order *o, struct value id);
struct kept *order_next(const struct order *o, struct kept *k);
