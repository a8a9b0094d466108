// What every JSON of a report has in common: `gtap report --json`, /api/v1/costs and `gtap top`.
#pragma once

#include "report/json.h"
#include "report/query.h"
#include "report/rates.h"

void report_json_rate(struct json *j, const char *name, struct rate r); // null: there is none
// One after the other, the sums of "requests", "idle", "unattributed", "unplaced" and "bill";
// rates: whether one follows from them. put() writes the members of an object that is open.
typedef void report_json_sums(struct json *j, enum row_kind kind, const struct sums *s, bool rates);
void report_json_totals(struct json *j, const struct report *r, report_json_sums *put);
// One such object.
void report_json_total(struct json *j, const char *name, enum row_kind kind, const struct sums *s,
                       bool rates, report_json_sums *put);
void report_json_splits(struct json *j, const struct report *r); // "splits":[...]
