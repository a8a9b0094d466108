// Requests and explanations as /api/v1 and --json have them: docs/api.md. What is not known is
// null.
#pragma once

#include "report/explain.h"
#include "report/json.h"

// "gpu-01/0"; name as in json.h.
void json_gpu(struct json *j, const char *name, const struct gpu_key *gpu);
void json_request(struct json *j, const char *name, const struct stored_record *r);
// The same with the member "explanation".
void json_explained(struct json *j, const char *name, const struct explanation *e);
