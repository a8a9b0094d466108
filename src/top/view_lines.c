// The table of rows, and what they add up to.
#include <ctype.h>
#include <math.h>

#include "report/digits.h"
#include "top/view_impl.h"

enum { LABEL, REQUESTS, TOKENS_IN, TOKENS_OUT, WINDOW, HOUR, RATE, SHARE, N_COLUMNS };

// Whole numbers from ten on, three digits below.
static void put_speed(struct columns *c, size_t column, double v, struct buf *b)
{
    if (!isfinite(v)) {
        columns_dash(c, column);
        return;
    }
    if (v >= 10) {
        digits_grouped(b, (i128)(v + 0.5), 0);
    } else {
        buf_printf(b, "%.*f", v >= 1 || v == 0 ? 1 : 2, v);
    }
    columns_set(c, column, LOOK_PLAIN, b);
}

static void put_traffic(const struct top_model *m, struct columns *c, const struct sums *s,
                        struct buf *b)
{
    put_speed(c, REQUESTS, top_per_second(m, s->requests), b);
    put_speed(c, TOKENS_IN, top_per_second(m, s->prompt_tokens), b);
    put_speed(c, TOKENS_OUT, top_per_second(m, s->completion_tokens), b);
}

static void put_money(struct columns *c, bool known, struct top_cents cents, struct buf *b)
{
    view_money_hour(b, known, cents.window);
    columns_set(c, WINDOW, LOOK_PLAIN, b);
    view_money_hour(b, known, cents.hour);
    columns_set(c, HOUR, LOOK_PLAIN, b);
}

static void put_share(struct columns *c, double share, enum cell_look look, char sign,
                      struct buf *b)
{
    struct columns_row *r = &c->rows[c->n_rows - 1];
    r->has_bar = isfinite(share);
    r->bar[0] = (struct bar_part){share, sign, look};
    r->bar[1] = (struct bar_part){1 - share, '-', LOOK_FAINT};
    view_percent(b, share);
    columns_set(c, SHARE, isfinite(share) ? LOOK_PLAIN : LOOK_FAINT, b);
}

static void put_line(const struct top_model *m, struct columns *c, const struct top_line *l,
                     struct buf *b)
{
    columns_row(c);
    top_line_label(l, b);
    columns_set(c, LABEL, LOOK_PLAIN, b);
    put_traffic(m, c, &l->row->sums, b);
    put_money(c, l->known, l->cents, b);
    view_rate(b, l->rates.all);
    columns_set(c, RATE, LOOK_PLAIN, b);
    put_share(c, l->share, LOOK_BUSY, '#', b);
}

static double share_of(const struct top_model *m, i128 cost)
{
    i128 bill = m->snapshot->groups.bill.cost_nusd;
    return m->known && bill > 0 ? (double)cost / (double)bill : (double)NAN;
}

static i128 unborne(const struct top_model *m, enum row_kind kind)
{
    const struct report *r = &m->snapshot->groups;
    i128 cost = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_row *row = &r->rows[i];
        bool loaded = m->look.basis == BASIS_LOADED;
        cost += row->kind != kind ? 0 : loaded ? row->loaded_nusd : row->sums.cost_nusd;
    }
    return cost;
}

// Idle or unattributed time: on the loaded basis rows bear it, as far as there are any.
static void put_kind(const struct top_model *m, struct columns *c, enum row_kind kind,
                     struct buf *b)
{
    const struct sums *s = &m->snapshot->groups.kinds[kind];
    i128 cost = unborne(m, kind);
    bool borne = m->look.basis == BASIS_LOADED && s->cost_nusd > 0 && cost == 0;
    columns_row(c);
    buf_printf(b, "%s%s", row_kind_name(kind), borne ? " (in the rows)" : "");
    columns_set(c, LABEL, LOOK_PLAIN, b);
    if (!borne) {
        put_money(c, cost_known(kind, s), m->kinds[kind], b);
        put_share(c, share_of(m, cost), kind == ROW_IDLE ? LOOK_IDLE : LOOK_LOST,
                  kind == ROW_IDLE ? '=' : '!', b);
    }
}

static void put_hidden(const struct top_model *m, struct columns *c, struct buf *b)
{
    columns_row(c);
    buf_printf(b, "(%zu hidden)", m->hidden_lines);
    columns_set(c, LABEL, LOOK_FAINT, b);
    put_money(c, m->known, m->hidden, b);
}

static void put_bill(const struct top_model *m, struct columns *c, struct buf *b)
{
    const struct report *r = &m->snapshot->groups;
    columns_row(c);
    buf_cstr(b, "bill");
    columns_set(c, LABEL, LOOK_STRONG, b);
    put_traffic(m, c, &r->bill, b);
    put_money(c, m->known, m->bill, b);
    view_rate(b, m->loaded);
    columns_set(c, RATE, LOOK_STRONG, b);
}

static bool has_unattributed(const struct top_model *m)
{
    return m->snapshot->groups.kinds[ROW_UNATTRIBUTED].busy_ns > 0;
}

size_t view_line_totals(const struct top_model *m)
{
    return 2 + (size_t)(m->hidden_lines > 0) + (size_t)has_unattributed(m);
}

static const char *label_title(const struct top_model *m, struct arena *a)
{
    struct buf b;
    buf_init(&b, 64);
    for (const char *p = top_group_name(m->snapshot->ask.group); *p; p++) {
        if (*p == '/') {
            buf_cstr(&b, " / ");
        } else {
            buf_char(&b, (char)toupper((unsigned char)*p));
        }
    }
    const char *title = arena_copy(a, buf_view(&b)).p;
    buf_done(&b);
    return title;
}

void view_line_table(const struct top_model *m, struct columns *c)
{
    static const struct {
        const char *title;
        unsigned drop;
    } list[N_COLUMNS] = {
        [LABEL] = {"", 0},         [REQUESTS] = {"req/s", 3}, [TOKENS_IN] = {"tok/s in", 2},
        [TOKENS_OUT] = {"out", 2}, [WINDOW] = {"$", 5},       [HOUR] = {"$/h", 0},
        [RATE] = {"$/Mtok", 1},    [SHARE] = {"share", 4},
    };
    struct buf b;
    buf_init(&b, 8192);
    for (size_t i = 0; i < N_COLUMNS; i++) {
        const char *title = i == LABEL ? label_title(m, c->arena) : list[i].title;
        columns_add(c, title, i == LABEL ? COLUMN_LEFT : COLUMN_RIGHT, list[i].drop);
    }
    c->columns[LABEL].elastic = true;
    c->bar_title = "of bill";
    for (size_t i = 0; i < m->n_lines; i++) {
        put_line(m, c, &m->lines[i], &b);
    }
    if (m->hidden_lines > 0) {
        put_hidden(m, c, &b);
    }
    put_kind(m, c, ROW_IDLE, &b);
    if (has_unattributed(m)) {
        put_kind(m, c, ROW_UNATTRIBUTED, &b);
    }
    put_bill(m, c, &b);
    buf_done(&b);
}
