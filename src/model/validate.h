// What a record must satisfy beyond its JSON: the rules that need two fields or the clock. Inputs
// that make records themselves (trace:, synthetic:, seed:) pass through here as decoded ones do.
#pragma once

#include "base/error.h"
#include "model/record.h"

#define RECORD_AHEAD_MAX (INT64_C(3600) * 1000000000) // ns ahead of wall time

// -EINVAL with "field: what is wrong". Does not look at the clock.
int record_check(const struct record *r, struct error *err) GTAP_CHECK;

// -EINVAL when the record is dated more than 1 h after `now` (wall, ns).
int record_check_now(const struct record *r, int64_t now, struct error *err) GTAP_CHECK;
