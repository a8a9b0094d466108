#include "report/report_json.h"

void report_json_rate(struct json *j, const char *name, struct rate r)
{
    json_double_known(j, name, r.known, r.usd_per_mtok);
}

void report_json_total(struct json *j, const char *name, enum row_kind kind, const struct sums *s,
                       bool rates, report_json_sums *put)
{
    json_open(j, name, '{');
    put(j, kind, s, rates);
    json_close(j, '}');
}

void report_json_totals(struct json *j, const struct report *r, report_json_sums *put)
{
    static const struct {
        const char *name;
        enum row_kind kind;
        bool rates;
    } totals[] = {
        {"requests", ROW_USAGE, true},
        {"idle", ROW_IDLE, false},
        {"unattributed", ROW_UNATTRIBUTED, false},
        {"unplaced", ROW_UNPLACED, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(totals); i++) {
        enum row_kind kind = totals[i].kind;
        report_json_total(j, totals[i].name, kind, &r->kinds[kind], totals[i].rates, put);
    }
    report_json_total(j, "bill", ROW_USAGE, &r->bill, true, put);
}

void report_json_splits(struct json *j, const struct report *r)
{
    json_open(j, "splits", '[');
    for (size_t i = 0; i < r->n_splits; i++) {
        const struct settings *s = &r->splits[i];
        json_open(j, NULL, '{');
        json_time(j, "effective_from", s->effective_from);
        json_str(j, "method", str_of(method_name(s->method)));
        json_int(j, "weight_in", s->weight_in);
        json_int(j, "weight_out", s->weight_out);
        json_close(j, '}');
    }
    json_close(j, ']');
}
