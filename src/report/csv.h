// CSV by RFC 4180: fields quoted only where they must be, lines ended by CRLF. Text goes out as it
// is, in UTF-8, but for csv_foreign().
#pragma once

#include <stdbool.h>

#include "base/buf.h"

// A field; `first` says whether it begins the line. Absent is an empty field.
void csv_field(struct buf *b, bool first, struct str text);
// A field of foreign text, for a file that people open in a spreadsheet: what begins with =, +, -,
// @, a tab or a carriage return would be run there as a formula, and gets an apostrophe before it.
void csv_foreign(struct buf *b, bool first, struct str text);
void csv_end(struct buf *b);
