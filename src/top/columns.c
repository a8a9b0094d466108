#include "top/columns.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "report/text.h"

enum { GAP = 2 };

void columns_init(struct columns *c, struct arena *a)
{
    *c = (struct columns){.arena = a};
}

void columns_done(struct columns *c)
{
    free(c->rows);
    c->rows = NULL;
    c->n_rows = c->cap_rows = 0;
}

size_t columns_add(struct columns *c, const char *title, enum columns_align align, unsigned drop)
{
    c->columns[c->n] = (struct column){.title = title, .align = align, .drop = drop};
    return c->n++;
}

struct columns_row *columns_row(struct columns *c)
{
    ARRAY_RESERVE(c->rows, c->n_rows, c->cap_rows);
    c->rows[c->n_rows] = (struct columns_row){0};
    return &c->rows[c->n_rows++];
}

void columns_set(struct columns *c, size_t column, enum cell_look look, struct buf *b)
{
    struct str text = text_clean(c->arena, arena_copy(c->arena, buf_view(b)));
    c->rows[c->n_rows - 1].cells[column] = (struct columns_cell){text, look};
    buf_clear(b);
}

void columns_dash(struct columns *c, size_t column)
{
    c->rows[c->n_rows - 1].cells[column] = (struct columns_cell){STR("-"), LOOK_FAINT};
}

// ---- widths ---------------------------------------------------------------------------------

static size_t content_width(const struct columns *c, size_t column)
{
    size_t width = strlen(c->columns[column].title);
    for (size_t i = 0; i < c->n_rows; i++) {
        width = MAX(width, text_width(c->rows[i].cells[column].text));
    }
    return width;
}

static size_t total_width(const struct columns *c)
{
    size_t total = 0;
    for (size_t i = 0; i < c->n; i++) {
        total += c->columns[i].width ? c->columns[i].width + GAP : 0;
    }
    return total > GAP ? total - GAP : total;
}

// The widest elastic column that may still be cut; NULL: none.
static struct column *widest(struct columns *c, size_t least)
{
    struct column *found = NULL;
    for (size_t i = 0; i < c->n; i++) {
        struct column *k = &c->columns[i];
        if (k->elastic && k->width > least && (!found || k->width > found->width)) {
            found = k;
        }
    }
    return found;
}

static bool drop_one(struct columns *c)
{
    struct column *found = NULL;
    for (size_t i = 0; i < c->n; i++) {
        struct column *k = &c->columns[i];
        if (k->width > 0 && k->drop > 0 && (!found || k->drop > found->drop)) {
            found = k;
        }
    }
    if (found) {
        found->width = 0;
    }
    return found != NULL;
}

size_t columns_natural(const struct columns *c)
{
    size_t starts[COLUMNS_MAX + 1] = {0}, natural = 0;
    for (size_t i = 0; i < c->n; i++) {
        starts[i + 1] = starts[i] + content_width(c, i) + GAP;
    }
    for (size_t i = 0; i < c->n_rows; i++) {
        const struct columns_row *r = &c->rows[i];
        size_t over = str_present(r->over) ? starts[r->over_from] + text_width(r->over) : 0;
        natural = MAX(natural, over);
    }
    size_t cells = c->bar_title ? starts[c->n] + BAR_USUAL : starts[c->n];
    return MAX(natural, cells);
}

void columns_fit(struct columns *c, size_t width)
{
    for (size_t i = 0; i < c->n; i++) {
        c->columns[i].width = content_width(c, i);
    }
    size_t bar = c->bar_title ? BAR_LEAST + GAP : 0;
    while (total_width(c) + bar > width) {
        struct column *k = widest(c, COLUMN_READABLE);
        if (k) {
            k->width--;
        } else if (bar > 0) {
            bar = 0;
        } else if (!drop_one(c)) {
            k = widest(c, COLUMN_LEAST);
            if (k == NULL) {
                break;
            }
            k->width--;
        }
    }
    c->bar_width = bar > 0 ? MIN(width - total_width(c) - GAP, (size_t)BAR_MOST) : 0;
}

// ---- drawing --------------------------------------------------------------------------------

static void put_cell(const struct column *k, struct grid *g, size_t y, size_t x,
                     enum cell_look look, struct str text)
{
    size_t width = MIN(text_width(text), k->width);
    size_t at = k->align == COLUMN_RIGHT ? x + k->width - width : x;
    grid_put(g, y, at, k->width, look, text);
}

void columns_draw_titles(const struct columns *c, struct grid *g, size_t y)
{
    size_t x = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct column *k = &c->columns[i];
        if (k->width > 0) {
            put_cell(k, g, y, x, LOOK_TITLE, str_of(k->title));
            x += k->width + GAP;
        }
    }
    if (c->bar_width > 0) {
        grid_put(g, y, x, c->bar_width, LOOK_TITLE, str_of(c->bar_title));
    }
}

// Where a part ends: rounded, so that parts of what is whole fill the bar.
static void draw_bar(const struct columns *c, const struct columns_row *r, struct grid *g, size_t y,
                     size_t x)
{
    double sum = 0;
    size_t at = 0;
    for (size_t i = 0; i < BAR_PARTS; i++) {
        const struct bar_part *p = &r->bar[i];
        sum += isfinite(p->share) ? p->share : 0;
        size_t end = (size_t)lround(MIN(MAX(sum, 0.0), 1.0) * (double)c->bar_width);
        for (; at < end; at++) {
            grid_put(g, y, x + at, 1, p->look, (struct str){&p->sign, 1});
        }
    }
}

void columns_draw(const struct columns *c, size_t row, struct grid *g, size_t y)
{
    const struct columns_row *r = &c->rows[row];
    size_t x = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct column *k = &c->columns[i];
        if (str_present(r->over) && i == r->over_from) {
            grid_put(g, y, x, g->width, LOOK_FAINT, r->over);
            return;
        }
        if (k->width > 0) {
            put_cell(k, g, y, x, r->cells[i].look, r->cells[i].text);
            x += k->width + GAP;
        }
    }
    if (c->bar_width > 0 && r->has_bar) {
        draw_bar(c, r, g, y, x);
    }
}
