// A page for a mail: one file that loads nothing, runs nothing, and is read in ten years as today.
// Exact numbers stand in <data value> and data-usd beside what is shown.
#include <errno.h>

#include "report/digits.h"
#include "report/html.h"
#include "report/notes.h"
#include "report/svg.h"

enum { SCRATCH_MAX = 64 * 1024, BARS = 10 };
#define HOURS_UP_TO (4 * NS_PER_DAY) // longer ranges are drawn by day

static size_t more_of(const struct report *r, struct report_query queries[REPORT_MORE_MAX])
{
    static const enum report_dim bars[] = {DIM_MODEL, DIM_TENANT};
    bool hours = r->to - r->from <= HOURS_UP_TO;
    size_t n = 0;
    if (r->empty) {
        return 0;
    }
    queries[n] = r->query;
    queries[n].by[0] = hours ? DIM_HOUR : DIM_DAY;
    queries[n].by[1] = html_series_dim(&r->query);
    queries[n].n_by = 2;
    queries[n].limit = 0;
    queries[n++].sort = SORT_AUTO;
    for (size_t i = 0; i < ARRAY_LEN(bars); i++) {
        queries[n] = r->query;
        queries[n].by[0] = bars[i];
        queries[n].n_by = 1;
        queries[n].limit = BARS;
        queries[n++].sort = SORT_COST;
    }
    return n;
}

static void put_head(struct html *h)
{
    buf_cstr(
        h->b,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" "
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        "<meta name=\"generator\" content=\"gtap\">\n<title>What tokens cost</title>\n<style>");
    buf_cstr(h->b, html_style);
    buf_cstr(h->b, "</style>\n</head>\n<body>\n<main>\n<header>\n<h1>What tokens cost</h1>\n");
}

static void card_begin(struct html *h, const char *title)
{
    buf_printf(h->b, "<div class=\"card\"><dt>%s</dt><dd>", title);
}

static void card_end(struct html *h)
{
    buf_cstr(h->b, "<dd class=\"under\">");
    html_text(h, html_keep(h));
    buf_cstr(h->b, "</dd></div>\n");
}

static void put_amount(struct html *h, enum row_kind kind, const struct sums *s)
{
    if (!cost_known(kind, s)) {
        buf_cstr(h->b, "-</dd>");
        return;
    }
    buf_cstr(h->b, "<data value=\"");
    buf_str(h->b, html_exact(h, s->cost_nusd));
    buf_cstr(h->b, "\">");
    digits_grouped(h->b, digits_round(s->cost_nusd, h->money.size), h->money.scale);
    buf_cstr(h->b, "</data> <small>$</small></dd>");
}

static void put_rate(struct buf *b, struct rate rate)
{
    if (rate.known) {
        digits_rate(b, rate.usd_per_mtok);
    } else {
        buf_char(b, '-');
    }
}

static void put_tokens(struct html *h)
{
    const struct sums *s = &h->report->kinds[ROW_USAGE];
    digits_count(&h->text, s->requests, "request");
    buf_cstr(&h->text, ", ");
    digits_rate(&h->text, (double)s->prompt_tokens / 1e6);
    buf_cstr(&h->text, " Mtok in, ");
    digits_rate(&h->text, (double)s->completion_tokens / 1e6);
    buf_cstr(&h->text, " out");
}

static void put_bill_card(struct html *h)
{
    card_begin(h, "Bill");
    put_amount(h, ROW_USAGE, &h->report->bill);
    put_tokens(h);
    card_end(h);
}

static void put_rate_card(struct html *h)
{
    struct rate loaded = rates_busy(&h->report->bill).all;
    card_begin(h, "A million tokens");
    if (loaded.known) {
        buf_cstr(h->b, "<data value=\"");
        buf_double(h->b, loaded.usd_per_mtok);
        buf_cstr(h->b, "\">");
        digits_rate(h->b, loaded.usd_per_mtok);
        buf_cstr(h->b, "</data> <small>$/Mtok</small></dd>");
    } else {
        buf_cstr(h->b, "-</dd>");
    }
    put_rate(&h->text, rates_busy(&h->report->kinds[ROW_USAGE]).all);
    buf_cstr(&h->text, " $/Mtok by requests alone");
    card_end(h);
}

