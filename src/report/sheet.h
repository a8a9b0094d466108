// What the two layouts of the people's table share (internal to src/report).
//
// sheet_rows.c: groups down, and under them requests, idle and unattributed time, the bill.
// sheet_columns.c: when every group has a bill of its own (GPUs, hosts, sites, hours, days), its
// parts stand side by side.
#pragma once

#include "report/digits.h"
#include "report/format.h"
#include "report/rates.h"
#include "report/table.h"

// What one digit of a column's last place is worth, and how many decimals it has.
struct sheet_unit {
    i128 size;
    int scale;
    const char *name; // of tokens: "Mtok"
};

struct sheet {
    const struct report *report;
    const struct report_style *style;
    struct arena arena;
    struct table table;
    struct buf text; // scratch
    struct sheet_unit money, tokens;
};

// Of all money in a report.
struct sheet_unit sheet_money(const struct report *r, bool exact);

// Fills the table of a report that has rows. *s stays where it is: the table lives in its arena.
void sheet_init(struct sheet *s, const struct report *r, const struct report_style *style);
void sheet_done(struct sheet *s);

void sheet_write_rows(struct sheet *s);
void sheet_write_columns(struct sheet *s);

size_t sheet_column(struct sheet *s, enum table_align align, int drop, const char *fmt, ...)
    GTAP_PRINTF(4, 5);
void sheet_put(struct sheet *s, size_t column, i128 shown, const struct sheet_unit *unit);
void sheet_put_int(struct sheet *s, size_t column, int64_t v);
void sheet_put_rate(struct sheet *s, size_t column, struct rate rate);
void sheet_put_dash(struct sheet *s, size_t column);

// The dimensions' cells of a row: what it has in common with the row above stays blank.
void sheet_put_values(struct sheet *s, const struct report_row *row,
                      const struct report_row *above);
bool sheet_same_values(const struct sheet *s, const struct report_row *a,
                       const struct report_row *b, size_t n);

// Lines for what has no place or no price; their first cell is in column 0.
void sheet_put_unplaced(struct sheet *s, size_t requests, size_t in, size_t out, size_t cost);
void sheet_put_unpriced(struct sheet *s, size_t cost);
// "33 requests unpriced" behind a cost that is known in part only.
void sheet_note_unpriced(struct sheet *s, const struct sums *sums);
// "no telemetry: gpu-02/3, 18 min"; nothing when no time is unattributed.
void sheet_note_unattributed(struct sheet *s);
