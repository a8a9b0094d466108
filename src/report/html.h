// What the parts of the page share (internal to src/report). format_html.c is the page and its
// tables, html_time.c and html_bars.c are its charts.
#pragma once

#include "report/format.h"
#include "report/sheet.h"

// Colours that groups have of their own; what comes behind them shares one.
enum { HTML_SERIES = 6 };

struct html {
    struct buf *b;
    const struct report *report;
    const struct report_style *style;
    struct arena arena; // of texts that were made harmless
    struct buf text;    // scratch
    struct sheet_unit money;
};

extern const char html_style[];

// Text between tags or in an attribute, harmless and escaped. Absent is a dash.
void html_text(struct html *h, struct str text);
// Harmless, not escaped; absent is a dash. Lives as long as the page is being written.
struct str html_clean(struct html *h, struct str text);
// Takes what is in h->text, to stay until the page is written.
struct str html_keep(struct html *h);

// "12.34 $", as the tables show money.
void html_put_money(struct html *h, struct buf *b, i128 nusd);
// "12.340000000": all nine decimals.
struct str html_exact(struct html *h, i128 nusd);

// The dimension that colours stand for in the chart over time: the first that idle time has not, of
// those that the report is grouped by.
enum report_dim html_series_dim(const struct report_query *q);

// Cost over time, stacked. `t` is by hour or day, then by html_series_dim().
void html_time_chart(struct html *h, const struct report *t);
// What each group of a report by one dimension cost, and with its share of idle time.
void html_bar_chart(struct html *h, const struct report *groups);
