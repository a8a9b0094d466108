// The people's table: columns as wide as their content, two spaces apart, adapted to the width of
// the terminal. Widths are counted in what a terminal shows, and foreign text is made harmless.
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"

enum table_align { TABLE_LEFT, TABLE_RIGHT };

struct table_column {
    struct str title;
    enum table_align align;
    int drop; // 0: always shown; else the highest goes first where there is no room, equals
              // together
};

enum table_row_kind { TABLE_ROW, TABLE_RULE };

struct table_row {
    enum table_row_kind kind;
    struct str *cells; // one a column; absent is blank
    struct str note;   // written behind the last cell that is not blank
    size_t column;     // TABLE_RULE: dashes here only
};

struct table {
    struct arena *arena; // borrowed; holds all text
    struct table_column *columns;
    size_t n_columns, cap_columns;
    struct table_row *rows;
    size_t n_rows, cap_rows;
};

void table_init(struct table *t, struct arena *a);
void table_done(struct table *t);

// All columns come before the first row.
size_t table_column(struct table *t, const char *title, enum table_align align, int drop);
void table_row(struct table *t);
void table_rule(struct table *t, size_t column);
// A cell of the newest row; the text is copied. table_set_buf takes the buffer's text and clears
// it.
void table_set(struct table *t, size_t column, struct str text);
void table_set_buf(struct table *t, size_t column, struct buf *text);
void table_note(struct table *t, struct str text);

struct table_style {
    size_t width; // columns of the terminal; 0: any (a pipe): nothing is dropped or cut
    bool color;
};

// Every line ends in a newline and in no white space.
void table_write(const struct table *t, const struct table_style *style, struct buf *b);
