#include "report/digits.h"
#include "report/html.h"
#include "report/svg.h"
#include "report/text.h"

enum {
    WIDTH = 470,
    NAMES = 128, // where bars begin
    ENDS = 352,  // where the longest one ends
    LINE = 26,
    BAR = 14,
    TOP = 4,
    NAME_COLUMNS = 18,
};

static struct str name_of(struct html *h, const struct report_row *row)
{
    if (row->others > 0) {
        report_others_name(&h->text, row->others);
        return html_keep(h);
    }
    return html_clean(h, row->values[0].text);
}

// "llama-3-70b: 7.01 $, with its share of idle and unattributed time 9.64 $".
static struct str tip_of(struct html *h, struct str name, const struct report_row *row)
{
    buf_str(&h->text, name);
    buf_cstr(&h->text, ": ");
    html_put_money(h, &h->text, row->sums.cost_nusd);
    buf_cstr(&h->text, ", with its share of idle and unattributed time ");
    html_put_money(h, &h->text, row->loaded_nusd);
    return html_keep(h);
}

static double length_of(i128 nusd, i128 most)
{
    return most > 0 ? (double)nusd / (double)most * (ENDS - NAMES) : 0;
}

static void put_bar(struct html *h, const struct report_row *row, size_t at, i128 most)
{
    double y = TOP + (double)at * LINE;
    struct str name = name_of(h, row), tip = tip_of(h, name, row);
    bool known = cost_known(row->kind, &row->sums);
    double busy = length_of(row->sums.cost_nusd, most), loaded = length_of(row->loaded_nusd, most);
    struct svg_box full = {NAMES, y + 4, loaded, BAR}, own = {NAMES, y + 4, busy, BAR};
    svg_text(h->b, "end", NAMES - 8, y + 15, text_fit(&h->arena, name, NAME_COLUMNS));
    if (known) {
        svg_rect(h->b, "load", &full, html_exact(h, row->loaded_nusd), tip);
        svg_rect(h->b, "busy", &own, html_exact(h, row->sums.cost_nusd), tip);
        html_put_money(h, &h->text, row->sums.cost_nusd);
    } else {
        buf_cstr(&h->text, "no price");
    }
    svg_text(h->b, "start", NAMES + (known ? MAX(loaded, busy) : 0) + 6, y + 15, html_keep(h));
}

void html_bar_chart(struct html *h, const struct report *groups)
{
    i128 most = 0;
    size_t n = 0, at = 0;
    for (size_t i = 0; i < groups->n_rows; i++) {
        n += groups->rows[i].kind == ROW_USAGE;
        if (groups->rows[i].kind == ROW_USAGE) {
            most = MAX(most, groups->rows[i].loaded_nusd);
            most = MAX(most, groups->rows[i].sums.cost_nusd);
        }
    }
    buf_printf(&h->text, "Cost by %s", report_dim_name(groups->query.by[0]));
    svg_begin(h->b, WIDTH, 2 * TOP + (double)MAX(n, (size_t)1) * LINE, html_keep(h));
    for (size_t i = 0; i < groups->n_rows; i++) {
        if (groups->rows[i].kind == ROW_USAGE) {
            put_bar(h, &groups->rows[i], at++, most);
        }
    }
    if (n == 0) {
        svg_text(h->b, "start", 8, TOP + 15, STR("no requests"));
    }
    svg_end(h->b);
}
