// What the person has chosen, and what each key does to it. Pure: no terminal, no source.
#pragma once

#include "top/model.h"

enum top_page { TOP_MAIN, TOP_HELP, TOP_EXPLAIN };

enum { TOP_FILTER_MAX = 64, TOP_LABEL_MAX = 256 };

struct top_state {
    enum top_window window;
    enum top_group group;
    enum report_basis basis;
    enum top_sort sort;
    enum top_page page;
    char filter[TOP_FILTER_MAX + 1]; // UTF-8
    bool typing;                     // a filter
    size_t chosen;                   // 0 is the first GPU; rows come behind the GPUs
    char label[TOP_LABEL_MAX];       // of what is chosen, to find it again; "": nothing is
    bool in_lines;                   // it is a row
    size_t first_gpu, first_line;    // at the top of each table
    size_t page_lines;               // how far a page key goes; set by the view
    size_t scroll;                   // of help and explanation
};

// Keys beside characters, which are the bytes of their UTF-8.
enum top_key {
    TOP_KEY_NONE = 0,
    TOP_KEY_ENTER = 13,
    TOP_KEY_ESCAPE = 27,
    TOP_KEY_BACKSPACE = 127,
    TOP_KEY_F = 0x110000, // + n: F1 is TOP_KEY_F + 1
    TOP_KEY_UP = TOP_KEY_F + 32,
    TOP_KEY_DOWN,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_HOME,
    TOP_KEY_END,
    TOP_KEY_TAB,
    TOP_KEY_REDRAW, // the terminal may show something else
};

enum top_effect {
    TOP_SAME,
    TOP_CHANGED, // draw again
    TOP_ASKS,    // something else is to be asked of the source, too
    TOP_QUITS,
};

// What key does on what is shown. m NULL: there is nothing yet.
enum top_effect top_state_key(struct top_state *s, const struct top_model *m, int key);

// After a new model: what was chosen stays chosen where it went, and all indices are in range.
void top_state_follow(struct top_state *s, const struct top_model *m);

// The table of keys, for help and documentation; ends with keys NULL.
struct top_key_help {
    const char *keys, *what;
};
extern const struct top_key_help top_key_helps[];
