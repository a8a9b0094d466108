// What a stream ends in.
#pragma once

#include "cmd/command.h"

// color: COLOR_*. Colour needs a terminal that is not dumb, and no NO_COLOR (no-color.org), unless
// it is forced.
struct terminal terminal_of(FILE *f, int color, const char *(*getenv)(const char *name));
// What COLUMNS says, where it is exported: then the user wants lines of that width, also where
// there is no terminal. 0: nothing, or no number.
size_t terminal_columns(const char *(*getenv)(const char *name));
