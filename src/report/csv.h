// CSV by RFC 4180: fields quoted only where they must be, lines ended by CRLF. Text goes out as it
// is, in UTF-8.
#pragma once

#include <stdbool.h>

#include "base/buf.h"

// A field; `first` says whether it begins the line. Absent is an empty field.
void csv_field(struct buf *b, bool first, struct str text);
void csv_end(struct buf *b);
