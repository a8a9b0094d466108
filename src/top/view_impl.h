// What the parts of a view share (internal to src/top).
#pragma once

#include "top/columns.h"
#include "top/view.h"

// A line that is written from left to right, and from the right what is there to stay.
struct line {
    struct grid *grid;
    size_t y, x, end; // the next column; where to stop
};

void line_put(struct line *l, enum cell_look look, struct buf *text); // clears text
// Text over as many lines as it takes, from y on and before `end`; returns the next free line.
size_t view_wrap(struct grid *g, size_t y, size_t end, size_t indent, enum cell_look look,
                 struct str text);

void view_gpu_table(const struct top_model *m, struct columns *c);  // view_gpus.c
void view_line_table(const struct top_model *m, struct columns *c); // view_lines.c
size_t view_line_totals(const struct top_model *m);                 // rows behind the lines
// Returns the columns it takes, as far as the grid has them.
size_t view_header(const struct top_view *v, const struct top_state *s, struct grid *g);
void view_keys(const struct top_state *s, struct grid *g, size_t y);

// Pages as paragraphs: each in b, in turn, through put().
typedef void view_paragraph(void *ctx, enum cell_look look, struct buf *b);
void view_help(view_paragraph *put, void *ctx); // view_help.c
void view_explain(const struct top_view *v, const struct top_state *s, view_paragraph *put,
                  void *ctx); // explain.c

void view_money_hour(struct buf *b, bool known, i128 cents); // "8.85" or "-"
void view_rate(struct buf *b, struct rate rate);             // "0.590" or "-"
void view_percent(struct buf *b, double share);              // "98 %" or "-"
