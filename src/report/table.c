#include "report/table.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "report/text.h"

enum { TABLE_GAP = 2, TABLE_TEXT_LEAST = 8 };

void table_init(struct table *t, struct arena *a)
{
    *t = (struct table){.arena = a};
}

void table_done(struct table *t)
{
    free(t->columns);
    free(t->rows);
    *t = (struct table){.arena = t->arena};
}

static struct str keep(struct table *t, struct str s)
{
    return text_clean(t->arena, arena_copy(t->arena, s));
}

size_t table_column(struct table *t, const char *title, enum table_align align, int drop)
{
    assert(t->n_rows == 0);
    ARRAY_RESERVE(t->columns, t->n_columns, t->cap_columns);
    t->columns[t->n_columns] = (struct table_column){keep(t, str_of(title)), align, drop};
    return t->n_columns++;
}

static struct table_row *add_row(struct table *t, enum table_row_kind kind)
{
    ARRAY_RESERVE(t->rows, t->n_rows, t->cap_rows);
    struct str *cells = arena_alloc(t->arena, t->n_columns * sizeof(*cells));
    for (size_t i = 0; i < t->n_columns; i++) {
        cells[i] = STR_NONE;
    }
    t->rows[t->n_rows] = (struct table_row){.kind = kind, .cells = cells};
    return &t->rows[t->n_rows++];
}

void table_row(struct table *t)
{
    add_row(t, TABLE_ROW);
}

void table_rule(struct table *t, size_t column)
{
    add_row(t, TABLE_RULE)->column = column;
}

void table_set(struct table *t, size_t column, struct str text)
{
    assert(t->n_rows > 0 && column < t->n_columns);
    t->rows[t->n_rows - 1].cells[column] = keep(t, text);
}

void table_set_buf(struct table *t, size_t column, struct buf *text)
{
    table_set(t, column, buf_view(text));
    buf_clear(text);
}

void table_note(struct table *t, struct str text)
{
    assert(t->n_rows > 0);
    t->rows[t->n_rows - 1].note = keep(t, text);
}

// What is written of each column: its width, 0 for one that was dropped.
struct layout {
    const struct table *table;
    size_t *widths;
};

static void measure(struct layout *l)
{
    const struct table *t = l->table;
    for (size_t c = 0; c < t->n_columns; c++) {
        l->widths[c] = MAX(text_width(t->columns[c].title), (size_t)1);
        for (size_t r = 0; r < t->n_rows; r++) {
            l->widths[c] = MAX(l->widths[c], text_width(t->rows[r].cells[c]));
        }
    }
}

static size_t total_width(const struct layout *l)
{
    size_t total = 0;
    for (size_t c = 0; c < l->table->n_columns; c++) {
        total += l->widths[c] ? l->widths[c] + (total ? TABLE_GAP : 0) : 0;
    }
    return total;
}

// Drops the columns that can be missed most easily, which are of one kind and go together. False:
// all must stay.
static bool drop_columns(struct layout *l)
{
    int highest = 0;
    for (size_t c = 0; c < l->table->n_columns; c++) {
        highest = l->widths[c] > 0 ? MAX(highest, l->table->columns[c].drop) : highest;
    }
    for (size_t c = 0; c < l->table->n_columns && highest > 0; c++) {
        l->widths[c] = l->table->columns[c].drop == highest ? 0 : l->widths[c];
    }
    return highest > 0;
}

static size_t widest_text(const struct layout *l)
{
    size_t found = SIZE_MAX, most = TABLE_TEXT_LEAST;
    for (size_t c = 0; c < l->table->n_columns; c++) {
        if (l->table->columns[c].align == TABLE_LEFT && l->widths[c] > most) {
            most = l->widths[c];
            found = c;
        }
    }
    return found;
}

static void fit(struct layout *l, size_t width)
{
    size_t c;
    while (total_width(l) > width && drop_columns(l)) {
    }
    while (total_width(l) > width && (c = widest_text(l)) != SIZE_MAX) {
        l->widths[c]--;
    }
}

static void fill(struct buf *b, char c, size_t n)
{
    for (; n > 0; n--) {
        buf_char(b, c);
    }
}

// A line under way: `blanks` are owed before the next text, so that none end a line.
struct line {
    struct buf *b;
    size_t blanks;
};

static void put(struct line *line, struct str text, size_t width, enum table_align align)
{
    size_t used = text_width(text), spare = width > used ? width - used : 0;
    if (text.n == 0) {
        line->blanks += width;
        return;
    }
    fill(line->b, ' ', line->blanks + (align == TABLE_RIGHT ? spare : 0));
    buf_str(line->b, text);
    line->blanks = align == TABLE_RIGHT ? 0 : spare;
}

static void put_rule(struct line *line, size_t width)
{
    fill(line->b, ' ', line->blanks);
    fill(line->b, '-', width);
    line->blanks = 0;
}

static struct str fitted(const struct layout *l, struct str text, size_t c)
{
    bool cut = l->table->columns[c].align == TABLE_LEFT && text.n > 0;
    return cut ? text_fit(l->table->arena, text, l->widths[c]) : text;
}

static bool blank_after(const struct layout *l, const struct table_row *row, size_t c)
{
    for (c++; c < l->table->n_columns; c++) {
        if (l->widths[c] > 0 && row->cells[c].n > 0) {
            return false;
        }
    }
    return true;
}

static void put_note(struct line *line, const struct table_row *row)
{
    if (row->note.n > 0) {
        line->blanks = TABLE_GAP;
        put(line, row->note, 0, TABLE_LEFT);
    }
}

static void write_row(const struct layout *l, const struct table_row *row, struct buf *b)
{
    struct line line = {.b = b};
    bool first = true;
    for (size_t c = 0; c < l->table->n_columns; c++) {
        if (l->widths[c] == 0) {
            continue;
        }
        line.blanks += first ? 0 : TABLE_GAP;
        first = false;
        if (row->kind == TABLE_RULE && c == row->column) {
            put_rule(&line, l->widths[c]);
        }
        put(&line, fitted(l, row->cells[c], c), l->widths[c], l->table->columns[c].align);
        if (blank_after(l, row, c) && row->kind == TABLE_ROW) {
            break;
        }
    }
    put_note(&line, row);
    buf_char(b, '\n');
}

static void write_titles(const struct layout *l, bool color, struct buf *b)
{
    struct line line = {.b = b};
    buf_cstr(b, color ? "\x1b[1m" : "");
    bool first = true;
    for (size_t c = 0; c < l->table->n_columns; c++) {
        if (l->widths[c] > 0) {
            line.blanks += first ? 0 : TABLE_GAP;
            first = false;
            const struct table_column *column = &l->table->columns[c];
            put(&line, fitted(l, column->title, c), l->widths[c], column->align);
        }
    }
    buf_cstr(b, color ? "\x1b[0m" : "");
    buf_char(b, '\n');
}

void table_write(const struct table *t, const struct table_style *style, struct buf *b)
{
    AUTO_FREE size_t *widths = x_array(t->n_columns, sizeof(*widths));
    struct layout l = {t, widths};
    measure(&l);
    if (style->width > 0) {
        fit(&l, style->width);
    }
    write_titles(&l, style->color, b);
    for (size_t r = 0; r < t->n_rows; r++) {
        write_row(&l, &t->rows[r], b);
    }
}
