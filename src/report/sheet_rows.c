#include "base/alloc.h"
#include "report/sheet.h"

struct columns {
    size_t requests, in, out, cost, rate, rate_in, rate_out;
};

// What is shown of a row, in units of the last digit.
struct shown {
    i128 cost, in, out;
};

struct layout {
    struct sheet *sheet;
    struct columns c;
    struct shown *rows; // as report.rows
    i128 kinds[ROW_UNATTRIBUTED + 1], bill;
    bool loaded;
    bool placed; // idle time has a place among the groups
};

static struct columns add_columns(struct sheet *s)
{
    const struct report_query *q = &s->report->query;
    struct columns c;
    for (size_t i = 0; i < q->n_by; i++) {
        sheet_column(s, TABLE_LEFT, 0, "%s", report_dim_name(q->by[i]));
    }
    if (q->n_by == 0) {
        sheet_column(s, TABLE_LEFT, 0, "%s", "");
    }
    c.requests = sheet_column(s, TABLE_RIGHT, 2, "requests");
    c.in = sheet_column(s, TABLE_RIGHT, 1, "in %s", s->tokens.name);
    c.out = sheet_column(s, TABLE_RIGHT, 1, "out %s", s->tokens.name);
    c.cost = sheet_column(s, TABLE_RIGHT, 0, "$");
    c.rate = sheet_column(s, TABLE_RIGHT, 0, "$/Mtok");
    c.rate_in = sheet_column(s, TABLE_RIGHT, 3, "in");
    c.rate_out = sheet_column(s, TABLE_RIGHT, 3, "out");
    return c;
}

static i128 get_cost(const struct report_row *row)
{
    return row->sums.cost_nusd;
}

static i128 get_loaded(const struct report_row *row)
{
    return row->loaded_nusd;
}

static i128 get_in(const struct report_row *row)
{
    return row->sums.prompt_tokens;
}

static i128 get_out(const struct report_row *row)
{
    return row->sums.completion_tokens;
}

// Shares `total` out over the rows whose kind is in `kinds` (a bit each), into the member of their
// struct shown at `offset`.
static void share(struct layout *l, unsigned kinds, i128 (*get)(const struct report_row *),
                  const struct sheet_unit *unit, i128 total, size_t offset)
{
    const struct report *r = l->sheet->report;
    AUTO_FREE i128 *exact = x_array(r->n_rows, sizeof(*exact));
    AUTO_FREE i128 *shown = x_array(r->n_rows, sizeof(*shown));
    for (size_t i = 0; i < r->n_rows; i++) {
        exact[i] = kinds & (1U << r->rows[i].kind) ? get(&r->rows[i]) : 0;
    }
    digits_share(exact, r->n_rows, unit->size, total, shown);
    for (size_t i = 0; i < r->n_rows; i++) {
        if (kinds & (1U << r->rows[i].kind)) {
            *(i128 *)(void *)((char *)&l->rows[i] + offset) = shown[i];
        }
    }
}

static void share_costs(struct layout *l)
{
    const struct report *r = l->sheet->report;
    const struct sheet_unit *unit = &l->sheet->money;
    i128 exact[ROW_UNATTRIBUTED + 1];
    for (size_t k = 0; k <= ROW_UNATTRIBUTED; k++) {
        exact[k] = r->kinds[k].cost_nusd;
    }
    l->bill = digits_round(r->bill.cost_nusd, unit->size);
    digits_share(exact, ARRAY_LEN(exact), unit->size, l->bill, l->kinds);
    if (l->loaded) {
        unsigned all = 1U << ROW_USAGE | 1U << ROW_IDLE | 1U << ROW_UNATTRIBUTED;
        share(l, all, get_loaded, unit, l->bill, offsetof(struct shown, cost));
        return;
    }
    for (unsigned k = 0; k <= ROW_UNATTRIBUTED; k++) {
        share(l, 1U << k, get_cost, unit, l->kinds[k], offsetof(struct shown, cost));
    }
}

static void share_tokens(struct layout *l)
{
    const struct sums *s = &l->sheet->report->kinds[ROW_USAGE];
    const struct sheet_unit *unit = &l->sheet->tokens;
    share(l, 1U << ROW_USAGE, get_in, unit, digits_round(s->prompt_tokens, unit->size),
          offsetof(struct shown, in));
    share(l, 1U << ROW_USAGE, get_out, unit, digits_round(s->completion_tokens, unit->size),
          offsetof(struct shown, out));
}

static void put_cost(struct layout *l, enum row_kind kind, const struct sums *s, i128 shown)
{
    if (cost_known(kind, s)) {
        sheet_put(l->sheet, l->c.cost, shown, &l->sheet->money);
    } else {
        sheet_put_dash(l->sheet, l->c.cost);
    }
}

