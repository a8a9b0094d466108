// Reads bytes as an input of their own does, from memory, and remembers what came: for fuzzers that
// compare one way to read with another.
#pragma once

#include "input/input.h"

enum { READING_MAX = 1 << 16 }; // records and dead letters; what is longer is given up

struct reading {
    int result;       // INPUT_END, an error, or INPUT_MORE when it was given up
    int64_t position; // what the input says that it delivered
    size_t n;         // the same, counted
    size_t n_dead;    // of them
    int64_t offset;
    uint64_t *seen; // seen[i]: a hash over the first i of them, ids left aside
    size_t cap;
};

// An anonymous file with these bytes; close(2) it.
int memory_file(const void *data, size_t size);

// Reads an input "scheme:/proc/self/fd/FD<options>", from `position` on unless 0. Where it does not
// open, result is the error and nothing came. Checks that messages and positions are as promised.
void reading_from(struct reading *r, const char *scheme, int fd, const char *options,
                  int64_t position);
void reading_done(struct reading *r);
