// Records, rows and costs as documents, in the field names of schemas/ and of `gtap export`. What a
// date or a double cannot hold exactly stands beside it as an integer: ts and ts_ns, latency_ms and
// latency_ns, price_per_hour_usd and price_nusd_hour.
//
// Unknown fields are kept as their JSON text, not as BSON: a record's digest counts them byte for
// byte, and BSON keeps neither how a number was spelt nor a name that comes twice.
#include "output/mongo/documents.h"

#define NUSD_PER_USD 1e9

static void write_measure(struct mg_buf *b, const struct gpu_sample *g, uint32_t bit,
                          const char *key, size_t key_n, double value)
{
    if (g->has & bit) {
        value += 0.0; // -0 and 0 say the same
        mg_field(b, key, key_n, &value, sizeof(value));
    }
}

void mg_write_measures(struct mg_buf *b, const struct gpu_sample *g)
{
    MG_MAYBE_STR(b, "name", g->name);
    MG_MAYBE_STR(b, "uuid", g->uuid);
    write_measure(b, g, SAMPLE_UTILIZATION, MG_KEY("\x01", "utilization"), g->utilization);
    write_measure(b, g, SAMPLE_MEM_USED, MG_KEY("\x01", "mem_used_mb"), g->mem_used_mb);
    write_measure(b, g, SAMPLE_MEM_TOTAL, MG_KEY("\x01", "mem_total_mb"), g->mem_total_mb);
    write_measure(b, g, SAMPLE_POWER, MG_KEY("\x01", "power_w"), g->power_w);
    write_measure(b, g, SAMPLE_TEMPERATURE, MG_KEY("\x01", "temperature_c"), g->temperature_c);
    write_measure(b, g, SAMPLE_SM_CLOCK, MG_KEY("\x01", "sm_clock_mhz"), g->sm_clock_mhz);
    if (g->has & SAMPLE_ENERGY) {
        MG_I64(b, "energy_mj", g->energy_mj);
    }
    MG_MAYBE_STR(b, "mig_profile", g->mig_profile);
    if (g->has & SAMPLE_PRICE) {
        MG_REAL(b, "price_per_hour_usd", (double)g->price_nusd_hour / NUSD_PER_USD);
        MG_I64(b, "price_nusd_hour", g->price_nusd_hour);
    }
    MG_MAYBE_STR(b, "source", g->source);
    MG_MAYBE_STR(b, "site", g->site);
}

static void unset(struct mg_buf *b, bool there, const char *key, size_t key_n)
{
    if (!there) {
        mg_text(b, key, key_n, STR(""));
    }
}

void mg_unset_measures(struct mg_buf *b, const struct gpu_sample *g)
{
    unset(b, str_present(g->name), MG_KEY("\x02", "name"));
    unset(b, str_present(g->uuid), MG_KEY("\x02", "uuid"));
    unset(b, g->has & SAMPLE_UTILIZATION, MG_KEY("\x02", "utilization"));
    unset(b, g->has & SAMPLE_MEM_USED, MG_KEY("\x02", "mem_used_mb"));
    unset(b, g->has & SAMPLE_MEM_TOTAL, MG_KEY("\x02", "mem_total_mb"));
    unset(b, g->has & SAMPLE_POWER, MG_KEY("\x02", "power_w"));
    unset(b, g->has & SAMPLE_TEMPERATURE, MG_KEY("\x02", "temperature_c"));
    unset(b, g->has & SAMPLE_SM_CLOCK, MG_KEY("\x02", "sm_clock_mhz"));
    unset(b, g->has & SAMPLE_ENERGY, MG_KEY("\x02", "energy_mj"));
    unset(b, str_present(g->mig_profile), MG_KEY("\x02", "mig_profile"));
    unset(b, g->has & SAMPLE_PRICE, MG_KEY("\x02", "price_per_hour_usd"));
    unset(b, g->has & SAMPLE_PRICE, MG_KEY("\x02", "price_nusd_hour"));
    unset(b, str_present(g->source), MG_KEY("\x02", "source"));
    unset(b, str_present(g->site), MG_KEY("\x02", "site"));
}

static void write_sample(struct mg_buf *b, const struct gpu_sample *g)
{
    MG_DATE(b, "ts", g->ts);
    MG_I64(b, "ts_ns", g->ts);
    MG_STR(b, "host", g->gpu.host);
    MG_I32(b, "gpu_index", g->gpu.index);
    if (g->gpu.instance != GPU_INSTANCE_NONE) {
        MG_I32(b, "gpu_instance", g->gpu.instance);
    }
    mg_write_measures(b, g);
}

