// Cost over time: a column an hour or a day, idle and unattributed time at the bottom, so that the
// height of a column is its bill.
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/intern.h"
#include "report/digits.h"
#include "report/html.h"
#include "report/svg.h"

enum {
    WIDTH = 960,
    HEIGHT = 300,
    LEFT = 64, // of the plot
    RIGHT = 952,
    TOP = 12,
    BOTTOM = 268,
    MARKS = 5,         // on the axis of cost, about
    TIMES = 9,         // on that of time, at most
    COLUMNS_MAX = 370, // more are drawn together, so many to a column
};

// From the bottom up.
enum { UNATTRIBUTED, IDLE, SERIES, OTHERS = SERIES + HTML_SERIES, LAYERS };

static const char *const classes[LAYERS] = {"unattributed", "idle", "s0", "s1",    "s2",
                                            "s3",           "s4",   "s5", "others"};

struct column {
    int64_t time; // as report_value.time
    i128 nusd[LAYERS];
};

struct series {
    uint32_t id;
    i128 nusd;
};

struct chart {
    struct html *html;
    const struct report *report;
    struct column *columns;
    size_t n, merged; // so many hours or days in one
    struct intern *names;
    struct series *series; // by cost
    size_t n_series, cap_series;
    i128 totals[LAYERS], most;
};

static int64_t step_of(const struct chart *c)
{
    return c->report->query.by[0] == DIM_HOUR ? NS_PER_HOUR : NS_PER_DAY;
}

static int by_cost(const void *a, const void *b)
{
    const struct series *x = a, *y = b;
    if (x->nusd != y->nusd) {
        return x->nusd > y->nusd ? -1 : 1;
    }
    return (x->id > y->id) - (x->id < y->id);
}

static void find_series(struct chart *c)
{
    for (size_t i = 0; i < c->report->n_rows; i++) {
        const struct report_row *row = &c->report->rows[i];
        if (row->kind != ROW_USAGE) {
            continue;
        }
        uint32_t id = intern_id(c->names, row->values[1].text);
        if (id == c->n_series) {
            ARRAY_RESERVE(c->series, c->n_series, c->cap_series);
            c->series[c->n_series++] = (struct series){.id = id};
        }
        c->series[id].nusd += row->sums.cost_nusd;
    }
    if (c->n_series > 0) {
        qsort(c->series, c->n_series, sizeof(*c->series), by_cost);
    }
}

static size_t layer_of(const struct chart *c, const struct report_row *row)
{
    if (row->kind != ROW_USAGE) {
        return row->kind == ROW_IDLE ? IDLE : UNATTRIBUTED;
    }
    int64_t id = intern_find(c->names, row->values[1].text);
    size_t i = 0;
    while (i < HTML_SERIES && i < c->n_series && c->series[i].id != (uint32_t)id) {
        i++;
    }
    return i < HTML_SERIES && i < c->n_series ? SERIES + i : OTHERS;
}

// The first column's time, and how many there are from it to the last row's.
static void find_columns(struct chart *c, int64_t *ret_first)
{
    const struct report *r = c->report;
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (size_t i = 0; i < r->n_rows; i++) {
        first = MIN(first, r->rows[i].values[0].time);
        last = MAX(last, r->rows[i].values[0].time);
    }
    size_t n = r->n_rows > 0 ? (size_t)((last - first) / step_of(c)) + 1 : 0;
    c->merged = (n + COLUMNS_MAX - 1) / COLUMNS_MAX;
    c->n = n > 0 ? (n + c->merged - 1) / c->merged : 0;
    c->columns = x_zalloc((c->n + 1) * sizeof(*c->columns));
    *ret_first = first;
}

static i128 height_of(const struct column *column)
{
    i128 sum = 0;
    for (size_t k = 0; k < LAYERS; k++) {
        sum += column->nusd[k];
    }
    return sum;
}

static void fill_columns(struct chart *c)
{
    int64_t first;
    find_columns(c, &first);
    int64_t span = step_of(c) * (int64_t)c->merged;
    for (size_t i = 0; i < c->n; i++) {
        c->columns[i].time = first + (int64_t)i * span;
    }
    for (size_t i = 0; i < c->report->n_rows; i++) {
        const struct report_row *row = &c->report->rows[i];
        if (row->kind == ROW_UNPLACED) {
            continue;
        }
        size_t layer = layer_of(c, row);
        c->columns[(row->values[0].time - first) / span].nusd[layer] += row->sums.cost_nusd;
        c->totals[layer] += row->sums.cost_nusd;
    }
    for (size_t i = 0; i < c->n; i++) {
        c->most = MAX(c->most, height_of(&c->columns[i]));
    }
}

static struct str layer_name(const struct chart *c, size_t layer)
{
    if (layer == IDLE || layer == UNATTRIBUTED) {
        return str_of(layer == IDLE ? "idle" : "unattributed");
    }
    if (layer == OTHERS) {
        report_others_name(&c->html->text, c->n_series - HTML_SERIES);
        return html_keep(c->html);
    }
    return html_clean(c->html, intern_str(c->names, c->series[layer - SERIES].id));
}

