#include "report/svg.h"

#include <math.h>

void svg_escape(struct buf *b, struct str text)
{
    static const char marks[] = "&<>\"'";
    static const char *const names[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
    for (size_t i = 0; i < text.n; i++) {
        size_t k = 0;
        while (marks[k] && marks[k] != text.p[i]) {
            k++;
        }
        if (marks[k]) {
            buf_cstr(b, names[k]);
        } else {
            buf_char(b, text.p[i]);
        }
    }
}

void svg_begin(struct buf *b, double width, double height, struct str label)
{
    buf_printf(b, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"", width, height);
    svg_escape(b, label);
    buf_cstr(b, "\">\n");
}

void svg_end(struct buf *b)
{
    buf_cstr(b, "</svg>\n");
}

void svg_group(struct buf *b, const char *class)
{
    if (class) {
        buf_printf(b, "<g class=\"%s\">\n", class);
    } else {
        buf_cstr(b, "<g>\n");
    }
}

void svg_group_end(struct buf *b)
{
    buf_cstr(b, "</g>\n");
}

void svg_rect(struct buf *b, const char *class, const struct svg_box *box, struct str value,
              struct str tip)
{
    buf_printf(b, "<rect class=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"", class,
               box->x, box->y, box->width, box->height);
    if (str_present(value)) {
        buf_cstr(b, " data-usd=\"");
        svg_escape(b, value);
        buf_char(b, '"');
    }
    if (!str_present(tip)) {
        buf_cstr(b, "/>\n");
        return;
    }
    buf_cstr(b, "><title>");
    svg_escape(b, tip);
    buf_cstr(b, "</title></rect>\n");
}

void svg_line(struct buf *b, double x1, double y1, double x2, double y2)
{
    buf_printf(b, "<line x1=\"%.2f\" y1=\"%.2f\" x2=\"%.2f\" y2=\"%.2f\"/>\n", x1, y1, x2, y2);
}

void svg_text(struct buf *b, const char *anchor, double x, double y, struct str text)
{
    buf_printf(b, "<text text-anchor=\"%s\" x=\"%.2f\" y=\"%.2f\">", anchor, x, y);
    svg_escape(b, text);
    buf_cstr(b, "</text>\n");
}

int64_t svg_step(double most, int n)
{
    static const int64_t parts[] = {1, 2, 5};
    int64_t power = 1;
    for (;; power *= 10) {
        for (size_t i = 0; i < 3; i++) {
            if ((double)(parts[i] * power) * n >= most || power >= INT64_MAX / 100) {
                return parts[i] * power;
            }
        }
    }
}