static void write_gpus(struct mg_buf *b, const struct usage_record *u)
{
    if (u->n_gpus == 1) {
        MG_I32(b, "gpu_index", u->gpus[0]);
    } else if (u->n_gpus > 1) {
        size_t list = MG_ARRAY(b, "gpu_indices");
        for (uint32_t i = 0; i < u->n_gpus; i++) {
            mg_index(b, '\x10', i);
            mg_add(b, &u->gpus[i], sizeof(u->gpus[i]));
        }
        mg_end(b, list);
    }
    if (u->gpu_instance != GPU_INSTANCE_NONE) {
        MG_I32(b, "gpu_instance", u->gpu_instance);
    }
}

static void write_place(struct mg_buf *b, const struct usage_record *u)
{
    MG_DATE(b, "ts", u->ts);
    MG_I64(b, "ts_ns", u->ts);
    MG_DATE(b, "start", MAX(usage_start(u), (int64_t)0));
    MG_I64(b, "start_ns", usage_start(u));
    MG_MAYBE_STR(b, "host", u->host);
    write_gpus(b, u);
    MG_BOOL(b, "placed", usage_placed(u));
}

static void write_tokens(struct mg_buf *b, const struct usage_record *u)
{
    MG_STR(b, "model", u->model);
    MG_MAYBE_STR(b, "tenant", u->tenant);
    MG_MAYBE_STR(b, "request_id", u->request_id);
    MG_I64(b, "prompt_tokens", u->prompt_tokens);
    if (u->has & USAGE_CACHED) {
        MG_I64(b, "cached_prompt_tokens", u->cached_prompt_tokens);
    }
    MG_I64(b, "completion_tokens", u->completion_tokens);
    MG_REAL(b, "latency_ms", (double)u->latency_ns / NS_PER_MS);
    MG_I64(b, "latency_ns", u->latency_ns);
    if (u->has & USAGE_TTFT) {
        MG_REAL(b, "ttft_ms", (double)u->ttft_ns / NS_PER_MS);
        MG_I64(b, "ttft_ns", u->ttft_ns);
    }
    if (u->has & USAGE_REQUESTS) {
        MG_I64(b, "requests", u->requests);
    }
    MG_MAYBE_STR(b, "site", u->site);
}

static void write_amounts(struct mg_buf *b, int64_t in, int64_t out, int64_t tokens)
{
    if (tokens > 0) {
        MG_REAL(b, "cost_per_token", (double)(in + out) / NUSD_PER_USD / (double)tokens);
    }
    MG_I64(b, "cost_nusd", in + out);
    MG_I64(b, "cost_in_nusd", in);
    MG_I64(b, "cost_out_nusd", out);
}

// A provisional cost is the mission's formula and nothing more: a price or none.
static void write_estimate(struct mg_buf *b, const struct usage_record *u,
                           const struct usage_cost *c)
{
    if (c) {
        MG_BOOL(b, "priced", c->priced);
        if (c->priced) {
            write_amounts(b, c->cost_in_nusd, c->cost_out_nusd,
                          u->prompt_tokens + u->completion_tokens);
        }
        MG_STR(b, "method", str_of(method_name(c->method)));
    }
    MG_BOOL(b, "final", false);
    MG_BOOL(b, "late", false);
    MG_I32(b, "revision", 0);
}

static void write_extra(struct mg_buf *b, struct str extra)
{
    mg_add(b, MG_KEY("\x02", "extra"));
    int32_t length = (int32_t)(extra.n + 3);
    mg_add(b, &length, sizeof(length));
    mg_add(b, "{", 1);
    mg_add(b, extra.p, extra.n);
    mg_add(b, "}", 2);
}

void mg_write_record(struct mg_buf *b, const struct store_record *sr)
{
    const struct record *r = sr->record;
    MG_STR(b, "_id", r->event_id);
    if (r->kind == RECORD_SAMPLE) {
        write_sample(b, &r->sample);
    } else {
        write_place(b, &r->usage);
        write_tokens(b, &r->usage);
        write_estimate(b, &r->usage, sr->provisional);
    }
    if (str_present(r->extra)) {
        write_extra(b, r->extra);
    }
    MG_I32(b, "partition", (int32_t)r->shard);
    MG_I64(b, "seq", r->seq);
    MG_I64(b, "digest", (int64_t)r->digest);
    MG_I64(b, "position", r->position);
}

