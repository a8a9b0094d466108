// The floor of what reading a record by simdjson can cost: every key found and every value parsed
// by its own type, nothing kept.
#pragma once

#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

struct simdjson_walk;

struct simdjson_walk *simdjson_walk_new(void);
void simdjson_walk_free(struct simdjson_walk *w);

// -EINVAL for what is not a JSON object of strings and numbers. *sum: added to, so that nothing can
// be left out. DECODER_PADDING bytes behind the text must be readable.
int simdjson_walk_record(struct simdjson_walk *w, struct str text, double *sum) GTAP_CHECK;

#ifdef __cplusplus
}
#endif
