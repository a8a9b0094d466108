#include "ledger.h"

#include "base/alloc.h"
#include "base/time.h"

struct record make_sample(const char *id, int64_t ts, int64_t price_nusd)
{
    struct record r = {.kind = RECORD_SAMPLE, .event_id = str_of(id)};
    r.sample = (struct gpu_sample){.ts = ts, .gpu = {STR("h"), 0, GPU_INSTANCE_NONE}};
    if (price_nusd != PRICE_NONE) {
        r.sample.price_nusd_hour = price_nusd;
        r.sample.has = SAMPLE_PRICE;
    }
    return r;
}

struct record make_usage(const char *id, int64_t start, int64_t first, int64_t end, int64_t prompt,
                         int64_t completion)
{
    static const int32_t gpu_0[] = {0};
    struct record r = {.kind = RECORD_USAGE, .event_id = str_of(id)};
    r.usage = (struct usage_record){
        .ts = end,
        .latency_ns = end - start,
        .ttft_ns = first < 0 ? 0 : first - start,
        .has = first < 0 ? 0 : USAGE_TTFT,
        .prompt_tokens = prompt,
        .completion_tokens = completion,
        .requests = 1,
        .model = STR("m"),
        .host = STR("h"),
        .gpus = gpu_0,
        .n_gpus = 1,
        .gpu_instance = GPU_INSTANCE_NONE,
    };
    return r;
}

void on_gpus(struct record *r, const int32_t *gpus, uint32_t n)
{
    r->usage.gpus = gpus;
    r->usage.n_gpus = n;
}

static void keep_window(void *ctx, int64_t start, int64_t end)
{
    struct ledger *l = ctx;
    assert_true(start < end);
    l->n_windows++;
}

static void keep_bill(void *ctx, const struct gpu_key *gpu, int64_t bill_nusd)
{
    (void)gpu;
    ((struct ledger *)ctx)->bill_nusd += bill_nusd;
}

static void keep_row(void *ctx, const struct window_row *row)
{
    struct ledger *l = ctx;
    assert_true(l->n_rows < ARRAY_LEN(l->rows));
    struct window_row *kept = &l->rows[l->n_rows++];
    *kept = *row;
    kept->gpu.host = arena_copy(&l->arena, row->gpu.host);
    kept->site = arena_copy(&l->arena, row->site);
    kept->model = arena_copy(&l->arena, row->model);
    kept->tenant = arena_copy(&l->arena, row->tenant);
}

static void keep_cost(void *ctx, const struct usage_cost *cost)
{
    struct ledger *l = ctx;
    assert_true(l->n_costs < ARRAY_LEN(l->costs));
    l->costs[l->n_costs] = *cost;
    l->costs[l->n_costs++].event_id = arena_copy(&l->arena, cost->event_id);
}

struct engine_sink ledger_sink(struct ledger *l)
{
    return (struct engine_sink){.window_begin = keep_window,
                                .bill = keep_bill,
                                .row = keep_row,
                                .cost = keep_cost,
                                .ctx = l};
}

void ledger_clear(struct ledger *l)
{
    arena_done(&l->arena);
    l->arena = (struct arena){0};
    l->n_rows = l->n_costs = l->n_windows = 0;
    l->bill_nusd = 0;
}

const struct window_row *ledger_row(const struct ledger *l, int64_t start, int32_t gpu,
                                    enum row_kind kind, const char *model)
{
    const struct window_row *found = NULL;
    for (size_t i = 0; i < l->n_rows; i++) {
        const struct window_row *row = &l->rows[i];
        if (row->window_start != start || row->gpu.index != gpu || row->kind != kind ||
            (model && !str_eq(row->model, str_of(model)))) {
            continue;
        }
        assert_null(found);
        found = row;
    }
    assert_non_null(found);
    return found;
}

const struct usage_cost *ledger_cost(const struct ledger *l, const char *id)
{
    const struct usage_cost *found = NULL;
    for (size_t i = 0; i < l->n_costs; i++) {
        if (str_eq(l->costs[i].event_id, str_of(id))) {
            assert_null(found);
            found = &l->costs[i];
        }
    }
    assert_non_null(found);
    return found;
}

int64_t ledger_money(const struct ledger *l, enum row_kind kind)
{
    int64_t sum = 0;
    for (size_t i = 0; i < l->n_rows; i++) {
        sum += l->rows[i].kind == kind ? l->rows[i].cost_nusd : 0;
    }
    return sum;
}

int64_t ledger_time(const struct ledger *l, enum row_kind kind)
{
    int64_t sum = 0;
    for (size_t i = 0; i < l->n_rows; i++) {
        sum += l->rows[i].kind == kind ? l->rows[i].busy_ns : 0;
    }
    return sum;
}

void bench_init(struct bench *b)
{
    *b = (struct bench){0};
    b->epochs[0] = settings_default;
    b->epochs[0].default_price_nusd = 36 * USD / 10;
    b->settings = (struct settings_history){b->epochs, 1};
    b->prices = (struct price_book){b->entries, 0};
    b->engine = engine_new(&b->settings, &b->prices);
}

void bench_done(struct bench *b)
{
    engine_free(b->engine);
    ledger_clear(&b->ledger);
}

int bench_add(struct bench *b, struct record r)
{
    r.seq = ++b->seq;
    return engine_add(b->engine, &r);
}

void bench_cover(struct bench *b, int64_t from, int64_t to)
{
    for (int64_t t = from; t <= to; t += 30 * S) {
        char id[32];
        snprintf(id, sizeof(id), "s%lld", (long long)t);
        (void)bench_add(b, make_sample(id, t, PRICE_NONE));
    }
}

void bench_advance(struct bench *b, int64_t until)
{
    ledger_clear(&b->ledger);
    struct engine_sink sink = ledger_sink(&b->ledger);
    engine_advance(b->engine, until, &sink);
}

void bench_preview(struct bench *b)
{
    ledger_clear(&b->ledger);
    struct engine_sink sink = ledger_sink(&b->ledger);
    engine_preview(b->engine, &sink);
}

void bench_price(struct bench *b, const char *name, int64_t price_nusd, int64_t effective_from)
{
    assert_true(b->prices.n < ARRAY_LEN(b->entries));
    b->entries[b->prices.n] = (struct price_entry){
        .id = (int64_t)b->prices.n + 1,
        .effective_from = effective_from,
        .price_nusd_hour = price_nusd,
        .name = str_of(name),
    };
    b->prices.n++;
    engine_configure(b->engine, &b->settings, &b->prices);
}
