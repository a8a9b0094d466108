#include "cmd/rederive_print.h"

#include "base/decimal.h"
#include "report/digits.h"
#include "report/json.h"
#include "report/query.h"
#include "report/rates.h"
#include "report/text.h"

#define PROGRESS_EVERY_NS (200 * NS_PER_MS)
enum { DIFFERENCES_MAX = 16 << 20, LINE_MAX_BYTES = 256, NANO = 9 };

static void put_money(struct buf *b, i128 nusd)
{
    digits_grouped(b, nusd, NANO);
}

// A field of a row, by both sides.
struct pair {
    const char *name;
    int64_t stored, derived;
};

// What one side says about money; unknown is no number.
struct money {
    int64_t cost_nusd, in_nusd, out_nusd;
    bool unknown;
};

static void put_field(struct rederive_print *p, struct json *j, const char *name, struct str stored,
                      struct str derived)
{
    if (p->options->json) {
        json_open(j, name, '{');
        json_str(j, "stored", stored);
        json_str(j, "derived", derived);
        json_close(j, '}');
        return;
    }
    buf_printf(&p->differences, "    %-22s stored " STR_FMT ", derived " STR_FMT "\n", name,
               STR_ARG(stored), STR_ARG(derived));
}

static void put_json_side(struct json *j, const char *side, bool unknown, i128 v)
{
    if (unknown) {
        json_null(j, side);
    } else {
        json_int(j, side, v);
    }
}

static void put_text_side(struct buf *b, bool unknown, int64_t v)
{
    buf_init(b, LINE_MAX_BYTES);
    if (unknown) {
        buf_cstr(b, "unknown");
    } else {
        digits_grouped(b, v, 0);
    }
}

static void put_sides(struct rederive_print *p, struct json *j, const struct pair *n,
                      bool stored_unknown, bool derived_unknown)
{
    struct buf x, y;
    if (p->options->json) {
        json_open(j, n->name, '{');
        put_json_side(j, "stored", stored_unknown, n->stored);
        put_json_side(j, "derived", derived_unknown, n->derived);
        json_close(j, '}');
        return;
    }
    put_text_side(&x, stored_unknown, n->stored);
    put_text_side(&y, derived_unknown, n->derived);
    put_field(p, j, n->name, buf_view(&x), buf_view(&y));
    buf_done(&x);
    buf_done(&y);
}

static void put_numbers(struct rederive_print *p, struct json *j, const struct pair *pairs,
                        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].stored != pairs[i].derived) {
            put_sides(p, j, &pairs[i], false, false);
        }
    }
}

static void put_costs(struct rederive_print *p, struct json *j, const struct money *s,
                      const struct money *d)
{
    const struct pair pairs[] = {
        {"cost_nusd", s->cost_nusd, d->cost_nusd},
        {"cost_in_nusd", s->in_nusd, d->in_nusd},
        {"cost_out_nusd", s->out_nusd, d->out_nusd},
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        bool differ = !s->unknown && pairs[i].stored != pairs[i].derived;
        if (s->unknown != d->unknown || differ) {
            put_sides(p, j, &pairs[i], s->unknown, d->unknown);
        }
    }
}

static void put_energy(struct rederive_print *p, struct json *j, bool has_stored, double stored,
                       bool has_derived, double derived)
{
    if (has_stored == has_derived && !(stored < derived) && !(stored > derived)) {
        return;
    }
    struct buf x, y;
    buf_init(&x, LINE_MAX_BYTES);
    buf_init(&y, LINE_MAX_BYTES);
    if (has_stored) {
        buf_double(&x, stored);
    }
    if (has_derived) {
        buf_double(&y, derived);
    }
    put_field(p, j, "energy_j", has_stored ? buf_view(&x) : STR("nothing"),
              has_derived ? buf_view(&y) : STR("nothing"));
    buf_done(&x);
    buf_done(&y);
}

static struct money row_money(const struct window_row *r)
{
    struct sums sums = {0};
    sums_add_row(&sums, r);
    return (struct money){r->cost_nusd, r->cost_in_nusd, r->cost_out_nusd,
                          !cost_known(r->kind, &sums)};
}

