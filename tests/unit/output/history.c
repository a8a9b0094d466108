#include "history.h"

enum { HOUR = 3600, IDS = 150 };

int64_t pick(struct history *h, int64_t below)
{
    return (int64_t)draw(&h->random, (uint64_t)below);
}

bool chance(struct history *h, int64_t percent)
{
    return pick(h, 100) < percent;
}

static const char *pick_name(struct history *h, const char *const *names, int64_t n)
{
    return names[pick(h, n)];
}

struct str pick_text(struct history *h)
{
    static const char *const texts[] = {NULL, "", "a", "ab", "b\xc3\xbc", "NVIDIA H100"};
    return str_of(pick_name(h, texts, ARRAY_LEN(texts)));
}

static const char *pick_host(struct history *h)
{
    static const char *const hosts[] = {"h1", "h10", "h2"};
    return pick_name(h, hosts, ARRAY_LEN(hosts));
}

static void random_sample(struct history *h, struct fixture *f, const char *id, int64_t ts)
{
    struct record *r = add_sample(f, id, pick_host(h), (int32_t)pick(h, 2), at(ts));
    struct gpu_sample *g = &r->sample;
    g->gpu.instance = chance(h, 30) ? (int32_t)pick(h, 3) : GPU_INSTANCE_NONE;
    g->has = (uint32_t)pick(h, 256);
    g->utilization = (double)pick(h, 100) / 100;
    g->mem_used_mb = (double)pick(h, 1 << 20) / 3;
    g->power_w = (double)pick(h, 700);
    g->energy_mj = pick(h, INT64_MAX);
    g->price_nusd_hour = pick(h, RECORD_PRICE_MAX);
    g->name = pick_text(h);
    g->uuid = pick_text(h);
    g->site = pick_text(h);
    r->extra = chance(h, 20) ? STR("\"x\":1") : STR_NONE;
    r->shard = (uint32_t)pick(h, SHARDS);
    set_digest(r);
}

static void random_usage(struct history *h, struct fixture *f, const char *id, int64_t ts)
{
    static const int32_t gpus[] = {0, 1, 2, 30};
    struct record *r = add_usage(f, id, pick_host(h), 0, at(ts - pick(h, 900)), at(ts));
    struct usage_record *u = &r->usage;
    u->n_gpus = (uint32_t)pick(h, 5);
    u->gpus = u->n_gpus ? gpus : NULL;
    u->host = chance(h, 15) ? STR_NONE : u->host;
    u->has = (uint32_t)pick(h, 8);
    u->ttft_ns = u->has & USAGE_TTFT ? pick(h, u->latency_ns + 1) : 0;
    u->cached_prompt_tokens = u->has & USAGE_CACHED ? pick(h, 100) : 0;
    u->requests = u->has & USAGE_REQUESTS ? 1 + pick(h, 100) : 1;
    u->tenant = pick_text(h);
    u->request_id = pick_text(h);
    u->site = pick_text(h);
    r->shard = (uint32_t)pick(h, SHARDS);
    set_digest(r);
}

static void random_records(struct history *h, struct fixture *f, struct usage_cost *estimates)
{
    int64_t n = pick(h, 12);
    for (int64_t i = 0; i < n; i++) {
        char *id AUTO_FREE = x_asprintf("id-%lld", (long long)pick(h, IDS));
        int64_t ts = 900 + h->frontier[0] + pick(h, 2 * HOUR);
        if (chance(h, 50)) {
            random_sample(h, f, id, ts);
        } else {
            random_usage(h, f, id, ts);
            h->seqs++;
        }
        struct store_record *sr = &f->records[f->n_records - 1];
        sr->record->position = ++h->position;
        if (chance(h, 50)) {
            estimates[i] = (struct usage_cost){
                .priced = chance(h, 70),
                .cost_in_nusd = pick(h, 1000),
                .cost_out_nusd = pick(h, 1000),
                .method = chance(h, 50) ? METHOD_EQUAL : METHOD_WEIGHTED,
            };
            sr->provisional = &estimates[i];
        }
    }
}

static void random_costs(struct history *h, struct fixture *f)
{
    for (int64_t n = pick(h, 10); n > 0 && h->seqs > 0; n--) {
        int64_t seq = 1 + pick(h, h->seqs);
        struct usage_cost *c = add_cost(f, seq, pick(h, 999), pick(h, 999));
        c->seq = seq; // not the seq-th that was stored
        c->priced = chance(h, 80);
        c->final = chance(h, 85);
        c->late = chance(h, 15);
        c->revision = (int32_t)pick(h, 4);
        c->unpriced_ns = pick(h, 99);
        c->has_energy = chance(h, 70);
        c->energy_j = c->has_energy ? (double)pick(h, 1000000) / 7 : 0;
    }
}

