// What a screen shows, before any terminal has seen it: cells of text with attributes. Pure, so
// that tests compare frames as text. Foreign text is made harmless here and nowhere else: nothing
// in a cell is a control character.
#pragma once

#include "base/buf.h"

// What a cell means; how that looks is the screen's business, and what it means is in the text,
// too.
enum cell_look {
    LOOK_PLAIN,
    LOOK_STRONG, // the numbers one looks for first
    LOOK_TITLE,  // heads of columns
    LOOK_FAINT,  // what stands in for something that is not there
    LOOK_BUSY,   // time that requests pay for
    LOOK_IDLE,
    LOOK_LOST,  // time without telemetry
    LOOK_ALERT, // somebody should do something
    LOOK_KEY,
    LOOK_COUNT,
};

enum {
    GRID_WIDTH_MAX = 2000,   // two of the longest names beside each other, and the numbers
    GRID_HEIGHT_MAX = 20000, // of what is printed
    GRID_SCREEN_MAX = 500,
    CELL_BYTES = 14, // a character and the combining ones on it; further ones are left out
};

struct cell {
    char text[CELL_BYTES];
    unsigned char n;    // bytes; 0: blank, or the right half of a wide character
    unsigned char look; // enum cell_look
};

struct grid {
    size_t width, height; // of what is shown
    struct cell *cells;   // by line
    bool *chosen;         // by line: the selected one
};

// Sizes are cut to the limits above.
void grid_init(struct grid *g, size_t width, size_t height);
void grid_done(struct grid *g);

// Writes s from column x on, at most `room` columns, and returns the columns taken. What does not
// fit is left out, and of text an ellipsis says so. Outside of the grid nothing happens.
size_t grid_put(struct grid *g, size_t y, size_t x, size_t room, enum cell_look look, struct str s);

// The frame as lines without white space at their ends.
void grid_text(const struct grid *g, struct buf *b);