static void put_row_fields(struct rederive_print *p, struct json *j, const struct window_row *s,
                           const struct window_row *d)
{
    struct money stored = row_money(s), derived = row_money(d);
    put_costs(p, j, &stored, &derived);
    const struct pair pairs[] = {
        {"prompt_tokens", s->prompt_tokens, d->prompt_tokens},
        {"completion_tokens", s->completion_tokens, d->completion_tokens},
        {"cached_prompt_tokens", s->cached_prompt_tokens, d->cached_prompt_tokens},
        {"requests", s->requests, d->requests},
        {"unpriced_requests", s->unpriced_requests, d->unpriced_requests},
        {"busy_ns", s->busy_ns, d->busy_ns},
        {"unpriced_ns", s->unpriced_ns, d->unpriced_ns},
        {"final", s->final, d->final},
    };
    put_numbers(p, j, pairs, ARRAY_LEN(pairs));
    put_energy(p, j, s->has_energy, s->energy_j, d->has_energy, d->energy_j);
    if (s->method != d->method) {
        put_field(p, j, "method", str_of(method_name(s->method)), str_of(method_name(d->method)));
    }
    if (!str_eq(s->site, d->site)) {
        put_field(p, j, "site", s->site, d->site);
    }
}

static void put_cost_fields(struct rederive_print *p, struct json *j, const struct usage_cost *s,
                            const struct usage_cost *d)
{
    struct money stored = {s->cost_nusd, s->cost_in_nusd, s->cost_out_nusd, !s->priced};
    struct money derived = {d->cost_nusd, d->cost_in_nusd, d->cost_out_nusd, !d->priced};
    put_costs(p, j, &stored, &derived);
    const struct pair pairs[] = {
        {"unpriced_ns", s->unpriced_ns, d->unpriced_ns},
        {"final", s->final, d->final},
    };
    put_numbers(p, j, pairs, ARRAY_LEN(pairs));
    put_energy(p, j, s->has_energy, s->energy_j, d->has_energy, d->energy_j);
    if (s->method != d->method) {
        put_field(p, j, "method", str_of(method_name(s->method)), str_of(method_name(d->method)));
    }
}

static void put_row(const struct window_row *r, struct buf *b)
{
    if (str_present(r->gpu.host)) {
        report_gpu_name(b, &r->gpu);
        buf_char(b, ' ');
    }
    buf_cstr(b, row_kind_name(r->kind));
    if (str_present(r->model)) {
        buf_printf(b, " " STR_FMT, STR_ARG(r->model));
    }
    if (str_present(r->tenant)) {
        buf_printf(b, "/" STR_FMT, STR_ARG(r->tenant));
    }
}

static void put_copy_key(const struct rederive_print *p, const struct difference *d, struct buf *b)
{
    const struct window_row *row = d->copy->copy ? d->copy->copy : d->copy->row;
    buf_printf(b, "%s ", d->level);
    zone_format(b, &p->zone, d->copy->start, cli_now(p->cli));
    buf_printf(b, " of partition %lld", (long long)d->copy->shard);
    if (row) {
        buf_cstr(b, ", first ");
        put_row(row, b);
    }
}

static void put_row_key(const struct rederive_print *p, const struct difference *d, struct buf *b)
{
    const struct window_row *r = d->ledger ? d->ledger->key : d->stored ? d->stored : d->derived;
    buf_printf(b, "%s ", d->level);
    zone_format(b, &p->zone, r->window_start, cli_now(p->cli));
    buf_char(b, ' ');
    put_row(r, b);
}

static void put_key(const struct rederive_print *p, const struct difference *d, struct buf *b)
{
    const struct usage_cost *c = d->derived_cost ? d->derived_cost : d->stored_cost;
    if (c == NULL) {
        d->copy ? put_copy_key(p, d, b) : put_row_key(p, d, b);
        return;
    }
    buf_printf(b, "request " STR_FMT " of ", STR_ARG(c->event_id));
    zone_format(b, &p->zone, c->ts, cli_now(p->cli));
}

static void put_what(struct rederive_print *p, struct json *j, const char *what)
{
    if (p->options->json) {
        json_str(j, "what", str_of(what));
    } else {
        buf_printf(&p->differences, "    %s\n", what);
    }
}

