// Which documents a query means, and in which order.
#pragma once

#include "doc.h"

// 1: the document matches, 0: it does not, -1: the filter has something that is not understood,
// and *ret_what says what (static text). Understood: fields and dotted paths, equality, $eq $ne $gt
// $gte $lt $lte $in $nin $exists $not, $and $or $nor. Elements of arrays match as on a real server.
int filter_match(struct doc filter, struct doc d, const char **ret_what) GTAP_CHECK;

struct value path_get(struct doc d, struct str path); // the first there is; BSON_NONE: none

// Stable, by a sort specification like {ts: 1, "a.b": -1}; of docs, which may be NULL when n is 0.
void docs_sort(struct doc *docs, size_t n, struct doc order);
