// Scalable Vector Graphics within HTML: the few shapes that charts are made of. Lengths are in
// units of the view box, y grows downwards. Colours are the style sheet's: shapes only name a
// class. Text is escaped here; it holds nothing that a reader would obey otherwise (see
// text_clean()).
#pragma once

#include "base/buf.h"

// Text as it stands in HTML and XML, between tags or in an attribute.
void svg_escape(struct buf *b, struct str text);

// label: what the picture shows, for those who cannot see it.
void svg_begin(struct buf *b, double width, double height, struct str label);
void svg_end(struct buf *b);

// What belongs together; class NULL: none.
void svg_group(struct buf *b, const char *class);
void svg_group_end(struct buf *b);

struct svg_box {
    double x, y, width, height;
};
// tip: shown beside the pointer, absent: none. value: the exact number the box stands for, or
// absent; it goes into data-usd.
void svg_rect(struct buf *b, const char *class, const struct svg_box *box, struct str value,
              struct str tip);
void svg_line(struct buf *b, double x1, double y1, double x2, double y2);
// anchor: "start", "middle" or "end" of the text is at x.
void svg_text(struct buf *b, const char *anchor, double x, double y, struct str text);

// The distance between the marks of an axis from 0 to `most` (> 0), of which about n are wanted: 1,
// 2 or 5 times a power of ten, at least 1.
int64_t svg_step(double most, int n);
