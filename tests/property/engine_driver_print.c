// Rows and costs as JSON lines, in canonical order.
#include "engine_driver.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

static void print_i64(struct driver *d, const char *name, int64_t v)
{
    buf_printf(&d->out, ",\"%s\":%" PRId64, name, v);
}

static void print_str(struct driver *d, const char *name, struct str s)
{
    buf_printf(&d->out, ",\"%s\":", name);
    buf_json_str(&d->out, s);
}

static void print_energy(struct driver *d, bool known, double joules)
{
    buf_cstr(&d->out, ",\"energy\":");
    if (known) {
        buf_double(&d->out, joules);
    } else {
        buf_cstr(&d->out, "null");
    }
}

static void print_row(struct driver *d, const struct window_row *r)
{
    buf_printf(&d->out, "{\"is\":\"row\",\"window_start\":%" PRId64, r->window_start);
    print_str(d, "host", r->gpu.host);
    print_i64(d, "index", r->gpu.index);
    print_i64(d, "instance", r->gpu.instance);
    print_str(d, "kind", str_of(row_kind_name(r->kind)));
    print_str(d, "model", r->model);
    print_str(d, "tenant", r->tenant);
    print_str(d, "site", r->site);
    print_str(d, "method", str_of(method_name(r->method)));
    print_i64(d, "cost", r->cost_nusd);
    print_i64(d, "cost_in", r->cost_in_nusd);
    print_i64(d, "cost_out", r->cost_out_nusd);
    print_i64(d, "prompt_tokens", r->prompt_tokens);
    print_i64(d, "completion_tokens", r->completion_tokens);
    print_i64(d, "cached_prompt_tokens", r->cached_prompt_tokens);
    print_i64(d, "requests", r->requests);
    print_i64(d, "unpriced_requests", r->unpriced_requests);
    print_i64(d, "busy_ns", r->busy_ns);
    print_i64(d, "unpriced_ns", r->unpriced_ns);
    print_energy(d, r->has_energy, r->energy_j);
    print_i64(d, "final", r->final);
    print_i64(d, "revision", r->revision);
    buf_cstr(&d->out, "}\n");
}

static void print_cost(struct driver *d, const struct usage_cost *c)
{
    buf_printf(&d->out, "{\"is\":\"cost\",\"ts\":%" PRId64, c->ts);
    print_str(d, "event_id", c->event_id);
    print_str(d, "method", str_of(method_name(c->method)));
    print_i64(d, "priced", c->priced);
    print_i64(d, "cost", c->cost_nusd);
    print_i64(d, "cost_in", c->cost_in_nusd);
    print_i64(d, "cost_out", c->cost_out_nusd);
    print_i64(d, "unpriced_ns", c->unpriced_ns);
    print_energy(d, c->has_energy, c->energy_j);
    print_i64(d, "final", c->final);
    print_i64(d, "late", c->late);
    print_i64(d, "revision", c->revision);
    buf_cstr(&d->out, "}\n");
}

static void print_instant(struct driver *d, const char *name, int64_t t)
{
    if (t == INT64_MIN) {
        buf_printf(&d->out, ",\"%s\":null", name);
    } else {
        print_i64(d, name, t);
    }
}

static void print_end(struct driver *d, struct str label)
{
    const struct engine *e = driver_engine(d);
    const struct time_range *dirty;
    size_t n = engine_dirty(e, &dirty);
    buf_cstr(&d->out, "{\"is\":\"end\"");
    print_str(d, "label", label);
    print_instant(d, "frontier", engine_frontier(e));
    print_instant(d, "newest", engine_newest(e));
    buf_cstr(&d->out, ",\"dirty\":[");
    for (size_t i = 0; i < n; i++) {
        buf_printf(&d->out, "%s[%" PRId64 ",%" PRId64 "]", i ? "," : "", dirty[i].from,
                   dirty[i].to);
    }
    buf_cstr(&d->out, "]}\n");
    if (!buf_ok(&d->out)) {
        die("too much output");
    }
    fwrite(d->out.p, 1, d->out.n, stdout);
    fflush(stdout);
    buf_clear(&d->out);
}

static int compare_rows(const void *a, const void *b)
{
    return window_row_cmp(a, b);
}

static int compare_costs(const void *a, const void *b, void *ctx)
{
    const struct usage_cost *x = a, *y = b;
    const struct driver *d = ctx;
    int64_t sx = usage_start(&driver_record(d, x->seq)->usage);
    int64_t sy = usage_start(&driver_record(d, y->seq)->usage);
    if (x->ts != y->ts) {
        return x->ts < y->ts ? -1 : 1;
    }
    if (sx != sy) {
        return sx < sy ? -1 : 1;
    }
    return str_cmp(x->event_id, y->event_id);
}

void driver_dump(struct driver *d, struct str label)
{
    qsort(d->rows.v, d->rows.n, sizeof(*d->rows.v), compare_rows);
    for (size_t i = 0; i < d->rows.n; i++) {
        print_row(d, &d->rows.v[i]);
    }
    struct usage_cost *costs = x_array(d->n_records + 1, sizeof(*costs));
    size_t n = 0;
    for (size_t i = 0; i < d->n_records; i++) {
        if (d->costs[i].seq != 0) {
            costs[n++] = d->costs[i];
        }
    }
    qsort_r(costs, n, sizeof(*costs), compare_costs, d);
    for (size_t i = 0; i < n; i++) {
        print_cost(d, &costs[i]);
    }
    free(costs);
    print_end(d, label);
}

static void previewed_row(void *ctx, const struct window_row *row)
{
    print_row(ctx, row);
}

void driver_preview(struct driver *d, struct str label)
{
    engine_preview(driver_engine(d), &(struct engine_sink){.row = previewed_row, .ctx = d});
    print_end(d, label);
}
