// One JSON object. Money is exact, in nano-USD; unknown is null.
#include "base/decimal.h"
#include "report/format.h"
#include "report/report_json.h"

enum { TEXT_MAX = 64 };

static void put_seconds(struct json *j, const char *name, i128 ns)
{
    json_double(j, name, (double)ns / (double)NS_PER_S);
}

static void put_sums(struct json *j, enum row_kind kind, const struct sums *s)
{
    bool known = cost_known(kind, s);
    json_int(j, "requests", s->requests);
    json_int(j, "unpriced_requests", s->unpriced_requests);
    json_int(j, "prompt_tokens", s->prompt_tokens);
    json_int(j, "cached_prompt_tokens", s->cached_prompt_tokens);
    json_int(j, "completion_tokens", s->completion_tokens);
    json_int_known(j, "cost_nusd", known, s->cost_nusd);
    json_int_known(j, "cost_in_nusd", known, s->cost_in_nusd);
    json_int_known(j, "cost_out_nusd", known, s->cost_out_nusd);
    put_seconds(j, "gpu_seconds", s->busy_ns);
    put_seconds(j, "unpriced_gpu_seconds", s->unpriced_ns);
    json_double_known(j, "energy_j", s->has_energy, s->energy_j);
    json_bool(j, "final", !s->open);
}

static void put_value(struct json *j, const struct report *r, const struct report_row *row,
                      size_t i)
{
    const char *name = report_dim_name(r->query.by[i]);
    struct buf text;
    buf_init(&text, TEXT_MAX);
    if (r->query.by[i] == DIM_KIND) {
        json_str(j, name, str_of(row_kind_name(row->kind)));
    } else if (row->others > 0 && !(i == 0 && report_folds_by_time(&r->query))) {
        json_null(j, name);
    } else if (r->query.by[i] == DIM_HOUR || r->query.by[i] == DIM_TIME) {
        zone_format_iso(&text, r->query.zone, row->values[i].time);
        json_str(j, name, buf_view(&text));
    } else if (r->query.by[i] == DIM_DAY) {
        time_format_iso(&text, row->values[i].time);
        json_str(j, name, (struct str){text.p, sizeof("2026-11-22") - 1});
    } else {
        json_str(j, name, row->values[i].text);
    }
    buf_done(&text);
}

static void put_row_rates(struct json *j, const struct report_row *row)
{
    struct rates busy = rates_busy(&row->sums), loaded = rates_loaded(row);
    report_json_rate(j, "usd_per_mtok", busy.all);
    report_json_rate(j, "usd_per_mtok_in", busy.in);
    report_json_rate(j, "usd_per_mtok_out", busy.out);
    report_json_rate(j, "loaded_usd_per_mtok", loaded.all);
    report_json_rate(j, "loaded_usd_per_mtok_in", loaded.in);
    report_json_rate(j, "loaded_usd_per_mtok_out", loaded.out);
}

static void put_row(struct json *j, const struct report *r, const struct report_row *row)
{
    bool has_kind = false;
    json_open(j, NULL, '{');
    for (size_t i = 0; i < r->query.n_by; i++) {
        put_value(j, r, row, i);
        has_kind |= r->query.by[i] == DIM_KIND;
    }
    if (!has_kind) {
        json_str(j, "kind", str_of(row_kind_name(row->kind)));
    }
    if (row->others > 0) {
        json_int(j, "others", (i128)row->others);
    }
    put_sums(j, row->kind, &row->sums);
    json_int_known(j, "loaded_cost_nusd", cost_known(row->kind, &row->sums), row->loaded_nusd);
    if (row->kind == ROW_USAGE) {
        put_row_rates(j, row);
    }
    json_close(j, '}');
}

static void put_total(struct json *j, enum row_kind kind, const struct sums *s, bool rates)
{
    put_sums(j, kind, s);
    if (rates) {
        report_json_rate(j, "usd_per_mtok", rates_busy(s).all);
    }
}

static void put_gpus(struct json *j, const struct report *r)
{
    struct buf text;
    buf_init(&text, RECORD_TEXT_MAX + TEXT_MAX);
    json_open(j, "gpu_notes", '[');
    for (size_t i = 0; i < r->n_gpus; i++) {
        const struct report_gpu *gpu = &r->gpus[i];
        if (gpu->unattributed_ns == 0 && gpu->unpriced_ns == 0) {
            continue;
        }
        buf_clear(&text);
        report_gpu_name(&text, &gpu->key);
        json_open(j, NULL, '{');
        json_str(j, "gpu", buf_view(&text));
        json_str(j, "name", gpu->name);
        put_seconds(j, "unattributed_seconds", gpu->unattributed_ns);
        put_seconds(j, "unpriced_seconds", gpu->unpriced_ns);
        json_close(j, '}');
    }
    json_close(j, ']');
    buf_done(&text);
}

static void put_header(struct json *j, const struct report *r)
{
    json_instant(j, "from", r->empty ? INT64_MIN : r->from);
    json_instant(j, "to", r->empty ? INT64_MIN : r->to);
    json_instant(j, "final_until", r->final_until);
    json_bool(j, "provisional", r->has_open);
    json_str(j, "time_zone", str_of(r->query.zone->name));
    json_int(j, "gpus", (i128)r->n_gpus);
    json_int(j, "hosts", (i128)r->n_hosts);
    report_json_splits(j, r);
    json_open(j, "by", '[');
    for (size_t i = 0; i < r->query.n_by; i++) {
        json_str(j, NULL, str_of(report_dim_name(r->query.by[i])));
    }
    json_close(j, ']');
}

static void write_json(const struct report *r, const struct report_style *style, struct buf *b)
{
    (void)style; // both bases, always exact
    struct json j = {.b = b};
    json_open(&j, NULL, '{');
    put_header(&j, r);
    json_open(&j, "rows", '[');
    for (size_t i = 0; i < r->n_rows; i++) {
        put_row(&j, r, &r->rows[i]);
    }
    json_close(&j, ']');
    json_open(&j, "totals", '{');
    report_json_totals(&j, r, put_total);
    json_close(&j, '}');
    put_gpus(&j, r);
    json_close(&j, '}');
    buf_char(b, '\n');
}

const struct report_format format_json = {
    .name = "json",
    .help = "one object; money in integer nano-USD",
    .write = write_json,
};