static void put_time(const struct chart *c, struct buf *b, int64_t time, int64_t beside)
{
    const struct report_query *q = &c->report->query;
    if (q->by[0] == DIM_DAY) {
        zone_format_day(b, time, q->now);
    } else if (beside != INT64_MIN) {
        zone_format_near(b, q->zone, time, beside, q->now);
    } else {
        zone_format_hour(b, q->zone, time, q->now);
    }
}

static double y_of(const struct chart *c, i128 nusd)
{
    double share = c->most > 0 ? (double)nusd / (double)c->most : 0;
    return BOTTOM - share * (BOTTOM - TOP);
}

static void put_column(struct chart *c, const struct column *column, double x, double width)
{
    struct html *h = c->html;
    i128 below = 0;
    for (size_t k = 0; k < LAYERS; k++) {
        if (column->nusd[k] == 0) {
            continue;
        }
        struct str name = layer_name(c, k);
        put_time(c, &h->text, column->time, INT64_MIN);
        buf_cstr(&h->text, " · ");
        buf_str(&h->text, name);
        buf_cstr(&h->text, " · ");
        html_put_money(h, &h->text, column->nusd[k]);
        struct str tip = html_keep(h);
        double y = y_of(c, below + column->nusd[k]);
        struct svg_box box = {x, y, width, y_of(c, below) - y};
        svg_rect(h->b, classes[k], &box, html_exact(h, column->nusd[k]), tip);
        below += column->nusd[k];
    }
}

// As few decimals as tell the marks apart.
static void put_mark(struct html *h, int64_t nusd, int64_t step)
{
    int64_t unit = NS_PER_S; // 10^9, as there are nano-USD in one
    int scale = 0;
    while (step % unit != 0) {
        unit /= 10;
        scale++;
    }
    digits_grouped(&h->text, nusd / unit, scale);
    buf_cstr(&h->text, " $");
}

static void put_costs(struct chart *c)
{
    struct html *h = c->html;
    int64_t step = svg_step((double)c->most, MARKS);
    svg_group(h->b, "grid");
    for (i128 at = 0; at <= c->most; at += step) {
        double y = y_of(c, at);
        svg_line(h->b, LEFT, y, RIGHT, y);
        put_mark(h, (int64_t)at, step);
        svg_text(h->b, "end", LEFT - 8, y + 4, html_keep(h));
    }
    svg_group_end(h->b);
}

static void put_times(struct chart *c, double width)
{
    struct html *h = c->html;
    size_t every = (c->n + TIMES - 1) / TIMES;
    svg_group(h->b, "axis");
    for (size_t i = 0; i < c->n; i += every) {
        int64_t beside = i > 0 ? c->columns[i - every].time : INT64_MIN;
        put_time(c, &h->text, c->columns[i].time, beside);
        double x = LEFT + ((double)i + 0.5) * width;
        bool first = i == 0 && width < 40;
        svg_text(h->b, first ? "start" : "middle", first ? LEFT : x, BOTTOM + 20, html_keep(h));
    }
    svg_group_end(h->b);
}

static void put_legend(struct chart *c)
{
    struct buf *b = c->html->b;
    buf_cstr(b, "<ul class=\"legend\">\n");
    for (size_t k = LAYERS; k-- > 0;) { // as they are stacked
        if (c->totals[k] == 0) {
            continue;
        }
        buf_printf(b, "<li><span class=\"swatch %s\"></span>", classes[k]);
        svg_escape(b, layer_name(c, k));
        buf_cstr(b, " <data value=\"");
        buf_str(b, html_exact(c->html, c->totals[k]));
        buf_cstr(b, "\">");
        html_put_money(c->html, b, c->totals[k]);
        buf_cstr(b, "</data></li>\n");
    }
    buf_cstr(b, "</ul>\n");
}

static void put_plot(struct chart *c)
{
    struct html *h = c->html;
    double width = c->n > 0 ? (double)(RIGHT - LEFT) / (double)c->n : 0;
    double gap = width >= 6 ? MIN(width * 0.18, 6.0) : 0;
    buf_printf(&h->text, "Cost over time by %s, idle and unattributed time at the bottom",
               report_dim_name(c->report->query.by[1]));
    svg_begin(h->b, WIDTH, HEIGHT, html_keep(h));
    put_costs(c);
    svg_group(h->b, NULL);
    for (size_t i = 0; i < c->n; i++) {
        put_column(c, &c->columns[i], LEFT + (double)i * width + gap / 2, width - gap);
    }
    svg_group_end(h->b);
    put_times(c, width);
    svg_end(h->b);
}

void html_time_chart(struct html *h, const struct report *t)
{
    struct chart c = {.html = h, .report = t, .names = intern_new()};
    find_series(&c);
    fill_columns(&c);
    if (c.most > 0) {
        put_plot(&c);
        put_legend(&c);
    } else {
        buf_cstr(h->b, "<p class=\"quiet\">Nothing in this range has a price.</p>\n");
    }
    intern_free(c.names);
    free(c.series);
    free(c.columns);
}
