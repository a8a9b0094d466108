#include "top/view.h"

#include <stdio.h>

#include "report/text.h"
#include "top/view_impl.h"

enum { HEADER_LINES = 2, NOTES_SHARE = 5, LIMITLESS = 100000 };

// ---- text over several lines ----------------------------------------------------------------

// How much of s fits into `width` columns, ended where a word ends; at least one character.
static size_t line_bytes(struct str s, size_t width)
{
    size_t at = 0, used = 0, word = 0, n, w;
    while (at < s.n) {
        n = text_char((struct str){s.p + at, s.n - at}, &w);
        if (used + w > width && at > 0) {
            return word > 0 ? word : at;
        }
        if (s.p[at] == ' ') {
            word = at;
        }
        used += w;
        at += n;
    }
    return at;
}

size_t view_wrap(struct grid *g, size_t y, size_t end, size_t indent, enum cell_look look,
                 struct str text)
{
    struct arena arena = {0};
    struct str s = text_clean(&arena, text);
    size_t x = 0;
    while (s.n > 0 && y < end) {
        size_t room = g->width > x ? g->width - x : 1, n = line_bytes(s, room);
        grid_put(g, y++, x, room, look, (struct str){s.p, n});
        s = (struct str){s.p + n, s.n - n};
        while (s.n > 0 && s.p[0] == ' ') {
            s = (struct str){s.p + 1, s.n - 1};
        }
        x = indent;
    }
    arena_done(&arena);
    return y;
}

static size_t wrapped_lines(size_t width, struct str text)
{
    struct grid none = {.width = width}; // of no height: nothing is written
    return view_wrap(&none, 0, LIMITLESS, 2, LOOK_PLAIN, text);
}

// ---- where things go ------------------------------------------------------------------------

struct layout {
    size_t gpus, lines; // rows of the tables that are shown
    size_t totals, notes;
    bool gpu_title, line_title;
};

static size_t note_lines(const struct top_model *m, size_t width)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_notes; i++) {
        n += wrapped_lines(width, m->notes[i]);
    }
    return n;
}

// Takes up to n of *left.
static size_t take(size_t *left, size_t n)
{
    size_t taken = MIN(*left, n);
    *left -= taken;
    return taken;
}

// The bill first, then a note, the heads of the tables, and rows of both.
static struct layout lay_out(const struct top_model *m, size_t width, size_t height)
{
    struct layout l = {0};
    size_t left = height, notes = note_lines(m, width);
    size_t most_totals = MAX(height / 4, (size_t)1),
           most_notes = MAX(height / NOTES_SHARE, (size_t)1);
    l.totals = take(&left, MIN(view_line_totals(m), most_totals));
    l.notes = take(&left, MIN(notes, most_notes));
    l.line_title = take(&left, 1) > 0;
    l.gpu_title = m->n_gpus > 0 && take(&left, 1) > 0;
    size_t lines = m->n_lines, gpus = l.gpu_title ? m->n_gpus : 0;
    if (gpus + lines > left) {
        size_t half = (left + 1) / 2;
        size_t most = MAX(half, left > lines ? left - lines : 0);
        gpus = MIN(gpus, most);
        lines = MIN(lines, left - gpus);
    }
    l.gpus = take(&left, gpus);
    l.lines = take(&left, lines);
    l.totals += take(&left, view_line_totals(m) - l.totals);
    l.notes += take(&left, notes - l.notes);
    return l;
}

// The first row shown, moved as little as shows the chosen one.
static size_t follow(size_t first, size_t shown, size_t n, bool has, size_t chosen)
{
    if (has && chosen < first) {
        first = chosen;
    }
    if (has && shown > 0 && chosen >= first + shown) {
        first = chosen - shown + 1;
    }
    size_t last = n > shown ? n - shown : 0;
    return MIN(first, last);
}

// ---- the main page --------------------------------------------------------------------------

// "3-10 of 64", where not all are shown.
static void draw_extent(struct grid *g, size_t y, size_t first, size_t shown, size_t n)
{
    char text[64];
    if (shown >= n) {
        return;
    }
    int length = snprintf(text, sizeof(text), "  %zu-%zu of %zu", shown > 0 ? first + 1 : 0,
                          first + shown, n);
    size_t width = (size_t)length;
    if (width < g->width) {
        grid_put(g, y, g->width - width, width, LOOK_FAINT, str_of(text));
    }
}

static size_t draw_table(const struct columns *c, struct grid *g, size_t y, bool title,
                         size_t first, size_t shown, size_t n)
{
    if (title) {
        columns_draw_titles(c, g, y);
        draw_extent(g, y++, first, shown, n);
    }
    for (size_t i = first; i < first + shown; i++) {
        columns_draw(c, i, g, y++);
    }
    return y;
}

static void choose_line(const struct top_view *v, struct grid *g, size_t y)
{
    if (!v->printed && y < g->height) {
        g->chosen[y] = true;
    }
}

static size_t draw_gpus(const struct top_view *v, struct top_state *s, const struct layout *l,
                        struct arena *a, struct grid *g, size_t y)
{
    const struct top_model *m = v->model;
    struct columns c;
    columns_init(&c, a);
    view_gpu_table(m, &c);
    columns_fit(&c, g->width);
    bool has = !s->in_lines && s->chosen < m->n_gpus;
    s->first_gpu = follow(s->first_gpu, l->gpus, m->n_gpus, has, s->chosen);
    size_t end = draw_table(&c, g, y, l->gpu_title, s->first_gpu, l->gpus, m->n_gpus);
    if (has && l->gpus > 0) {
        choose_line(v, g, y + l->gpu_title + s->chosen - s->first_gpu);
    }
    columns_done(&c);
    return end;
}

