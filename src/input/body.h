// Takes the body of a POST apart into the texts of single records: NDJSON, one JSON object however
// it is laid out, or an array of them. Pure; nothing is copied.
#pragma once

#include "input/json_scan.h"

struct body {
    struct str rest;
    struct json_walk walk;
    enum { BODY_LINES, BODY_VALUES, BODY_ARRAY } kind;
};

// json: the sender says that it is JSON, not NDJSON. Either way an array is taken for one, and an
// object over several lines for one record.
void body_begin(struct body *b, struct str text, bool json);

// The next record's text; false at the end. Text that is broken comes out as one record, to be
// refused as such: nothing that was sent is passed over.
bool body_next(struct body *b, struct str *ret);
