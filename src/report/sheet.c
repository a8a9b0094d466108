#include "report/sheet.h"

#include <stdarg.h>
#include <stdio.h>

#define NUSD_PER_USD INT64_C(1000000000)
enum { TITLE_MAX = 64, SCRATCH_MAX = 16 * 1024 };

// Cents; more decimals where the whole bill is under a dollar.
struct sheet_unit sheet_money(const struct report *r, bool exact)
{
    if (exact) {
        return (struct sheet_unit){1, 9, "$"};
    }
    if (r->bill.cost_nusd >= NUSD_PER_USD || r->bill.cost_nusd == 0) {
        return (struct sheet_unit){NUSD_PER_USD / 100, 2, "$"};
    }
    return r->bill.cost_nusd >= NUSD_PER_USD / 100
               ? (struct sheet_unit){NUSD_PER_USD / 10000, 4, "$"}
               : (struct sheet_unit){NUSD_PER_USD / 1000000, 6, "$"};
}

// One unit for both columns: the largest in which the smaller of the two still shows.
static struct sheet_unit token_unit(const struct report *r, bool exact)
{
    const struct sums *s = &r->kinds[ROW_USAGE];
    i128 in = s->prompt_tokens, out = s->completion_tokens;
    i128 least = in > 0 && (in < out || out == 0) ? in : out;
    if (exact || least < 10000) {
        return (struct sheet_unit){1, 0, "tok"};
    }
    return least < 10000000 ? (struct sheet_unit){100, 1, "ktok"}
                            : (struct sheet_unit){100000, 1, "Mtok"};
}

void sheet_init(struct sheet *s, const struct report *r, const struct report_style *style)
{
    *s = (struct sheet){.report = r, .style = style};
    s->money = sheet_money(r, style->exact);
    s->tokens = token_unit(r, style->exact);
    buf_init(&s->text, SCRATCH_MAX);
    table_init(&s->table, &s->arena);
    if (report_groups_have_bills(&r->query)) {
        sheet_write_columns(s);
    } else {
        sheet_write_rows(s);
    }
}

void sheet_done(struct sheet *s)
{
    table_done(&s->table);
    buf_done(&s->text);
    arena_done(&s->arena);
}

