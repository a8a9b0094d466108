// Price lists to import: CSV with a header row, or NDJSON.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "cost/price.h"

enum { PRICE_FILE_MAX = 16 << 20, PRICE_ENTRIES_MAX = 100000 };

// Fields name, price_per_hour_usd, effective_from and, if wanted, site and source; others (id,
// added_at: what `gtap export price_book` writes) are left aside. NDJSON when the text begins with
// '{', else CSV. Times without a zone are UTC. Everything is owned by the arena; id and added_at
// are 0. -EINVAL "line N: what is wrong": all is good or nothing is taken.
int price_file_parse(struct str text, struct arena *a, struct price_book *ret, struct error *err)
    GTAP_CHECK;
