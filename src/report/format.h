// How a report is written. A format is one file that ends in one const struct, and one line in
// report_formats[]. write() appends the whole report to b, which says by buf_ok() whether it had
// room; it neither reads the store nor changes the report.
#pragma once

#include "report/focus.h"
#include "report/query.h"

enum report_basis {
    BASIS_BUSY,   // rows show what their requests cost
    BASIS_LOADED, // ... with their share of idle and unattributed time
};

struct report_style {
    enum report_basis basis;
    bool exact;   // nine decimals
    size_t width; // of the terminal; 0: any
    bool color;
    const struct focus_names *focus; // for format_focus alone
    const char *store; // how commands that are advised name the store: " --store URI"; may be NULL
};

struct report_format {
    const char *name, *help;
    // What its rows are always grouped by, hours first, in UTC; NULL: as the query says.
    const enum report_dim *by;
    size_t n_by;
    report_more_fn *more; // what it shows besides the report itself; may be NULL
    void (*write)(const struct report *r, const struct report_style *style, struct buf *b);
};

extern const struct report_format format_table, format_csv, format_json, format_html, format_focus;

extern const struct report_format *const report_formats[]; // NULL-terminated