static void random_row(struct history *h, struct window_row *row)
{
    row->kind = (enum row_kind)pick(h, 4);
    row->model = row->kind == ROW_USAGE ? STR("m") : STR_NONE;
    row->tenant = row->kind == ROW_USAGE ? pick_text(h) : STR_NONE;
    row->site = pick_text(h);
    row->cost_in_nusd = pick(h, 1000);
    row->cost_out_nusd = pick(h, 1000);
    row->prompt_tokens = pick(h, 1000);
    row->completion_tokens = pick(h, 1000);
    row->cached_prompt_tokens = pick(h, 1000);
    row->requests = pick(h, 1000);
    row->unpriced_requests = pick(h, 10);
    row->unpriced_ns = pick(h, 1000);
    row->has_energy = chance(h, 70);
    row->energy_j = row->has_energy ? (double)pick(h, 1000000000) / 7e5 : 0;
    row->final = chance(h, 90);
    row->revision = (int32_t)pick(h, 4);
    row->method = chance(h, 50) ? METHOD_EQUAL : METHOD_WEIGHTED;
}

// What the contract asks of a window's rows: canonical order, no key twice.
static void order_rows(struct window_rows *w)
{
    struct window_row *rows = (struct window_row *)(uintptr_t)w->rows;
    for (size_t i = 1; i < w->n; i++) {
        for (size_t k = i; k > 0 && window_row_cmp(&rows[k], &rows[k - 1]) < 0; k--) {
            struct window_row swap = rows[k];
            rows[k] = rows[k - 1];
            rows[k - 1] = swap;
        }
    }
    size_t kept = w->n > 0;
    for (size_t i = 1; i < w->n; i++) {
        if (window_row_cmp(&rows[i], &rows[kept - 1]) != 0) {
            rows[kept++] = rows[i];
        }
    }
    w->n = kept;
}

static void random_windows(struct history *h, struct fixture *f)
{
    for (int64_t n = pick(h, 5); n > 0; n--) {
        uint32_t shard = (uint32_t)pick(h, SHARDS);
        int64_t start = (h->frontier[shard] + 2 * HOUR) / 60 - pick(h, 5 * 60);
        for (int64_t k = pick(h, 5); k > 0; k--) {
            int64_t t = at(60 * MAX(start, 0));
            random_row(h, add_idle(f, shard, t, pick_host(h), (int32_t)pick(h, 2), pick(h, 1000)));
        }
    }
    for (size_t i = 0; i < f->n_windows; i++) {
        order_rows(&f->windows[i]);
        f->windows[i].n = chance(h, 10) ? 0 : f->windows[i].n;
    }
}

static void random_progress(struct history *h, struct fixture *f)
{
    for (uint32_t i = 0; i < SHARDS; i++) {
        if (chance(h, 50)) {
            continue;
        }
        h->frontier[i] += chance(h, 20) ? pick(h, 9 * HOUR) : pick(h, 2 * HOUR);
        int64_t frontier = at(h->frontier[i] / 60 * 60);
        struct shard_state *s = add_shard(f, i, frontier);
        s->oldest_pending = chance(h, 50) ? frontier - pick(h, 600) * NS_PER_S : INT64_MAX;
        s->samples_seen = s->usage_seen = h->position;
        if (chance(h, 30)) {
            int64_t from = frontier - (1 + pick(h, 100)) * 60 * NS_PER_S;
            add_unsettled(f, i, from, from + 60 * NS_PER_S);
        }
    }
    if (chance(h, 40)) {
        f->positions[f->n_positions++] = (struct input_position){
            .input = chance(h, 50) ? STR("in-1") : STR("in-2"),
            .records = h->position,
            .offset = pick(h, 1000),
            .fingerprint = (uint64_t)pick(h, 9),
        };
    }
    if (chance(h, 20)) {
        f->letters[f->n_letters++] = (struct dead_letter){
            .at = at(h->frontier[0]),
            .position = ++h->position, // so that no two are the same
            .origin = pick_text(h),
            .reason = STR("r"),
            .payload = pick_text(h),
        };
    }
}

void write_random(struct history *h, struct fixture *f)
{
    static struct usage_cost estimates[WRITE_MAX];
    random_records(h, f, estimates);
    random_costs(h, f);
    random_windows(h, f);
    random_progress(h, f);
}
