// A model as one JSON object.
#include "report/report_json.h"
#include "top/top.h"

static void put_hourly(struct json *j, const char *name, const struct top_model *m, bool known,
                       i128 nusd)
{
    double hours = (double)m->span_ns / (double)NS_PER_HOUR;
    json_double_known(j, name, known && hours > 0, (double)nusd / 1e9 / hours);
}

static void put_head(struct json *j, const struct top_model *m)
{
    const struct top_snapshot *s = m->snapshot;
    const struct report *r = &s->groups;
    json_time(j, "at", s->at);
    json_str(j, "window", str_of(top_window_name(s->ask.window)));
    json_time(j, "from", s->from);
    json_time(j, "to", s->to);
    json_double(j, "seconds", (double)m->span_ns / (double)NS_PER_S);
    json_instant(j, "final_until", s->final_until);
    json_bool(j, "provisional", r->bill.open);
    json_str(j, "by", str_of(top_group_name(s->ask.group)));
    put_hourly(j, "usd_per_hour", m, m->known, r->bill.cost_nusd);
    report_json_rate(j, "usd_per_mtok", m->loaded);
    json_double(j, "busy_share", m->busy);
    put_hourly(j, "idle_usd_per_hour", m, m->known && cost_known(ROW_IDLE, &r->kinds[ROW_IDLE]),
               r->kinds[ROW_IDLE].cost_nusd);
}

static void put_totals(struct json *j, const struct top_model *m)
{
    const struct report *r = &m->snapshot->groups;
    static const char *const names[] = {"requests_nusd", "idle_nusd", "unattributed_nusd"};
    json_open(j, "totals", '{');
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        json_int_known(j, names[i], cost_known((enum row_kind)i, &r->kinds[i]),
                       r->kinds[i].cost_nusd);
    }
    json_int_known(j, "bill_nusd", cost_known(ROW_USAGE, &r->bill), r->bill.cost_nusd);
    json_int(j, "requests", r->kinds[ROW_USAGE].requests);
    json_int(j, "unplaced_requests", r->kinds[ROW_UNPLACED].requests);
    json_close(j, '}');
}

static void put_gpu(struct json *j, const struct top_model *m, const struct top_gpu_line *l)
{
    const struct top_gpu *g = l->gpu;
    bool now = !l->silent && !l->ahead;
    json_open(j, NULL, '{');
    json_str(j, "gpu", g->label);
    json_str(j, "name", g->name);
    json_bool(j, "silent", l->silent);
    json_instant(j, "last_seen", g->last_seen);
    json_double_known(j, "utilization", now && (g->has & SAMPLE_UTILIZATION), g->utilization);
    json_double_known(j, "mem_used_mb", now && (g->has & SAMPLE_MEM_USED), g->mem_used_mb);
    json_double_known(j, "mem_total_mb", g->has & SAMPLE_MEM_TOTAL, g->mem_total_mb);
    json_double_known(j, "power_w", now && (g->has & SAMPLE_POWER), g->power_w);
    json_int_known(j, "price_per_hour_nusd", g->price_nusd_hour != PRICE_NONE, g->price_nusd_hour);
    json_int_known(j, "cost_nusd", l->known, l->bill.cost_nusd);
    put_hourly(j, "usd_per_hour", m, l->known, l->bill.cost_nusd);
    report_json_rate(j, "usd_per_mtok", rates_busy(&l->parts[ROW_USAGE]).all);
    report_json_rate(j, "loaded_usd_per_mtok", rates_busy(&l->bill).all);
    json_close(j, '}');
}

static void put_row(struct json *j, const struct top_model *m, const struct top_line *l)
{
    enum report_dim dims[2];
    size_t n = top_group_dims(m->snapshot->ask.group, dims);
    const struct sums *s = &l->row->sums;
    json_open(j, NULL, '{');
    for (size_t i = 0; i < n; i++) {
        json_str(j, report_dim_name(dims[i]), l->names[i]);
    }
    json_int(j, "requests", s->requests);
    json_int(j, "prompt_tokens", s->prompt_tokens);
    json_int(j, "cached_prompt_tokens", s->cached_prompt_tokens);
    json_int(j, "completion_tokens", s->completion_tokens);
    json_int_known(j, "cost_nusd", l->known, s->cost_nusd);
    json_int_known(j, "loaded_cost_nusd", l->known, l->row->loaded_nusd);
    report_json_rate(j, "usd_per_mtok", rates_busy(s).all);
    report_json_rate(j, "loaded_usd_per_mtok", rates_loaded(l->row).all);
    put_hourly(j, "usd_per_hour", m, l->known, s->cost_nusd);
    json_bool(j, "final", !s->open);
    json_close(j, '}');
}

void top_json(const struct top_model *m, struct buf *b)
{
    struct json j = {.b = b};
    json_open(&j, NULL, '{');
    put_head(&j, m);
    put_totals(&j, m);
    json_open(&j, "gpus", '[');
    for (size_t i = 0; i < m->n_gpus; i++) {
        put_gpu(&j, m, &m->gpus[i]);
    }
    json_close(&j, ']');
    json_open(&j, "rows", '[');
    for (size_t i = 0; i < m->n_lines; i++) {
        put_row(&j, m, &m->lines[i]);
    }
    json_close(&j, ']');
    json_open(&j, "notes", '[');
    for (size_t i = 0; i < m->n_notes; i++) {
        json_str(&j, NULL, m->notes[i]);
    }
    json_close(&j, ']');
    json_close(&j, '}');
    buf_char(b, '\n');
}
