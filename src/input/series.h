// The series of a server's pages, found by their names and labels; for input/counters.c.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct series {
    uint64_t key;     // of name and labels, whatever their order
    uint64_t lineage; // of the labels that its engine's other series share
    uint32_t cell;    // whose sums it adds to
    uint32_t seen;    // the page that it was on last
    uint8_t metric;
    bool known;                   // `last` means something
    bool gauge;                   // TYPEd so, although it should only grow
    int64_t last;                 // what has been counted already
    int64_t now;                  // on page `seen`
    int64_t created, created_now; // ms; 0: not stated
};

struct series_set {
    struct series *v;
    size_t n, cap;
    uint32_t *slots; // open addressing: index in v and 1; 0: free
    size_t n_slots;  // 0 or a power of two
};

// The series of this key; NULL: none.
struct series *series_find(const struct series_set *set, uint64_t key);

// Adds a series, zeroed but for its key, which is new. Pointers got before are void.
struct series *series_add(struct series_set *set, uint64_t key);

// Forgets those that were not on this page.
void series_keep(struct series_set *set, uint32_t page);

void series_done(struct series_set *set);