static void put_ledger_fields(struct rederive_print *p, struct json *j, const struct ledger_row *d)
{
    static const struct window_row none = {0};
    const struct window_row *s = d->stored ? d->stored : &none, *told = d->told;
    if (told == NULL) {
        put_what(p, j, "was corrected, but what it said when its month was closed is not there");
        return;
    }
    const struct pair pairs[] = {
        {"cost_nusd", s->cost_nusd, told->cost_nusd},
        {"cost_in_nusd", s->cost_in_nusd, told->cost_in_nusd},
        {"cost_out_nusd", s->cost_out_nusd, told->cost_out_nusd},
        {"prompt_tokens", s->prompt_tokens, told->prompt_tokens},
        {"completion_tokens", s->completion_tokens, told->completion_tokens},
        {"cached_prompt_tokens", s->cached_prompt_tokens, told->cached_prompt_tokens},
        {"requests", s->requests, told->requests},
        {"unpriced_requests", s->unpriced_requests, told->unpriced_requests},
        {"busy_ns", s->busy_ns, told->busy_ns},
        {"unpriced_ns", s->unpriced_ns, told->unpriced_ns},
    };
    put_numbers(p, j, pairs, ARRAY_LEN(pairs));
}

static void put_copy_fields(struct rederive_print *p, struct json *j, const struct store_copy *c)
{
    static const char *const faults[] = {
        [COPY_MISSING] = "is missing: its rows are there, but not packed",
        [COPY_SUPERFLUOUS] = "is there, but has no rows",
        [COPY_DAMAGED] = "is damaged: it cannot be read",
        [COPY_DIFFERENT] = "is packed otherwise than its rows say",
    };
    put_what(p, j, faults[c->fault]);
    if (c->fault == COPY_DIFFERENT && c->copy && c->row) {
        put_row_fields(p, j, c->copy, c->row);
    }
}

static void put_difference(struct rederive_print *p, struct json *j, const struct difference *d)
{
    if (d->copy) {
        put_copy_fields(p, j, d->copy);
        return;
    }
    if (d->ledger) {
        put_ledger_fields(p, j, d->ledger);
        return;
    }
    bool stored = d->stored || d->stored_cost, derived = d->derived || d->derived_cost;
    if (!stored || !derived) {
        put_what(p, j,
                 stored ? "is stored, but does not follow from the raw records"
                        : "follows from the raw records, but is not stored");
    } else if (d->stored) {
        put_row_fields(p, j, d->stored, d->derived);
    } else {
        put_cost_fields(p, j, d->stored_cost, d->derived_cost);
    }
}

static void on_difference(void *ctx, const struct difference *d)
{
    struct rederive_print *p = ctx;
    struct buf key;
    struct json j = {.b = &p->differences, .comma = p->n++ > 0};
    buf_init(&key, DIFFERENCES_MAX);
    put_key(p, d, &key);
    if (p->options->json) {
        json_open(&j, NULL, '{');
        json_str(&j, "row", buf_view(&key));
        put_difference(p, &j, d);
        json_close(&j, '}');
    } else {
        struct str clean = text_clean(&p->cli->arena, buf_view(&key));
        buf_printf(&p->differences, "  " STR_FMT "\n", STR_ARG(clean));
        put_difference(p, &j, d);
    }
    buf_done(&key);
}

static void on_progress(void *ctx, const struct rederive_progress *r)
{
    struct rederive_print *p = ctx;
    struct mono now = clock_mono(p->cli->clock);
    if (p->shown.ns != 0 && now.ns - p->shown.ns < PROGRESS_EVERY_NS) {
        return;
    }
    p->shown = now;
    struct buf b;
    double part = r->to > r->from ? (double)(r->done - r->from) / (double)(r->to - r->from) : 1;
    double passed = (double)(now.ns - p->began.ns) / (double)NS_PER_S;
    buf_init(&b, LINE_MAX_BYTES);
    buf_printf(&b, "%s: %.0f %% · ", p->verb, 100 * part);
    digits_count(&b, (int64_t)r->records, "record");
    if (passed > 1 && part > 0) {
        buf_cstr(&b, " · ");
        digits_grouped(&b, (i128)((double)r->records / passed), 0);
        buf_cstr(&b, "/s · ");
        digits_duration(&b, (int64_t)(passed * (1 - part) / part * (double)NS_PER_S));
        buf_cstr(&b, " left");
    }
    cli_progress(p->cli, buf_view(&b).p);
    buf_done(&b);
}

int rederive_begin(struct rederive_print *p, struct cli *cli, const struct rederive_options *o,
                   const char *verb, struct rederive_config *c)
{
    *p = (struct rederive_print){.cli = cli, .options = o, .verb = verb};
    p->began = clock_mono(cli->clock);
    buf_init(&p->differences, DIFFERENCES_MAX);
    int status = cli_zone(cli, o->tz, &p->zone);
    if (status != 0) {
        return status;
    }
    *c = (struct rederive_config){
        .store = o->store,
        .from = time_spec_resolve(&o->since, &p->zone, cli_now(cli), 0),
        .to = time_spec_resolve(&o->until, &p->zone, cli_now(cli), TIME_MAX),
        .max_differences = (size_t)o->show,
        .difference = on_difference,
        .progress = cli->err_terminal.is_terminal ? on_progress : NULL,
        .ctx = p,
    };
    return c->from < c->to ? 0 : cli_misuse(cli, "--since must be before --until");
}

