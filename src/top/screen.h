// The terminal. The only part that knows ncurses.
//
// One a process, on one thread. From screen_open() to screen_close() the terminal is ours: whoever
// leaves the program calls screen_close() first. Stopping (Ctrl-Z) and going on restore and redraw
// it by themselves.
#pragma once

#include <stdio.h>

#include "base/error.h"
#include "top/grid.h"

struct screen;

// -EOPNOTSUPP: no library, or a terminal that cannot place its cursor; the message says which.
int screen_open(FILE *in, FILE *out, bool color, struct screen **ret, struct error *err) GTAP_CHECK;
void screen_close(struct screen *s); // accepts NULL

void screen_size(struct screen *s, size_t *ret_width, size_t *ret_height);
void screen_show(struct screen *s, const struct grid *g);
// Everything is drawn anew the next time: something else wrote on the terminal.
void screen_spoilt(struct screen *s);

// A key that waits, as enum top_key or a byte of text; 0: none does. TOP_KEY_REDRAW when the size
// has changed.
int screen_key(struct screen *s);
