// The people's table: the answer first, what it leaves out under it.
#include "report/format.h"
#include "report/notes.h"
#include "report/sheet.h"

static void put_table(const struct report *r, const struct report_style *style, struct buf *b)
{
    struct sheet s;
    sheet_init(&s, r, style);
    table_write(&s.table, &(struct table_style){style->width, style->color}, b);
    sheet_done(&s);
}

static void write_table(const struct report *r, const struct report_style *style, struct buf *b)
{
    if (r->empty) {
        buf_cstr(b, "No records are stored yet: bring some in with gtap run.\n");
        return;
    }
    notes_heading(r, b);
    buf_cstr(b, "\n\n");
    if (r->n_rows == 0) {
        notes_no_rows(r, b);
        return;
    }
    put_table(r, style, b);
    notes_under(r, style, b);
}

const struct report_format format_table = {
    .name = "table",
    .help = "for people",
    .write = write_table,
};