void rederive_end(struct rederive_print *p)
{
    cli_progress(p->cli, NULL);
    buf_done(&p->differences);
}

void rederive_put_range(const struct rederive_print *p, const struct rederive_result *r,
                        struct buf *b)
{
    int64_t now = cli_now(p->cli);
    zone_format(b, &p->zone, r->from, now);
    buf_cstr(b, " to ");
    zone_format_near(b, &p->zone, r->to, r->from, now);
    buf_printf(b, " %s: ", p->zone.name);
    digits_count(b, (int64_t)r->requests, "request");
    buf_cstr(b, ", ");
    digits_count(b, (int64_t)r->gpus, "GPU");
    buf_cstr(b, ", ");
    digits_count(b, (int64_t)r->windows, "window");
}

// Nothing at all has a price: there is no bill, rather than one of 0.
static bool nothing_priced(const struct rederive_result *r)
{
    return r->bill_nusd == 0 && (r->unpriced_ns > 0 || r->unpriced_requests > 0);
}

void rederive_put_money(const struct rederive_result *r, struct buf *b)
{
    const struct {
        const char *name;
        i128 nusd;
    } lines[] = {
        {"bill", r->bill_nusd},
        {"requests", r->requests_nusd},
        {"idle", r->idle_nusd},
        {"unattributed", r->unattributed_nusd},
        {"difference", r->bill_nusd - r->requests_nusd - r->idle_nusd - r->unattributed_nusd},
    };
    struct buf amounts[ARRAY_LEN(lines)];
    size_t width = 0;
    bool unknown = nothing_priced(r);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        buf_init(&amounts[i], LINE_MAX_BYTES);
        if (lines[i].nusd == 0 && unknown) {
            buf_char(&amounts[i], '-');
        } else {
            put_money(&amounts[i], lines[i].nusd);
        }
        width = MAX(width, amounts[i].n);
    }
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        buf_printf(b, "  %-14s %*s\n", lines[i].name, (int)width, amounts[i].p);
        buf_done(&amounts[i]);
    }
}

void rederive_put_packs(const struct rederive_result *r, struct buf *b)
{
    digits_grouped(b, (i128)r->packs_different, 0);
    buf_cstr(b, r->packs_different == 1 ? " packed hour or day is" : " packed hours or days are");
    buf_cstr(b, " not what the rows say");
}

static void put_result_json(const struct rederive_result *r, struct json *j)
{
    if (r->from < r->to) {
        json_time(j, "from", r->from);
        json_time(j, "to", r->to);
    } else { // nothing is final yet
        json_null(j, "from");
        json_null(j, "to");
    }
    json_int(j, "requests", (i128)r->requests);
    json_int(j, "gpus", (i128)r->gpus);
    json_int(j, "windows", (i128)r->windows);
    bool unknown = nothing_priced(r);
    put_json_side(j, "bill_nusd", unknown, r->bill_nusd);
    put_json_side(j, "requests_nusd", unknown, r->requests_nusd);
    put_json_side(j, "idle_nusd", unknown, r->idle_nusd);
    put_json_side(j, "unattributed_nusd", unknown, r->unattributed_nusd);
    json_int(j, "unpriced_requests", (i128)r->unpriced_requests);
    json_int(j, "unplaced_requests", (i128)r->unplaced_requests);
    json_int(j, "unpriced_ns", r->unpriced_ns);
    json_int(j, "rows_equal", (i128)r->rows_equal);
    json_int(j, "rows_different", (i128)r->rows_different);
    json_int(j, "packs_different", (i128)r->packs_different);
}

void rederive_put_json(struct rederive_print *p, const struct rederive_result *r, struct buf *b)
{
    struct json j = {.b = b};
    json_open(&j, NULL, '{');
    put_result_json(r, &j);
    if (p->ledger) {
        json_int(&j, "ledger_equal", (i128)r->ledger_equal);
        json_int(&j, "ledger_different", (i128)r->ledger_different);
    }
    json_open(&j, "differences", '[');
    buf_str(b, buf_view(&p->differences));
    json_close(&j, ']');
    json_close(&j, '}');
    buf_char(b, '\n');
}
