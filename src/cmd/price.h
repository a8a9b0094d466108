// What the price commands share.
#pragma once

#include "cmd/cli.h"

// Says which GPUs the new entries are for, and what of the past a recompute would change.
// entries[0..n) were just added to the store, which was named by `uri`. 0 or an exit status.
int price_explain(struct cli *cli, struct store *s, const char *uri,
                  const struct price_entry *entries, size_t n, const struct zone *zone);

// "2.95" from nano-USD: two decimals or as many as there are.
void price_format(struct buf *b, int64_t nusd);
