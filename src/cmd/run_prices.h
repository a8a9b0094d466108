// The GPUs that `gtap run` meters without knowing a price: their costs stay empty, so whoever
// started it should hear of that while something can still be done about it.
#pragma once

#include "cmd/cli.h"
#include "output/store.h"

struct run_prices {
    struct cli *cli;
    const char *output; // the store's URI, as notes name it
    struct arena arena;
    struct str *said; // names there was a note about
    size_t n_said, cap_said;
};

void run_prices_init(struct run_prices *p, struct cli *cli, const char *output);
void run_prices_done(struct run_prices *p);

// Looks at the newest sample of every GPU in the store and notes, once, each name of one that has a
// price neither of its own, nor in the book, nor by default. False: the store could not be read.
bool run_prices_check(struct run_prices *p, struct store *store);
