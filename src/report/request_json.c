#include "report/request_json.h"

#include "base/time.h"
#include "report/query.h"

enum { GPU_TEXT_MAX = 8192, SENTENCE_MAX = 8192 };

void json_gpu(struct json *j, const char *name, const struct gpu_key *gpu)
{
    struct buf text;
    buf_init(&text, GPU_TEXT_MAX);
    report_gpu_name(&text, gpu);
    json_str(j, name, buf_view(&text));
    buf_done(&text);
}

static void put_ms(struct json *j, const char *name, bool known, int64_t ns)
{
    if (known) {
        json_double(j, name, (double)ns / (double)NS_PER_MS);
    } else {
        json_null(j, name);
    }
}

static void put_energy(struct json *j, bool known, double joules)
{
    if (known) {
        json_double(j, "energy_j", joules);
    } else {
        json_null(j, "energy_j");
    }
}

static void put_who(struct json *j, const struct record *r)
{
    const struct usage_record *u = &r->usage;
    json_str(j, "event_id", r->event_id);
    json_str(j, "request_id", u->request_id);
    json_time(j, "ts", u->ts);
    json_time(j, "start", usage_start(u));
    json_str(j, "model", u->model);
    json_str(j, "tenant", u->tenant);
    json_str(j, "host", u->host);
    json_open(j, "gpus", '[');
    for (uint32_t i = 0; i < u->n_gpus; i++) {
        const struct gpu_key gpu = {u->host, u->gpus[i], u->gpu_instance};
        json_gpu(j, NULL, &gpu);
    }
    json_close(j, ']');
    json_str(j, "site", u->site);
}

static void put_counts(struct json *j, const struct usage_record *u)
{
    json_int(j, "requests", u->requests);
    json_int(j, "prompt_tokens", u->prompt_tokens);
    json_int(j, "completion_tokens", u->completion_tokens);
    json_int(j, "cached_prompt_tokens", u->cached_prompt_tokens);
    put_ms(j, "latency_ms", true, u->latency_ns);
    put_ms(j, "ttft_ms", u->has & USAGE_TTFT, u->ttft_ns);
}

static void put_cost(struct json *j, const struct stored_record *r)
{
    const struct usage_record *u = &r->record.usage;
    const struct usage_cost *c = &r->cost;
    bool known = c->seq > 0 && c->priced;
    int64_t tokens = u->prompt_tokens + u->completion_tokens;
    json_money(j, "cost", known, c->cost_nusd);
    json_money(j, "cost_in", known, c->cost_in_nusd);
    json_money(j, "cost_out", known, c->cost_out_nusd);
    if (known && tokens > 0) {
        json_double(j, "cost_per_token", (double)c->cost_nusd / 1e9 / (double)tokens);
    } else {
        json_null(j, "cost_per_token");
    }
    put_energy(j, c->has_energy, c->energy_j);
    json_int(j, "unpriced_ns", c->unpriced_ns);
    json_bool(j, "final", c->final);
    json_bool(j, "late", c->late);
    json_int(j, "revision", c->revision);
    json_str(j, "method", c->seq > 0 ? str_of(method_name(c->method)) : STR_NONE);
}

static void put_members(struct json *j, const struct stored_record *r)
{
    put_who(j, &r->record);
    put_counts(j, &r->record.usage);
    put_cost(j, r);
}

void json_request(struct json *j, const char *name, const struct stored_record *r)
{
    json_open(j, name, '{');
    put_members(j, r);
    json_close(j, '}');
}

// ---- explanations --------------------------------------------------------------------------

static void put_windows(struct json *j, const struct explain_gpu *g)
{
    json_open(j, "windows", '[');
    for (size_t i = 0; i < g->n_windows; i++) {
        const struct explain_window *w = &g->windows[i];
        json_open(j, NULL, '{');
        json_time(j, "window_start", w->start);
        json_money(j, "cost", true, w->cost_nusd);
        json_money(j, "cost_in", true, w->cost_in_nusd);
        json_money(j, "cost_out", true, w->cost_out_nusd);
        json_money(j, "gpu_cost", true, w->gpu_cost_nusd);
        json_int(j, "unpriced_ns", w->unpriced_ns);
        json_int(j, "beside", (i128)w->beside);
        json_bool(j, "final", w->final);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void put_prices(struct json *j, const struct explain_gpu *g)
{
    json_open(j, "prices", '[');
    for (size_t i = 0; i < g->n_prices; i++) {
        const struct explain_price *p = &g->prices[i];
        json_open(j, NULL, '{');
        json_time(j, "from", p->from);
        json_time(j, "until", p->to);
        if (p->price_nusd_hour == PRICE_NONE) {
            json_null(j, "price_per_hour_usd");
        } else {
            json_decimal(j, "price_per_hour_usd", p->price_nusd_hour, JSON_USD_SCALE);
        }
        if (p->entry > 0) {
            json_int(j, "entry", p->entry);
        } else {
            json_null(j, "entry");
        }
        json_str(j, "source", str_of(explain_price_source(p)));
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void put_explain_gpu(struct json *j, const struct explanation *e,
                            const struct explain_gpu *g)
{
    const struct usage_record *u = &e->request.record.usage;
    json_open(j, NULL, '{');
    json_gpu(j, "gpu", &g->gpu);
    json_time(j, "from", usage_start(u));
    json_time(j, "until", u->ts);
    json_int(j, "beside", (i128)g->beside);
    json_money(j, "cost", true, g->cost_nusd);
    json_money(j, "gpu_cost", true, g->gpu_cost_nusd);
    if (g->gpu_cost_nusd > 0) {
        json_double(j, "share", (double)g->cost_nusd / (double)g->gpu_cost_nusd);
    } else {
        json_null(j, "share");
    }
    put_energy(j, g->has_energy, g->energy_j);
    put_windows(j, g);
    put_prices(j, g);
    json_close(j, '}');
}

static void put_texts(struct json *j, const struct explanation *e)
{
    struct buf text;
    buf_init(&text, SENTENCE_MAX);
    explain_sentence(&text, e);
    json_str(j, "sentence", buf_view(&text));
    json_open(j, "notes", '[');
    for (size_t i = 0; i < explain_notes(e); i++) {
        buf_clear(&text);
        explain_note(&text, e, i);
        json_str(j, NULL, buf_view(&text));
    }
    json_close(j, ']');
    buf_done(&text);
}

void json_explained(struct json *j, const char *name, const struct explanation *e)
{
    json_open(j, name, '{');
    put_members(j, &e->request);
    json_open(j, "explanation", '{');
    put_texts(j, e);
    json_open(j, "gpus", '[');
    for (size_t i = 0; i < e->n_gpus; i++) {
        put_explain_gpu(j, e, &e->gpus[i]);
    }
    json_close(j, ']');
    json_str(j, "method", str_of(method_name(e->split.method)));
    json_int(j, "weight_in", e->split.weight_in);
    json_int(j, "weight_out", e->split.weight_out);
    json_int(j, "revision", e->request.cost.revision);
    json_bool(j, "provisional", e->provisional);
    json_close(j, '}');
    json_close(j, '}');
}