size_t sheet_column(struct sheet *s, enum table_align align, int drop, const char *fmt, ...)
{
    char title[TITLE_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(title, sizeof(title), fmt, args);
    va_end(args);
    return table_column(&s->table, title, align, drop);
}

void sheet_put(struct sheet *s, size_t column, i128 shown, const struct sheet_unit *unit)
{
    digits_grouped(&s->text, shown, unit->scale);
    table_set_buf(&s->table, column, &s->text);
}

void sheet_put_int(struct sheet *s, size_t column, int64_t v)
{
    digits_grouped(&s->text, v, 0);
    table_set_buf(&s->table, column, &s->text);
}

void sheet_put_dash(struct sheet *s, size_t column)
{
    table_set(&s->table, column, STR("-"));
}

void sheet_put_rate(struct sheet *s, size_t column, struct rate rate)
{
    if (rate.known) {
        digits_rate(&s->text, rate.usd_per_mtok);
        table_set_buf(&s->table, column, &s->text);
    } else {
        sheet_put_dash(s, column);
    }
}

bool sheet_same_values(const struct sheet *s, const struct report_row *a,
                       const struct report_row *b, size_t n)
{
    bool timed = report_folds_by_time(&s->report->query);
    if (timed && a->values[0].time != b->values[0].time) {
        return false;
    }
    if (a->others > 0 || b->others > 0) {
        return a->others > 0 && b->others > 0;
    }
    for (size_t i = 0; i < n; i++) {
        const struct report_value *x = &a->values[i], *y = &b->values[i];
        if (x->time != y->time || !str_eq(x->text, y->text)) {
            return false;
        }
    }
    return true;
}

// The first dimension that idle time cannot have: there it says what it is.
static bool names_kind(const struct report *r, const struct report_row *row, size_t i)
{
    if (row->kind == ROW_USAGE || report_dim_physical(r->query.by[i])) {
        return false;
    }
    for (size_t k = 0; k < i; k++) {
        if (!report_dim_physical(r->query.by[k])) {
            return false;
        }
    }
    return true;
}

static void value_text(struct sheet *s, const struct report_row *row, size_t i)
{
    const struct report *r = s->report;
    const struct report_value *v = &row->values[i];
    if (r->query.by[i] == DIM_HOUR || r->query.by[i] == DIM_TIME) {
        zone_format_hour(&s->text, r->query.zone, v->time, r->query.now);
    } else if (r->query.by[i] == DIM_DAY) {
        zone_format_day(&s->text, v->time, r->query.now);
    } else if (str_present(v->text)) {
        buf_str(&s->text, v->text);
    } else if (names_kind(r, row, i)) {
        buf_cstr(&s->text, row_kind_name(row->kind));
    } else if (row->kind == ROW_USAGE || report_dim_physical(r->query.by[i])) {
        buf_char(&s->text, '-');
    }
}

static void put_others(struct sheet *s, const struct report_row *row)
{
    bool idle = row->kind == ROW_IDLE || row->kind == ROW_UNATTRIBUTED;
    report_others_name(&s->text, row->others);
    if (idle) {
        s->text.n--; // the parenthesis
        buf_printf(&s->text, ", %s)", row_kind_name(row->kind));
    }
    table_set_buf(&s->table, report_folds_by_time(&s->report->query), &s->text);
}

void sheet_put_values(struct sheet *s, const struct report_row *row, const struct report_row *above)
{
    if (row->others > 0) {
        if (report_folds_by_time(&s->report->query) &&
            (above == NULL || above->values[0].time != row->values[0].time)) {
            value_text(s, row, 0);
            table_set_buf(&s->table, 0, &s->text);
        }
        put_others(s, row);
        return;
    }
    for (size_t i = 0; i < s->report->query.n_by; i++) {
        bool other_kind =
            above && above->kind != row->kind && !report_dim_physical(s->report->query.by[i]);
        if (above == NULL || other_kind || !sheet_same_values(s, row, above, i + 1)) {
            value_text(s, row, i);
            table_set_buf(&s->table, i, &s->text);
        }
    }
}

// The GPU with the most of it, how much, and how many others there are.
static void name_worst(struct sheet *s, size_t offset, bool with_name)
{
    const struct report *r = s->report;
    const struct report_gpu *worst = NULL;
    i128 most = 0;
    size_t others = 0;
    for (size_t i = 0; i < r->n_gpus; i++) {
        i128 ns = *(const i128 *)(const void *)((const char *)&r->gpus[i] + offset);
        others += ns > 0;
        worst = ns > most ? &r->gpus[i] : worst;
        most = MAX(most, ns);
    }
    if (worst == NULL) {
        return;
    }
    report_gpu_name(&s->text, &worst->key);
    if (with_name && str_present(worst->name)) {
        buf_printf(&s->text, " (" STR_FMT ")", STR_ARG(worst->name));
    }
    buf_cstr(&s->text, ", ");
    digits_duration(&s->text, (int64_t)most);
    if (others > 1) {
        buf_cstr(&s->text, "; ");
        digits_count(&s->text, (int64_t)others - 1, "other GPU");
    }
}

void sheet_note_unpriced(struct sheet *s, const struct sums *sums)
{
    if (sums_priced(sums) || !cost_known(ROW_USAGE, sums)) {
        return;
    }
    if (sums->unpriced_requests > 0) {
        digits_count(&s->text, sums->unpriced_requests, "request");
    } else {
        digits_duration(&s->text, (int64_t)sums->unpriced_ns);
    }
    buf_cstr(&s->text, " unpriced");
    table_note(&s->table, buf_view(&s->text));
    buf_clear(&s->text);
}

void sheet_note_unattributed(struct sheet *s)
{
    buf_cstr(&s->text, "no telemetry: ");
    size_t empty = s->text.n;
    name_worst(s, offsetof(struct report_gpu, unattributed_ns), false);
    if (s->text.n > empty) {
        table_note(&s->table, buf_view(&s->text));
    }
    buf_clear(&s->text);
}

void sheet_put_unpriced(struct sheet *s, size_t cost)
{
    const struct sums *bill = &s->report->bill;
    if (sums_priced(bill)) {
        return;
    }
    table_row(&s->table);
    table_set(&s->table, 0, STR("unpriced"));
    sheet_put_dash(s, cost);
    buf_cstr(&s->text, "no price: ");
    name_worst(s, offsetof(struct report_gpu, unpriced_ns), true);
    table_note(&s->table, buf_view(&s->text));
    buf_clear(&s->text);
}

void sheet_put_unplaced(struct sheet *s, size_t requests, size_t in, size_t out, size_t cost)
{
    const struct sums *u = &s->report->kinds[ROW_UNPLACED];
    if (u->requests == 0 && sums_tokens(u) == 0) {
        return;
    }
    table_row(&s->table);
    table_set(&s->table, 0, STR("unplaced"));
    sheet_put_int(s, requests, u->requests);
    sheet_put(s, in, digits_round(u->prompt_tokens, s->tokens.size), &s->tokens);
    sheet_put(s, out, digits_round(u->completion_tokens, s->tokens.size), &s->tokens);
    sheet_put_dash(s, cost);
    table_note(&s->table, STR("they name no GPU"));
}
