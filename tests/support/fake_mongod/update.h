// What an update makes of a document.
#pragma once

#include "doc.h"

struct refusal {
    int code;        // the server's error code
    const char *why; // static text
};

// Appends the new document to `to`. update: a whole document, or $set $unset $inc $max $min
// $setOnInsert (only where `inserting`), with dotted paths through documents, not arrays. old: what
// is updated; where inserting, its seed, see update_seed(). A whole document without an _id keeps
// the old one. False: *ret_why says why, and what was appended is of no use.
bool update_apply(struct buf *to, struct doc old, struct doc update, bool inserting,
                  struct refusal *ret_why) GTAP_CHECK;

// Appends the document that an upsert starts from: the fields that the query wants equal to
// something; where it replaces, only the _id.
void update_seed(struct buf *to, struct doc query, bool replaces);

bool update_replaces(struct doc update); // a whole document, not operators

// Appends d with an _id in front, a new one where it has none.
void update_with_id(struct buf *to, struct doc d);