// "19.0 % of the bill". Where a part has no price, nobody knows.
static void put_share(struct html *h, const struct sums *part)
{
    const struct sums *bill = &h->report->bill;
    if (!sums_priced(bill) || bill->cost_nusd == 0) {
        buf_cstr(&h->text, "share unknown");
        return;
    }
    double share = (double)part->cost_nusd / (double)bill->cost_nusd;
    buf_printf(&h->text, "%.1f %% of the bill", share * 100);
}

static void put_kind_card(struct html *h, enum row_kind kind, const char *title, const char *what)
{
    const struct sums *s = &h->report->kinds[kind];
    card_begin(h, title);
    put_amount(h, kind, s);
    put_share(h, s);
    buf_cstr(&h->text, what);
    card_end(h);
}

static void put_cards(struct html *h)
{
    buf_cstr(h->b, "<dl class=\"cards\">\n");
    put_bill_card(h);
    put_rate_card(h);
    put_kind_card(h, ROW_USAGE, "Requests", "");
    put_kind_card(h, ROW_IDLE, "Idle", "");
    if (h->report->kinds[ROW_UNATTRIBUTED].busy_ns > 0) {
        put_kind_card(h, ROW_UNATTRIBUTED, "Unattributed", ", without telemetry");
    }
    buf_cstr(h->b, "</dl>\n");
}

static void section_begin(struct html *h, const char *class, const char *title,
                          const struct report_query *by, size_t first)
{
    buf_printf(h->b, "<section%s>\n<h2>%s", class, title);
    for (size_t i = first; i < by->n_by; i++) {
        const char *between = i == first ? "" : i + 1 == by->n_by ? " and " : ", ";
        buf_printf(h->b, "%s%s", between, report_dim_name(by->by[i]));
    }
    buf_cstr(h->b, "</h2>\n");
}

static void put_charts(struct html *h)
{
    const struct report *more = h->report->more;
    if (h->report->n_more == 0) {
        return;
    }
    section_begin(h, "", more[0].query.by[0] == DIM_HOUR ? "Every hour, by " : "Every day, by ",
                  &more[0].query, 1);
    html_time_chart(h, &more[0]);
    buf_cstr(h->b, "</section>\n<div class=\"pair\">\n");
    for (size_t i = 1; i < h->report->n_more; i++) {
        section_begin(h, "", "By ", &more[i].query, 0);
        html_bar_chart(h, &more[i]);
        buf_cstr(h->b, "<ul class=\"legend\"><li><span class=\"swatch busy\"></span>its requests"
                       "</li><li><span class=\"swatch load\"></span>its share of idle and "
                       "unattributed time</li></ul>\n</section>\n");
    }
    buf_cstr(h->b, "</div>\n");
}

// ---- the table -----------------------------------------------------------------------------

static const char *class_of(const struct table_column *column)
{
    return column->align == TABLE_LEFT ? " class=\"left\"" : "";
}

static void put_titles(struct html *h, const struct table *t, bool notes)
{
    buf_cstr(h->b, "<thead><tr>");
    for (size_t c = 0; c < t->n_columns; c++) {
        buf_printf(h->b, "<th scope=\"col\"%s>", class_of(&t->columns[c]));
        svg_escape(h->b, t->columns[c].title);
        buf_cstr(h->b, "</th>");
    }
    buf_cstr(h->b, notes ? "<th></th></tr></thead>\n<tbody>\n" : "</tr></thead>\n<tbody>\n");
}

