// Documents as MongoDB's Extended JSON and back, by libbson: for people and for tests' commands.
#pragma once

#include "doc.h"

// Appends the document; false when the text is no JSON object.
bool json_doc(struct buf *to, struct str json) GTAP_CHECK;

// Appends {v: VALUE}, the text being JSON or, where it is not, the string itself.
void json_value(struct buf *to, struct str text);

void doc_json(struct buf *to, struct doc d); // relaxed, on one line
