#include "report/notes.h"

#include "report/digits.h"
#include "report/text.h"

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

void notes_heading(const struct report *r, struct buf *b)
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
}

void notes_no_rows(const struct report *r, struct buf *b)
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

void notes_under(const struct report *r, const struct report_style *style, struct buf *b)
{
    const char *store = style->store ? style->store : "";
    put_unplaced(r, store, b);
    put_unpriced(r, store, b);
}