// ---- costs ---------------------------------------------------------------------------------

// Of a request that is not priced as a whole the priced part is kept out of cost_nusd, so that a
// sum over that is a sum of costs.
static void write_part(struct mg_buf *b, const struct usage_cost *c)
{
    size_t part = MG_DOC(b, "priced_part");
    MG_I64(b, "in_nusd", c->cost_in_nusd);
    MG_I64(b, "out_nusd", c->cost_out_nusd);
    mg_end(b, part);
}

static void unset_amounts(struct mg_buf *b)
{
    MG_STR(b, "cost_per_token", STR(""));
    MG_STR(b, "cost_nusd", STR(""));
    MG_STR(b, "cost_in_nusd", STR(""));
    MG_STR(b, "cost_out_nusd", STR(""));
}

void mg_write_cost(struct mg_buf *b, const struct usage_cost *c, bool late)
{
    size_t u = MG_DOC(b, "u"), set = MG_DOC(b, "$set");
    MG_BOOL(b, "computed", true);
    MG_BOOL(b, "priced", c->priced);
    if (c->priced) {
        write_amounts(b, c->cost_in_nusd, c->cost_out_nusd, c->tokens);
    } else {
        write_part(b, c);
    }
    if (c->has_energy) {
        MG_REAL(b, "energy_j", c->energy_j);
    }
    MG_I64(b, "unpriced_ns", c->unpriced_ns);
    MG_BOOL(b, "final", c->final);
    if (late) {
        MG_BOOL(b, "late", true);
    }
    MG_I32(b, "revision", c->revision);
    MG_STR(b, "method", str_of(method_name(c->method)));
    mg_end(b, set);
    size_t gone = MG_DOC(b, "$unset");
    if (c->priced) {
        MG_STR(b, "priced_part", STR(""));
    } else {
        unset_amounts(b);
    }
    unset(b, c->has_energy, MG_KEY("\x02", "energy_j"));
    unset(b, !c->priced || c->tokens > 0, MG_KEY("\x02", "cost_per_token"));
    mg_end(b, gone);
    mg_end(b, u);
}

// ---- rows ----------------------------------------------------------------------------------

// Text whose bytes are in the order of what it says: a space ends it, and what is not above that
// follows a '!'. Absent comes first.
static void write_ordered(struct mg_buf *b, struct str s)
{
    mg_add(b, str_present(s) ? "=" : "-", 1);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        const char escaped[2] = {'!', (char)(c + '@')};
        mg_add(b, c <= '!' ? escaped : &s.p[i], c <= '!' ? 2 : 1);
    }
}

static void write_digits(struct mg_buf *b, char before, uint64_t v, size_t width)
{
    char text[24];
    text[0] = before;
    for (size_t i = width; i > 0; i--, v /= 10) {
        text[i] = (char)('0' + v % 10);
    }
    mg_add(b, text, width + 1);
}

// A number of a GPU or slice; none comes first.
static void write_number(struct mg_buf *b, int32_t v)
{
    if (v < 0) {
        mg_add(b, " -", 2);
    } else {
        write_digits(b, ' ', (uint64_t)v, 5);
    }
}

// Begins a string and returns where, for end_text().
static size_t begin_text(struct mg_buf *b)
{
    return mg_begin(b);
}

static void end_text(struct mg_buf *b, size_t at)
{
    mg_add(b, "", 1);
    int32_t length = (int32_t)(b->n - at - sizeof(length));
    memcpy(b->p + at, &length, sizeof(length));
}

// Times before 1970 have a minus, which comes before all digits.
static void write_start(struct mg_buf *b, int64_t t)
{
    char before = t < 0 ? '-' : '0';
    write_digits(b, before, t < 0 ? (uint64_t)(t + INT64_MAX) + 1 : (uint64_t)t, 19);
}

void mg_write_start_id(struct mg_buf *b, int64_t t)
{
    size_t at = begin_text(b);
    write_start(b, t);
    end_text(b, at);
}

