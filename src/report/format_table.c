// The people's table: the answer first, what it leaves out under it.
#include "report/format.h"
#include "report/sheet.h"
#include "report/text.h"

#define NUSD_PER_USD INT64_C(1000000000)
enum { SCRATCH_MAX = 16 * 1024 };

// Cents; more decimals where the whole bill is under a dollar.
static struct sheet_unit money_unit(const struct report *r, bool exact)
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

static void put_split(struct buf *b, const struct settings *s)
{
    buf_cstr(b, method_name(s->method));
    if (s->method == METHOD_WEIGHTED) {
        buf_printf(b, " %d:%d", (int)s->weight_in, (int)s->weight_out);
    }
}

static bool same_split(const struct settings *a, const struct settings *b)
{
    return a->method == b->method &&
           (a->method != METHOD_WEIGHTED ||
            (a->weight_in == b->weight_in && a->weight_out == b->weight_out));
}

static void put_splits(const struct report *r, struct buf *b)
{
    for (size_t i = 0; i < r->n_splits; i++) {
        if (i == 0 || !same_split(&r->splits[i - 1], &r->splits[i])) {
            buf_cstr(b, i == 0 ? " · split " : ", then ");
            put_split(b, &r->splits[i]);
        }
    }
}

static void put_finality(const struct report *r, struct buf *b)
{
    const struct report_query *q = &r->query;
    if (r->final_until == INT64_MIN || r->final_until <= r->from) {
        buf_cstr(b, " · nothing final yet");
    } else if (r->final_until >= r->to) {
        buf_cstr(b, " · final");
    } else {
        buf_cstr(b, r->has_open ? " · provisional from " : " · final up to ");
        zone_format_near(b, q->zone, r->final_until, r->to, q->now);
    }
}

static void put_header(const struct report *r, struct buf *b)
{
    const struct report_query *q = &r->query;
    zone_format(b, q->zone, r->from, q->now);
    buf_cstr(b, " to ");
    zone_format_near(b, q->zone, r->to, r->from, q->now);
    buf_printf(b, " %s · ", q->zone->name);
    digits_count(b, (int64_t)r->n_gpus, "GPU");
    buf_cstr(b, " on ");
    digits_count(b, (int64_t)r->n_hosts, "host");
    put_finality(r, b);
    put_splits(r, b);
    buf_cstr(b, "\n\n");
}

static void put_no_rows(const struct report *r, struct buf *b)
{
    const struct report_query *q = &r->query;
    bool recorded = r->from <= r->last && r->first < r->to;
    if (recorded && !q->provisional && r->final_until <= r->from) {
        buf_cstr(b,
                 "No window of this range is final yet: see the open ones with --provisional.\n");
    } else {
        buf_cstr(b, "Nothing was recorded in this range.\n");
    }
    buf_cstr(b, "The store holds records from ");
    zone_format(b, q->zone, r->first, q->now);
    buf_cstr(b, " to ");
    zone_format(b, q->zone, r->last, q->now);
    buf_cstr(b, ".\n");
}

static void put_unplaced(const struct report *r, const char *store, struct buf *b)
{
    int64_t unplaced = r->kinds[ROW_UNPLACED].requests;
    if (unplaced > 0) {
        buf_char(b, '\n');
        digits_count(b, unplaced, "request");
        buf_cstr(b, " could not be placed on a GPU:\n");
        buf_printf(b, "  gtap export token_usage --where unplaced%s\n", store);
    }
}

// The name of the GPU with the most time without a price, where a command can hold it.
static struct str unpriced_name(const struct report *r)
{
    i128 most = 0;
    struct str name = STR("GPU-NAME");
    for (size_t i = 0; i < r->n_gpus; i++) {
        if (r->gpus[i].unpriced_ns > most && text_quotable(r->gpus[i].name)) {
            most = r->gpus[i].unpriced_ns;
            name = r->gpus[i].name;
        }
    }
    return name;
}

static void put_unpriced(const struct report *r, const char *store, struct buf *b)
{
    int64_t unpriced = r->bill.unpriced_requests;
    if (sums_priced(&r->bill)) {
        return;
    }
    buf_cstr(b, "\nThe bill leaves out ");
    digits_duration(b, (int64_t)r->bill.unpriced_ns);
    buf_cstr(b, " of GPU time that has no price");
    if (unpriced > 0) {
        buf_cstr(b, ", and with it ");
        digits_count(b, unpriced, "request");
        buf_printf(b, ":\n  gtap export token_usage --where unpriced%s", store);
    }
    buf_cstr(b, "\nGive it one and compute again:\n  gtap price add '");
    buf_str(b, unpriced_name(r));
    buf_cstr(b, "' USD-PER-HOUR --from ");
    time_format_iso(b, r->from);
    buf_printf(b, "%s\n  gtap recompute%s\n", store, store);
}

static void put_footnotes(const struct report *r, const struct report_style *style, struct buf *b)
{
    const char *store = style->store ? style->store : "";
    put_unplaced(r, store, b);
    put_unpriced(r, store, b);
}

static void put_table(const struct report *r, const struct report_style *style, struct buf *b)
{
    struct sheet s = {.report = r, .style = style};
    s.money = money_unit(r, style->exact);
    s.tokens = token_unit(r, style->exact);
    buf_init(&s.text, SCRATCH_MAX);
    table_init(&s.table, &s.arena);
    if (report_groups_have_bills(&r->query)) {
        sheet_write_columns(&s);
    } else {
        sheet_write_rows(&s);
    }
    table_write(&s.table, &(struct table_style){style->width, style->color}, b);
    table_done(&s.table);
    buf_done(&s.text);
    arena_done(&s.arena);
}

static void write_table(const struct report *r, const struct report_style *style, struct buf *b)
{
    if (r->empty) {
        buf_cstr(b, "No records are stored yet: bring some in with gtap run.\n");
        return;
    }
    put_header(r, b);
    if (r->n_rows == 0) {
        put_no_rows(r, b);
        return;
    }
    put_table(r, style, b);
    put_footnotes(r, style, b);
}

const struct report_format format_table = {
    .name = "table",
    .help = "for people",
    .write = write_table,
};
