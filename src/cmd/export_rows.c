// Computed rows and the small collections.
#include "cmd/export_rows.h"

#include <errno.h>

#include "model/fields.h"
#include "report/rates.h"

enum { USD_SCALE = 9 };

bool export_titles_begin(struct export *x)
{
    x->emitter.titles = x->emitter.format == EMIT_CSV;
    return x->emitter.titles;
}

void export_titles_end(struct export *x)
{
    x->emitter.titles = false;
}

int export_failed(int code, struct error *err)
{
    return error_set(err, code, "standard output: %s", error_name(code));
}

static int put_window(struct emitter *e, const struct window_row *r)
{
    bool placed = str_present(r->gpu.host);
    struct sums sums = {0};
    sums_add_row(&sums, r);
    bool costed = cost_known(r->kind, &sums);
    emit_begin(e);
    emit_time(e, "window_start", r->window_start);
    emit_str(e, "host", r->gpu.host);
    emit_maybe(e, "gpu_index", placed, r->gpu.index);
    emit_maybe(e, "gpu_instance", placed && r->gpu.instance != GPU_INSTANCE_NONE, r->gpu.instance);
    emit_str(e, "site", r->site);
    emit_str(e, "kind", str_of(row_kind_name(r->kind)));
    emit_str(e, "model", r->model);
    emit_str(e, "tenant", r->tenant);
    emit_maybe(e, "cost_nusd", costed, r->cost_nusd);
    emit_maybe(e, "cost_in_nusd", costed, r->cost_in_nusd);
    emit_maybe(e, "cost_out_nusd", costed, r->cost_out_nusd);
    emit_int(e, "prompt_tokens", r->prompt_tokens);
    emit_int(e, "completion_tokens", r->completion_tokens);
    emit_int(e, "cached_prompt_tokens", r->cached_prompt_tokens);
    emit_int(e, "requests", r->requests);
    emit_int(e, "unpriced_requests", r->unpriced_requests);
    emit_int(e, "busy_ns", r->busy_ns);
    emit_double(e, "energy_j", r->has_energy, r->energy_j);
    emit_int(e, "unpriced_ns", r->unpriced_ns);
    emit_bool(e, "final", r->final);
    emit_int(e, "revision", r->revision);
    emit_str(e, "method", str_of(method_name(r->method)));
    return emit_end(e);
}

int export_cost_windows(struct export *x, struct error *err)
{
    struct window_row row = {0};
    struct store_cursor *cursor;
    struct window_query q = {x->level, x->from, x->to, .shard = -1};
    int r = export_titles_begin(x) ? put_window(&x->emitter, &row) : 0;
    export_titles_end(x);
    if (r < 0) {
        return export_failed(r, err);
    }
    r = store_windows(x->store, &q, &cursor, err);
    if (r < 0) {
        return r;
    }
    int written = 0;
    while (written == 0 && (r = store_windows_next(cursor, &row, err)) > 0) {
        written = put_window(&x->emitter, &row);
        export_wrote(x, row.window_start);
    }
    store_cursor_close(cursor);
    return written < 0 ? export_failed(written, err) : r;
}

static int put_dead_letter(struct emitter *e, const struct dead_letter *d)
{
    emit_begin(e);
    emit_time(e, "at", d->at);
    emit_str(e, "origin", d->origin);
    emit_int(e, "position", d->position);
    emit_str(e, "reason", d->reason);
    emit_str(e, "payload", d->payload);
    return emit_end(e);
}

int export_dead_letters(struct export *x, struct error *err)
{
    struct dead_letter letter = {0};
    struct store_cursor *cursor;
    int r = export_titles_begin(x) ? put_dead_letter(&x->emitter, &letter) : 0;
    export_titles_end(x);
    if (r < 0) {
        return export_failed(r, err);
    }
    r = store_dead_letters(x->store, x->from, x->to, &cursor, err);
    if (r < 0) {
        return r;
    }
    int written = 0;
    while (written == 0 && (r = store_dead_letters_next(cursor, &letter, err)) > 0) {
        written = put_dead_letter(&x->emitter, &letter);
    }
    store_cursor_close(cursor);
    return written < 0 ? export_failed(written, err) : r;
}