// The order of these ids is the canonical order of rows, window after window and shard after shard:
// what the index gives in its order is what a cursor gives.
static void write_row_text(struct mg_buf *b, uint32_t shard, const struct window_row *row)
{
    write_start(b, row->window_start);
    write_digits(b, ' ', shard, 4);
    mg_add(b, " ", 1);
    write_ordered(b, row->gpu.host);
    write_number(b, row->gpu.index);
    write_number(b, row->gpu.instance);
    write_digits(b, ' ', (uint64_t)row->kind, 1);
    mg_add(b, " ", 1);
    write_ordered(b, row->model);
    mg_add(b, " ", 1);
    write_ordered(b, row->tenant);
}

void mg_write_row_id(struct mg_buf *b, uint32_t shard, const struct window_row *row)
{
    size_t at = begin_text(b);
    write_row_text(b, shard, row);
    end_text(b, at);
}

void mg_write_correction_id(struct mg_buf *b, const struct correction *c)
{
    size_t at = begin_text(b);
    write_row_text(b, c->shard, &c->row);
    if (c->n == CORRECTION_OPENING) {
        mg_add(b, " opening", strlen(" opening"));
    } else {
        write_digits(b, ' ', (uint64_t)c->n, 6);
    }
    end_text(b, at);
}

void mg_write_gpu_id(struct mg_buf *b, const struct gpu_key *gpu)
{
    size_t at = begin_text(b);
    write_ordered(b, gpu->host);
    write_number(b, gpu->index);
    write_number(b, gpu->instance);
    end_text(b, at);
}

static void write_row_key(struct mg_buf *b, uint32_t shard, const struct window_row *row)
{
    MG_I32(b, "partition", (int32_t)shard);
    MG_DATE(b, "window_start", row->window_start);
    MG_I64(b, "window_start_ns", row->window_start);
    MG_MAYBE_STR(b, "host", row->gpu.host);
    if (row->gpu.index >= 0) {
        MG_I32(b, "gpu_index", row->gpu.index);
    }
    if (row->gpu.instance != GPU_INSTANCE_NONE) {
        MG_I32(b, "gpu_instance", row->gpu.instance);
    }
    MG_MAYBE_STR(b, "site", row->site);
    MG_STR(b, "kind", str_of(row_kind_name(row->kind)));
    MG_MAYBE_STR(b, "model", row->model);
    MG_MAYBE_STR(b, "tenant", row->tenant);
}

static void write_row_cost(struct mg_buf *b, const struct window_row *row)
{
    bool free_of_charge = (row->cost_nusd | row->cost_in_nusd | row->cost_out_nusd) == 0;
    if (row->kind == ROW_UNPLACED && free_of_charge) {
        return; // not known, which is not zero
    }
    MG_I64(b, "cost_nusd", row->cost_nusd);
    MG_I64(b, "cost_in_nusd", row->cost_in_nusd);
    MG_I64(b, "cost_out_nusd", row->cost_out_nusd);
}

static void write_row(struct mg_buf *b, uint32_t shard, const struct window_row *row)
{
    write_row_key(b, shard, row);
    write_row_cost(b, row);
    MG_I64(b, "prompt_tokens", row->prompt_tokens);
    MG_I64(b, "completion_tokens", row->completion_tokens);
    MG_I64(b, "cached_prompt_tokens", row->cached_prompt_tokens);
    MG_I64(b, "requests", row->requests);
    MG_I64(b, "unpriced_requests", row->unpriced_requests);
    MG_I64(b, "busy_ns", row->busy_ns);
    if (row->has_energy) {
        MG_REAL(b, "energy_j", row->energy_j);
    }
    MG_I64(b, "unpriced_ns", row->unpriced_ns);
    MG_BOOL(b, "final", row->final);
    MG_I32(b, "revision", row->revision);
    MG_STR(b, "method", str_of(method_name(row->method)));
}

void mg_write_row(struct mg_buf *b, uint32_t shard, const struct window_row *row)
{
    mg_add(b, MG_KEY("\x02", "_id"));
    mg_write_row_id(b, shard, row);
    write_row(b, shard, row);
}

void mg_write_correction(struct mg_buf *b, const struct correction *c)
{
    mg_add(b, MG_KEY("\x02", "_id"));
    mg_write_correction_id(b, c);
    write_row(b, c->shard, &c->row);
    MG_I64(b, "number", c->n);
    MG_DATE(b, "settled_at", c->settled_at);
    MG_I64(b, "settled_at_ns", c->settled_at);
    MG_BOOL(b, "gone", c->gone);
    if (c->n != CORRECTION_OPENING) { // taken away when the row is there: corrections.c
        MG_BOOL(b, "unsure", true);
    }
}