// The table's cells are harmless already.
static void put_cells(struct html *h, const struct table *t, const struct table_row *row,
                      bool ruled, bool notes)
{
    bool bill = row->cells[0].n > 0 && str_eq(row->cells[0], STR("bill")) && ruled;
    buf_printf(h->b, "<tr%s>", bill ? " class=\"rule bill\"" : ruled ? " class=\"rule\"" : "");
    for (size_t c = 0; c < t->n_columns; c++) {
        buf_printf(h->b, "<td%s>", class_of(&t->columns[c]));
        svg_escape(h->b, row->cells[c]);
        buf_cstr(h->b, "</td>");
    }
    if (notes) {
        buf_cstr(h->b, "<td class=\"note\">");
        svg_escape(h->b, row->note);
        buf_cstr(h->b, "</td>");
    }
    buf_cstr(h->b, "</tr>\n");
}

static bool has_notes(const struct table *t)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        if (t->rows[i].note.n > 0) {
            return true;
        }
    }
    return false;
}

static void put_table(struct html *h)
{
    struct sheet s;
    sheet_init(&s, h->report, h->style);
    bool notes = has_notes(&s.table), ruled = false;
    section_begin(h, " class=\"table\"", h->report->query.n_by > 0 ? "By " : "In all",
                  &h->report->query, 0);
    buf_cstr(h->b, "<div class=\"scroll\"><table>\n");
    put_titles(h, &s.table, notes);
    for (size_t i = 0; i < s.table.n_rows; i++) {
        const struct table_row *row = &s.table.rows[i];
        if (row->kind == TABLE_ROW) {
            put_cells(h, &s.table, row, ruled, notes);
        }
        ruled = row->kind == TABLE_RULE;
    }
    buf_cstr(h->b, "</tbody>\n</table></div>\n</section>\n");
    sheet_done(&s);
}

// ---- the page ------------------------------------------------------------------------------

static void put_sentences(struct html *h, const char *class)
{
    size_t at = 0;
    while (at < h->text.n && h->text.p[at] == '\n') {
        at++;
    }
    if (at == h->text.n) {
        return;
    }
    buf_printf(h->b, "<section class=\"%s\"><pre>", class);
    struct str rest = {h->text.p + at, h->text.n - at}, line;
    while (rest.n > 0 && str_split(&rest, '\n', &line)) {
        html_text(h, line);
        buf_char(h->b, '\n');
    }
    buf_cstr(h->b, "</pre></section>\n");
    buf_clear(&h->text);
}

static void put_body(struct html *h)
{
    const struct report *r = h->report;
    if (r->empty) {
        buf_cstr(&h->text, "No records are stored yet: bring some in with gtap run.\n");
        buf_cstr(h->b, "</header>\n");
        put_sentences(h, "warn");
        return;
    }
    buf_cstr(h->b, "<p class=\"range\">");
    notes_heading(r, &h->text);
    html_text(h, html_keep(h));
    buf_cstr(h->b, "</p>\n</header>\n");
    if (r->n_rows == 0) {
        notes_no_rows(r, &h->text);
        put_sentences(h, "warn");
        return;
    }
    put_cards(h);
    notes_under(r, h->style, &h->text);
    put_sentences(h, "warn");
    put_charts(h);
    put_table(h);
}

static void write_html(const struct report *r, const struct report_style *style, struct buf *b)
{
    struct html h = {.b = b, .report = r, .style = style};
    buf_init(&h.text, SCRATCH_MAX);
    h.money = sheet_money(r, style->exact);
    put_head(&h);
    put_body(&h);
    buf_cstr(b, "<footer>Made by gtap on ");
    zone_format_iso(&h.text, r->query.zone, r->query.now);
    html_text(&h, html_keep(&h));
    buf_cstr(b,
             ". Requests, idle and unattributed time add up to the bill, to the last digit shown; "
             "each number's nine decimals are in the page's source.</footer>\n</main>\n"
             "</body>\n</html>\n");
    buf_done(&h.text);
    arena_done(&h.arena);
}

const struct report_format format_html = {
    .name = "html",
    .help = "one page with charts, for a mail or for paper",
    .more = more_of,
    .write = write_html,
};