static int put_price(struct emitter *e, const struct price_entry *p)
{
    emit_begin(e);
    emit_int(e, "id", p->id);
    emit_str(e, "name", p->name);
    emit_str(e, "site", p->site);
    emit_decimal(e, "price_per_hour_usd", true, p->price_nusd_hour, USD_SCALE);
    emit_time(e, "effective_from", p->effective_from);
    emit_time(e, "added_at", p->added_at);
    emit_str(e, "source", p->source);
    return emit_end(e);
}

int export_price_book(struct export *x, struct error *err)
{
    struct price_book book;
    int r = store_prices(x->store, x->arena, &book, err);
    if (r < 0) {
        return r;
    }
    r = export_titles_begin(x) ? put_price(&x->emitter, &(struct price_entry){0}) : 0;
    export_titles_end(x);
    for (size_t i = 0; i < book.n && r == 0; i++) {
        r = put_price(&x->emitter, &book.entries[i]);
    }
    return r < 0 ? export_failed(r, err) : 0;
}

static int put_gpu(struct emitter *e, const struct gpu_info *g)
{
    const struct gpu_sample *s = &g->newest;
    emit_begin(e);
    emit_str(e, "host", s->gpu.host);
    emit_int(e, "gpu_index", s->gpu.index);
    emit_maybe(e, "gpu_instance", s->gpu.instance != GPU_INSTANCE_NONE, s->gpu.instance);
    emit_time(e, "first_seen", g->first_seen);
    emit_time(e, "last_seen", s->ts);
    emit_str(e, "name", s->name);
    emit_str(e, "uuid", s->uuid);
    emit_str(e, "mig_profile", s->mig_profile);
    emit_str(e, "source", s->source);
    emit_str(e, "site", s->site);
    emit_double(e, "utilization", s->has & SAMPLE_UTILIZATION, s->utilization);
    emit_double(e, "mem_used_mb", s->has & SAMPLE_MEM_USED, s->mem_used_mb);
    emit_double(e, "mem_total_mb", s->has & SAMPLE_MEM_TOTAL, s->mem_total_mb);
    emit_double(e, "power_w", s->has & SAMPLE_POWER, s->power_w);
    emit_double(e, "temperature_c", s->has & SAMPLE_TEMPERATURE, s->temperature_c);
    emit_double(e, "sm_clock_mhz", s->has & SAMPLE_SM_CLOCK, s->sm_clock_mhz);
    emit_decimal(e, "price_per_hour_usd", s->has & SAMPLE_PRICE, s->price_nusd_hour, USD_SCALE);
    return emit_end(e);
}

int export_gpus(struct export *x, struct error *err)
{
    struct gpu_info *gpus;
    size_t n;
    int r = store_gpus(x->store, x->arena, &gpus, &n, err);
    if (r < 0) {
        return r;
    }
    r = export_titles_begin(x) ? put_gpu(&x->emitter, &(struct gpu_info){0}) : 0;
    export_titles_end(x);
    for (size_t i = 0; i < n && r == 0; i++) {
        r = put_gpu(&x->emitter, &gpus[i]);
    }
    return r < 0 ? export_failed(r, err) : 0;
}

static int put_settings(struct emitter *e, const struct settings *s)
{
    emit_begin(e);
    emit_time(e, "effective_from", s->effective_from);
    emit_int(e, "window_ns", s->window_ns);
    emit_int(e, "max_gap_ns", s->max_gap_ns);
    emit_int(e, "gpu_timeout_ns", s->gpu_timeout_ns);
    emit_int(e, "horizon_ns", s->horizon_ns);
    emit_decimal(e, "price_per_hour_usd", s->default_price_nusd != PRICE_NONE,
                 s->default_price_nusd, USD_SCALE);
    emit_int(e, "weight_in", s->weight_in);
    emit_int(e, "weight_out", s->weight_out);
    emit_str(e, "method", str_of(method_name(s->method)));
    return emit_end(e);
}

int export_settings(struct export *x, struct error *err)
{
    struct settings_history history;
    int r = store_settings(x->store, x->arena, &history, err);
    if (r < 0) {
        return r;
    }
    r = export_titles_begin(x) ? put_settings(&x->emitter, &settings_default) : 0;
    export_titles_end(x);
    for (size_t i = 0; i < history.n && r == 0; i++) {
        r = put_settings(&x->emitter, &history.epochs[i]);
    }
    return r < 0 ? export_failed(r, err) : 0;
}