static void put_row(struct layout *l, size_t i, const struct report_row *above)
{
    struct sheet *s = l->sheet;
    const struct report_row *row = &s->report->rows[i];
    table_row(&s->table);
    sheet_put_values(s, row, above);
    put_cost(l, row->kind, &row->sums, l->rows[i].cost);
    sheet_note_unpriced(s, &row->sums);
    if (row->kind != ROW_USAGE) {
        return;
    }
    struct rates rates = l->loaded ? rates_loaded(row) : rates_busy(&row->sums);
    sheet_put_int(s, l->c.requests, row->sums.requests);
    sheet_put(s, l->c.in, l->rows[i].in, &s->tokens);
    sheet_put(s, l->c.out, l->rows[i].out, &s->tokens);
    sheet_put_rate(s, l->c.rate, rates.all);
    sheet_put_rate(s, l->c.rate_in, rates.in);
    sheet_put_rate(s, l->c.rate_out, rates.out);
}

// Idle time stands among the groups where it has a place in them, else in the totals only; what
// the loaded basis has given to requests is not shown again.
static bool shows(const struct layout *l, const struct report_row *row)
{
    switch (row->kind) {
    case ROW_USAGE:
        return l->sheet->report->query.n_by > 0;
    case ROW_IDLE:
    case ROW_UNATTRIBUTED:
        return l->loaded ? row->loaded_nusd > 0 && l->sheet->report->query.n_by > 0 : l->placed;
    case ROW_UNPLACED:
        break;
    }
    return false;
}

static void put_groups(struct layout *l)
{
    const struct report *r = l->sheet->report;
    const struct report_row *above = NULL;
    for (size_t i = 0; i < r->n_rows; i++) {
        if (shows(l, &r->rows[i])) {
            put_row(l, i, above);
            above = &r->rows[i];
        }
    }
    if (above != NULL) {
        table_rule(&l->sheet->table, l->c.cost);
    }
}

static void put_name(struct layout *l, const char *before, const char *name)
{
    struct sheet *s = l->sheet;
    table_row(&s->table);
    buf_printf(&s->text, "%s%s", before, name);
    table_set_buf(&s->table, 0, &s->text);
}

static void put_counts(struct layout *l, const struct sums *sums)
{
    struct sheet *s = l->sheet;
    sheet_put_int(s, l->c.requests, sums->requests);
    sheet_put(s, l->c.in, digits_round(sums->prompt_tokens, s->tokens.size), &s->tokens);
    sheet_put(s, l->c.out, digits_round(sums->completion_tokens, s->tokens.size), &s->tokens);
}

static void put_requests(struct layout *l, const char *before)
{
    struct sheet *s = l->sheet;
    const struct sums *sums = &s->report->kinds[ROW_USAGE];
    struct rates rates = rates_busy(sums);
    put_name(l, before, "requests");
    put_counts(l, sums);
    put_cost(l, ROW_USAGE, sums, l->kinds[ROW_USAGE]);
    sheet_put_rate(s, l->c.rate, rates.all);
    if (s->report->query.n_by == 0) { // else the groups say more
        sheet_put_rate(s, l->c.rate_in, rates.in);
        sheet_put_rate(s, l->c.rate_out, rates.out);
    }
    table_note(&s->table, STR("busy"));
}

static void put_unused(struct layout *l, const char *before, enum row_kind kind)
{
    struct sheet *s = l->sheet;
    const struct sums *sums = &s->report->kinds[kind];
    put_name(l, before, row_kind_name(kind));
    put_cost(l, kind, sums, l->kinds[kind]);
    sheet_note_unpriced(s, sums);
    if (kind == ROW_UNATTRIBUTED) {
        sheet_note_unattributed(s);
    }
}

static void put_bill(struct layout *l)
{
    struct sheet *s = l->sheet;
    table_row(&s->table);
    table_set(&s->table, 0, STR("bill"));
    put_cost(l, ROW_USAGE, &s->report->bill, l->bill);
    sheet_put_rate(s, l->c.rate, rates_busy(&s->report->bill).all);
    table_note(&s->table, STR("loaded"));
}

static void put_parts(struct layout *l, const char *before)
{
    put_requests(l, before);
    put_unused(l, before, ROW_IDLE);
    put_unused(l, before, ROW_UNATTRIBUTED);
    sheet_put_unpriced(l->sheet, l->c.cost);
    sheet_put_unplaced(l->sheet, l->c.requests, l->c.in, l->c.out, l->c.cost);
}

static bool has_place(const struct report_query *q)
{
    for (size_t i = 0; i < q->n_by; i++) {
        if (report_dim_physical(q->by[i]) || q->by[i] == DIM_KIND) {
            return true;
        }
    }
    return false;
}

// What stands above a rule adds up to what stands below it: groups that hold idle time to the
// bill, others to the requests, which then are a part of the bill.
void sheet_write_rows(struct sheet *s)
{
    AUTO_FREE struct shown *rows = x_array(s->report->n_rows, sizeof(*rows));
    struct layout l = {.sheet = s, .rows = rows, .loaded = s->style->basis == BASIS_LOADED};
    l.placed = has_place(&s->report->query);
    l.c = add_columns(s);
    share_costs(&l);
    share_tokens(&l);
    put_groups(&l);
    if (l.placed || (l.loaded && s->report->query.n_by > 0)) {
        put_bill(&l);
        put_counts(&l, &s->report->bill);
        put_parts(&l, "of it ");
    } else {
        put_parts(&l, "");
        table_rule(&s->table, l.c.cost);
        put_bill(&l);
    }
}