static size_t draw_lines(const struct top_view *v, struct top_state *s, const struct layout *l,
                         struct arena *a, struct grid *g, size_t y)
{
    const struct top_model *m = v->model;
    struct columns c;
    columns_init(&c, a);
    view_line_table(m, &c);
    columns_fit(&c, g->width);
    bool has = s->in_lines && s->chosen >= m->n_gpus && s->chosen < m->n_gpus + m->n_lines;
    s->first_line =
        follow(s->first_line, l->lines, m->n_lines, has, has ? s->chosen - m->n_gpus : 0);
    size_t end = draw_table(&c, g, y, l->line_title, s->first_line, l->lines, m->n_lines);
    if (has && l->lines > 0) {
        choose_line(v, g, y + l->line_title + s->chosen - m->n_gpus - s->first_line);
    }
    for (size_t i = c.n_rows - l->totals; i < c.n_rows; i++) {
        columns_draw(&c, i, g, end++);
    }
    columns_done(&c);
    return end;
}

static void draw_main(const struct top_view *v, struct top_state *s, struct grid *g, size_t end)
{
    const struct top_model *m = v->model;
    struct layout l = lay_out(m, g->width, end > HEADER_LINES ? end - HEADER_LINES : 0);
    struct arena arena = {0};
    size_t y = draw_gpus(v, s, &l, &arena, g, HEADER_LINES);
    y = draw_lines(v, s, &l, &arena, g, y);
    for (size_t i = 0; i < m->n_notes && y < end; i++) {
        y = view_wrap(g, y, end, 2, LOOK_ALERT, m->notes[i]);
    }
    s->page_lines = MAX(l.gpus, l.lines);
    arena_done(&arena);
}

// ---- other pages ----------------------------------------------------------------------------

// Paragraphs on the screen, from the one that was scrolled to.
struct pager {
    struct grid *grid;
    size_t skip, y, end, n;
};

static void put_paragraph(void *ctx, enum cell_look look, struct buf *b)
{
    struct pager *p = ctx;
    if (p->n++ >= p->skip && p->y < p->end) {
        size_t y = view_wrap(p->grid, p->y, p->end, 2, look, buf_view(b));
        p->y = MAX(y, p->y + 1); // nothing is a blank line
    }
    buf_clear(b);
}

static void draw_page(const struct top_view *v, struct top_state *s, struct grid *g, size_t end)
{
    struct pager p = {g, s->scroll, HEADER_LINES, end, 0};
    if (s->page == TOP_HELP) {
        view_help(put_paragraph, &p);
    } else {
        view_explain(v, s, put_paragraph, &p);
    }
    s->scroll = MIN(s->scroll, p.n > 0 ? p.n - 1 : 0);
    s->page_lines = end > HEADER_LINES ? end - HEADER_LINES - 1 : 1;
}

static void draw_waiting(const struct top_view *v, struct grid *g, size_t end)
{
    struct buf b;
    buf_init(&b, 2048);
    buf_printf(&b, "waiting for %s", v->source);
    size_t y = view_wrap(g, HEADER_LINES, end, 2, LOOK_PLAIN, buf_view(&b));
    if (v->trouble && y < end) {
        view_wrap(g, y, end, 2, LOOK_ALERT, str_of(v->trouble));
    }
    buf_done(&b);
}

// Numbers that are not new look so.
static void fade(struct grid *g, size_t from, size_t to)
{
    for (size_t i = from * g->width; i < MIN(to, g->height) * g->width; i++) {
        g->cells[i].look = LOOK_FAINT;
    }
}

void top_view_draw(const struct top_view *v, struct top_state *s, struct grid *g)
{
    size_t end = g->height - (!v->printed && g->height > 0 ? 1 : 0);
    (void)view_header(v, s, g);
    if (s->page != TOP_MAIN) {
        draw_page(v, s, g, end);
    } else if (v->model == NULL) {
        draw_waiting(v, g, end);
    } else {
        draw_main(v, s, g, end);
        if (v->trouble) {
            fade(g, HEADER_LINES, end);
        }
    }
    if (!v->printed && g->height > 0) {
        view_keys(s, g, end);
    }
}

size_t top_view_height(const struct top_view *v, const struct top_state *s, size_t width)
{
    (void)s;
    if (v->model == NULL) {
        return HEADER_LINES + 4;
    }
    const struct top_model *m = v->model;
    size_t gpus = m->n_gpus > 0 ? m->n_gpus + 1 : 0;
    return HEADER_LINES + gpus + 1 + m->n_lines + view_line_totals(m) + note_lines(m, width);
}

static size_t table_width(const struct top_model *m,
                          void (*table)(const struct top_model *m, struct columns *c))
{
    struct arena arena = {0};
    struct columns c;
    columns_init(&c, &arena);
    table(m, &c);
    size_t width = columns_natural(&c);
    columns_done(&c);
    arena_done(&arena);
    return width;
}

size_t top_view_width(const struct top_view *v, const struct top_state *s)
{
    struct grid grid;
    grid_init(&grid, GRID_WIDTH_MAX, HEADER_LINES);
    size_t width = view_header(v, s, &grid);
    grid_done(&grid);
    if (v->model) {
        width = MAX(width, table_width(v->model, view_gpu_table));
        width = MAX(width, table_width(v->model, view_line_table));
    }
    return MIN(width, (size_t)GRID_WIDTH_MAX);
}
