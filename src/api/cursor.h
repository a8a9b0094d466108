// Cursors of lists that are ordered by (time, id): "TIME" or "TIME.ID", the id in base64url (RFC
// 4648, 5; without padding). Internal to src/api.
#pragma once

#include "base/arena.h"
#include "report/json.h"

void cursor_put(struct json *j, const char *name, int64_t time, struct str id); // id may be absent
bool cursor_parse(struct str text, struct arena *a, int64_t *ret_time, struct str *ret_id);
