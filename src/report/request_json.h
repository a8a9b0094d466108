// Requests and explanations as /api/v1 and --json have them: docs/api.md. Money is nano-USD as an
// integer (as text from 2^53 on) and USD as text; what is not known is null.
#pragma once

#include "report/explain.h"
#include "report/json.h"

// "cost_nusd" and "cost_usd" for the prefix "cost".
void json_money(struct json *j, const char *prefix, bool known, i128 nusd);

void json_request(struct json *j, const char *name, const struct stored_record *r);
// The same with the member "explanation".
void json_explained(struct json *j, const char *name, const struct explanation *e);
