// One line a row, idle and unattributed time included: cost_usd and loaded_cost_usd each add up to
// the bill. Unknown is empty.
#include "base/decimal.h"
#include "report/csv.h"
#include "report/format.h"
#include "report/rates.h"

enum { FIELD_MAX = 4096, NANO = 9 };

struct csv_line {
    struct buf *b;
    struct buf text; // scratch
    bool first;
};

static void field(struct csv_line *l, struct str text)
{
    csv_field(l->b, l->first, text);
    l->first = false;
}

static void field_text(struct csv_line *l)
{
    field(l, buf_view(&l->text));
    buf_clear(&l->text);
}

static void field_int(struct csv_line *l, i128 v)
{
    decimal_format_i128(&l->text, v, 0);
    field_text(l);
}

static void field_nano(struct csv_line *l, bool known, i128 v)
{
    if (known) {
        decimal_format_i128(&l->text, v, NANO);
    }
    field_text(l);
}

static void field_rate(struct csv_line *l, struct rate r)
{
    if (r.known) {
        buf_double(&l->text, r.usd_per_mtok);
    }
    field_text(l);
}

static void value(struct csv_line *l, const struct report *r, const struct report_row *row,
                  size_t i)
{
    enum report_dim dim = r->query.by[i];
    if (dim == DIM_KIND) {
        buf_cstr(&l->text, row_kind_name(row->kind));
    } else if (row->others > 0 && !(i == 0 && report_folds_by_time(&r->query))) {
        if (i == (size_t)report_folds_by_time(&r->query)) {
            report_others_name(&l->text, row->others);
        }
    } else if (dim == DIM_HOUR || dim == DIM_TIME) {
        zone_format_iso(&l->text, r->query.zone, row->values[i].time);
    } else if (dim == DIM_DAY) {
        time_format_iso(&l->text, row->values[i].time);
        l->text.n = MIN(l->text.n, sizeof("2026-11-22") - 1);
    } else {
        csv_foreign(l->b, l->first, row->values[i].text);
        l->first = false;
        return;
    }
    field_text(l);
}

static bool has_kind(const struct report *r)
{
    for (size_t i = 0; i < r->query.n_by; i++) {
        if (r->query.by[i] == DIM_KIND) {
            return true;
        }
    }
    return false;
}

static void titles(struct csv_line *l, const struct report *r)
{
    static const char *const sums[] = {
        "requests",
        "unpriced_requests",
        "prompt_tokens",
        "cached_prompt_tokens",
        "completion_tokens",
        "cost_usd",
        "cost_in_usd",
        "cost_out_usd",
        "loaded_cost_usd",
        "usd_per_mtok",
        "usd_per_mtok_in",
        "usd_per_mtok_out",
        "loaded_usd_per_mtok",
        "gpu_seconds",
        "unpriced_gpu_seconds",
        "energy_j",
        "final",
    };
    l->first = true;
    for (size_t i = 0; i < r->query.n_by; i++) {
        field(l, str_of(report_dim_name(r->query.by[i])));
    }
    if (!has_kind(r)) {
        field(l, STR("kind"));
    }
    for (size_t i = 0; i < ARRAY_LEN(sums); i++) {
        field(l, str_of(sums[i]));
    }
    csv_end(l->b);
}

static void costs(struct csv_line *l, const struct report_row *row)
{
    const struct sums *s = &row->sums;
    bool known = cost_known(row->kind, s);
    struct rates busy = rates_busy(s);
    field_nano(l, known, s->cost_nusd);
    field_nano(l, known, s->cost_in_nusd);
    field_nano(l, known, s->cost_out_nusd);
    field_nano(l, known, row->loaded_nusd);
    bool has_rates = row->kind == ROW_USAGE;
    field_rate(l, has_rates ? busy.all : (struct rate){0});
    field_rate(l, has_rates ? busy.in : (struct rate){0});
    field_rate(l, has_rates ? busy.out : (struct rate){0});
    field_rate(l, has_rates ? rates_loaded(row).all : (struct rate){0});
}

static void line(struct csv_line *l, const struct report *r, const struct report_row *row)
{
    const struct sums *s = &row->sums;
    l->first = true;
    for (size_t i = 0; i < r->query.n_by; i++) {
        value(l, r, row, i);
    }
    if (!has_kind(r)) {
        field(l, str_of(row_kind_name(row->kind)));
    }
    field_int(l, s->requests);
    field_int(l, s->unpriced_requests);
    field_int(l, s->prompt_tokens);
    field_int(l, s->cached_prompt_tokens);
    field_int(l, s->completion_tokens);
    costs(l, row);
    field_nano(l, true, s->busy_ns);
    field_nano(l, true, s->unpriced_ns);
    if (s->has_energy) {
        buf_double(&l->text, s->energy_j);
    }
    field_text(l);
    field(l, s->open ? STR("false") : STR("true"));
    csv_end(l->b);
}

static void write_csv(const struct report *r, const struct report_style *style, struct buf *b)
{
    (void)style; // always exact
    struct csv_line l = {.b = b};
    buf_init(&l.text, FIELD_MAX);
    titles(&l, r);
    for (size_t i = 0; i < r->n_rows; i++) {
        line(&l, r, &r->rows[i]);
    }
    buf_done(&l.text);
}

const struct report_format format_csv = {
    .name = "csv",
    .help = "RFC 4180, one line a group and kind of time; exact",
    .write = write_csv,
};
