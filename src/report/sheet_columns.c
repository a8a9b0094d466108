#include "base/alloc.h"
#include "report/sheet.h"

enum { PARTS = ROW_UNATTRIBUTED + 1 };

// A group: the rows of its kinds. A part that is missing cost nothing.
struct group {
    const struct report_row *any; // for its values
    struct sums parts[PARTS], bill;
    i128 cost[PARTS], in, out; // shown, in units of the last digit
};

struct columns {
    size_t requests, in, out, cost[PARTS], bill, rate, rate_in, rate_out, loaded;
};

struct layout {
    struct sheet *sheet;
    struct columns c;
    struct group *groups;
    size_t n;
    i128 totals[PARTS], bill;
};

static struct columns add_columns(struct sheet *s)
{
    const struct report_query *q = &s->report->query;
    struct columns c;
    for (size_t i = 0; i < q->n_by; i++) {
        sheet_column(s, TABLE_LEFT, 0, "%s", report_dim_name(q->by[i]));
    }
    c.requests = sheet_column(s, TABLE_RIGHT, 3, "requests");
    c.in = sheet_column(s, TABLE_RIGHT, 2, "in %s", s->tokens.name);
    c.out = sheet_column(s, TABLE_RIGHT, 2, "out %s", s->tokens.name);
    c.cost[ROW_USAGE] = sheet_column(s, TABLE_RIGHT, 0, "requests $");
    c.cost[ROW_IDLE] = sheet_column(s, TABLE_RIGHT, 0, "idle $");
    c.cost[ROW_UNATTRIBUTED] = sheet_column(s, TABLE_RIGHT, 0, "unattr. $");
    c.bill = sheet_column(s, TABLE_RIGHT, 0, "bill $");
    c.rate = sheet_column(s, TABLE_RIGHT, 4, "$/Mtok busy");
    c.rate_in = sheet_column(s, TABLE_RIGHT, 5, "in");
    c.rate_out = sheet_column(s, TABLE_RIGHT, 5, "out");
    c.loaded = sheet_column(s, TABLE_RIGHT, 1, "$/Mtok loaded");
    return c;
}

static void gather(struct layout *l)
{
    const struct report *r = l->sheet->report;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct report_row *row = &r->rows[i];
        if (row->kind == ROW_UNPLACED) {
            continue;
        }
        struct group *g = l->n > 0 ? &l->groups[l->n - 1] : NULL;
        if (g == NULL || !sheet_same_values(l->sheet, g->any, row, r->query.n_by)) {
            g = &l->groups[l->n++];
            g->any = row;
        }
        sums_add(&g->parts[row->kind], &row->sums);
        sums_add(&g->bill, &row->sums);
    }
}

// Down each column first; across, a group's bill is the sum of what is shown of its parts.
static void share_part(struct layout *l, size_t part)
{
    AUTO_FREE i128 *exact = x_array(l->n, sizeof(*exact));
    AUTO_FREE i128 *shown = x_array(l->n, sizeof(*shown));
    for (size_t i = 0; i < l->n; i++) {
        exact[i] = l->groups[i].parts[part].cost_nusd;
    }
    digits_share(exact, l->n, l->sheet->money.size, l->totals[part], shown);
    for (size_t i = 0; i < l->n; i++) {
        l->groups[i].cost[part] = shown[i];
    }
}

static void share_costs(struct layout *l)
{
    const struct report *r = l->sheet->report;
    i128 exact[PARTS];
    for (size_t k = 0; k < PARTS; k++) {
        exact[k] = r->kinds[k].cost_nusd;
    }
    l->bill = digits_round(r->bill.cost_nusd, l->sheet->money.size);
    digits_share(exact, PARTS, l->sheet->money.size, l->bill, l->totals);
    for (size_t k = 0; k < PARTS; k++) {
        share_part(l, k);
    }
}

static void share_tokens(struct layout *l)
{
    const struct sums *all = &l->sheet->report->kinds[ROW_USAGE];
    i128 unit = l->sheet->tokens.size;
    AUTO_FREE i128 *exact = x_array(l->n, sizeof(*exact));
    AUTO_FREE i128 *shown = x_array(l->n, sizeof(*shown));
    for (size_t i = 0; i < l->n; i++) {
        exact[i] = l->groups[i].bill.prompt_tokens;
    }
    digits_share(exact, l->n, unit, digits_round(all->prompt_tokens, unit), shown);
    for (size_t i = 0; i < l->n; i++) {
        l->groups[i].in = shown[i];
        exact[i] = l->groups[i].bill.completion_tokens;
    }
    digits_share(exact, l->n, unit, digits_round(all->completion_tokens, unit), shown);
    for (size_t i = 0; i < l->n; i++) {
        l->groups[i].out = shown[i];
    }
}

static void put_money(struct layout *l, size_t column, const struct sums *s, i128 shown)
{
    if (cost_known(ROW_USAGE, s)) {
        sheet_put(l->sheet, column, shown, &l->sheet->money);
    } else {
        sheet_put_dash(l->sheet, column);
    }
}

static void put_line(struct layout *l, const struct sums *parts, const i128 *shown,
                     const struct sums *bill)
{
    struct sheet *s = l->sheet;
    for (size_t k = 0; k < PARTS; k++) {
        put_money(l, l->c.cost[k], &parts[k], shown[k]);
    }
    put_money(l, l->c.bill, bill, shown[0] + shown[1] + shown[2]);
    sheet_put_int(s, l->c.requests, bill->requests);
    struct rates rates = rates_busy(&parts[ROW_USAGE]);
    sheet_put_rate(s, l->c.rate, rates.all);
    sheet_put_rate(s, l->c.rate_in, rates.in);
    sheet_put_rate(s, l->c.rate_out, rates.out);
    sheet_put_rate(s, l->c.loaded, rates_busy(bill).all);
}

static void put_group(struct layout *l, const struct group *g, const struct group *above)
{
    struct sheet *s = l->sheet;
    table_row(&s->table);
    sheet_put_values(s, g->any, above ? above->any : NULL);
    sheet_put(s, l->c.in, g->in, &s->tokens);
    sheet_put(s, l->c.out, g->out, &s->tokens);
    put_line(l, g->parts, g->cost, &g->bill);
    sheet_note_unpriced(s, &g->bill);
}

static void put_total(struct layout *l)
{
    struct sheet *s = l->sheet;
    const struct sums *all = &s->report->kinds[ROW_USAGE];
    table_row(&s->table);
    table_set(&s->table, 0, STR("bill"));
    sheet_put(s, l->c.in, digits_round(all->prompt_tokens, s->tokens.size), &s->tokens);
    sheet_put(s, l->c.out, digits_round(all->completion_tokens, s->tokens.size), &s->tokens);
    put_line(l, s->report->kinds, l->totals, &s->report->bill);
    sheet_note_unattributed(s);
}

void sheet_write_columns(struct sheet *s)
{
    AUTO_FREE struct group *groups = x_array(s->report->n_rows, sizeof(*groups));
    struct layout l = {.sheet = s, .groups = groups};
    l.c = add_columns(s);
    gather(&l);
    share_costs(&l);
    share_tokens(&l);
    for (size_t i = 0; i < l.n; i++) {
        put_group(&l, &groups[i], i > 0 ? &groups[i - 1] : NULL);
    }
    table_rule(&s->table, l.c.bill);
    put_total(&l);
    sheet_put_unpriced(s, l.c.bill);
    sheet_put_unplaced(s, l.c.requests, l.c.in, l.c.out, l.c.bill);
}
