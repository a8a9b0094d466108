// Draws a model as a person has it before them, on a grid of any size. Pure.
//
// From top to bottom: what it costs now; what that is about; the GPUs; the rows, and what they add
// up to; what is missing, and why; the keys. Where lines are few the tables scroll.
#pragma once

#include "top/grid.h"
#include "top/state.h"

struct top_view {
    const struct top_model *model; // NULL: nothing has come yet
    const char *source;            // what is shown, for people: "sqlite:gtap.db"
    int64_t now;                   // the clock of this machine, ns
    const struct zone *zone;
    const char *trouble; // why the numbers are not new; NULL: they are
    bool printed;        // once, for a pipe: no keys, nothing chosen
};

// state: its scroll positions and page_lines are set to what was drawn.
void top_view_draw(const struct top_view *v, struct top_state *s, struct grid *g);
// How many lines of a screen of this width everything takes.
size_t top_view_height(const struct top_view *v, const struct top_state *s, size_t width);
// How many columns it takes so that nothing is cut, at most GRID_WIDTH_MAX.
size_t top_view_width(const struct top_view *v, const struct top_state *s);
