#include "top/grid.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "report/text.h"

void grid_init(struct grid *g, size_t width, size_t height)
{
    *g = (struct grid){.width = MIN(width, (size_t)GRID_WIDTH_MAX),
                       .height = MIN(height, (size_t)GRID_HEIGHT_MAX)};
    g->cells = x_array(g->width * g->height, sizeof(*g->cells));
    g->chosen = x_array(g->height, sizeof(*g->chosen));
}

void grid_done(struct grid *g)
{
    free(g->cells);
    free(g->chosen);
    *g = (struct grid){0};
}

// Onto the character before it; what has no room there is left out.
static void combine(struct cell *c, struct str s)
{
    if (c->n > 0 && c->n + s.n <= CELL_BYTES) {
        memcpy(c->text + c->n, s.p, s.n);
        c->n = (unsigned char)(c->n + s.n);
    }
}

static void put_fitting(struct grid *g, struct cell *line, size_t x, enum cell_look look,
                        struct str s)
{
    size_t n, width;
    for (; s.n > 0; s = (struct str){s.p + n, s.n - n}) {
        n = text_char(s, &width);
        if (width == 0) {
            if (x > 0) {
                combine(line[x - 1].n > 0 || x < 2 ? &line[x - 1] : &line[x - 2],
                        (struct str){s.p, n});
            }
            continue;
        }
        if (x + width > g->width || n > CELL_BYTES) {
            return;
        }
        for (size_t i = 0; i < width; i++) {
            line[x + i] = (struct cell){.look = (unsigned char)look};
        }
        memcpy(line[x].text, s.p, n);
        line[x].n = (unsigned char)n;
        x += width;
    }
}

size_t grid_put(struct grid *g, size_t y, size_t x, size_t room, enum cell_look look, struct str s)
{
    if (y >= g->height || x >= g->width || room == 0 || s.n == 0) {
        return 0;
    }
    struct arena arena = {0};
    struct str text = text_fit(&arena, text_clean(&arena, s), MIN(room, g->width - x));
    size_t width = text_width(text);
    put_fitting(g, &g->cells[y * g->width], x, look, text);
    arena_done(&arena);
    return width;
}

static void put_line(const struct grid *g, const struct cell *line, struct buf *b)
{
    size_t end = g->width;
    while (end > 0 &&
           (line[end - 1].n == 0 || (line[end - 1].n == 1 && line[end - 1].text[0] == ' '))) {
        end--;
    }
    for (size_t x = 0; x < end; x++) {
        size_t width = 1;
        if (line[x].n == 0) {
            buf_char(b, ' ');
            continue;
        }
        (void)text_char((struct str){line[x].text, line[x].n}, &width);
        buf_add(b, line[x].text, line[x].n);
        x += width > 1 ? width - 1 : 0;
    }
    buf_char(b, '\n');
}

void grid_text(const struct grid *g, struct buf *b)
{
    for (size_t y = 0; y < g->height; y++) {
        put_line(g, &g->cells[y * g->width], b);
    }
}
