// A table on a grid: columns as wide as their content, one space or more apart, adapted to the
// width there is. The last column may be a bar, which takes what is left.
#pragma once

#include "base/arena.h"
#include "top/grid.h"

enum columns_align { COLUMN_LEFT, COLUMN_RIGHT };

enum { COLUMNS_MAX = 16, COLUMN_LEAST = 8, COLUMN_READABLE = 14 };

struct column {
    const char *title;
    enum columns_align align;
    unsigned drop; // 0: always there; else the highest goes first where there is no room
    bool elastic;  // may be cut: to COLUMN_READABLE before others go, then to COLUMN_LEAST
    size_t width;  // found out
};

// A part of a bar: how much of it (0..1), of which character.
struct bar_part {
    double share;
    char sign;
    enum cell_look look;
};
enum { BAR_PARTS = 3, BAR_LEAST = 6, BAR_USUAL = 24, BAR_MOST = 40 };

struct columns_cell {
    struct str text;
    enum cell_look look;
};

struct columns_row {
    struct columns_cell cells[COLUMNS_MAX];
    bool chosen, has_bar;
    struct str over; // in place of all cells that are blank from column `over_from` on; or absent
    size_t over_from;
    struct bar_part bar[BAR_PARTS];
};

struct columns {
    struct arena *arena; // borrowed; holds texts
    struct column columns[COLUMNS_MAX];
    size_t n;
    const char *bar_title; // NULL: no bar
    size_t bar_width;      // found out; 0: there is no room
    struct columns_row *rows;
    size_t n_rows, cap_rows;
};

void columns_init(struct columns *c, struct arena *a);
void columns_done(struct columns *c);

// All columns come before the first row.
size_t columns_add(struct columns *c, const char *title, enum columns_align align, unsigned drop);
struct columns_row *columns_row(struct columns *c); // blank; until the next one
// Copies what b has into a cell of the newest row, and clears b.
void columns_set(struct columns *c, size_t column, enum cell_look look, struct buf *b);
// "-", faint.
void columns_dash(struct columns *c, size_t column);

// How many columns of screen it takes so that nothing is cut, with a bar that can be read.
size_t columns_natural(const struct columns *c);
// Finds the widths for this many columns of screen.
void columns_fit(struct columns *c, size_t width);
void columns_draw_titles(const struct columns *c, struct grid *g, size_t y);
void columns_draw(const struct columns *c, size_t row, struct grid *g, size_t y);
