// Snapshots from a store: one report by GPU, model and tenant, which everything shown is a sum of.
#include "base/alloc.h"
#include "model/mig.h"
#include "top/source.h"

struct store_source {
    struct top_source base;
    const char *uri;
    struct store *store; // NULL: not open
};

static void fill_gpu(struct top_snapshot *s, const struct gpu_info *info,
                     const struct price_book *book, int64_t fallback, struct top_gpu *ret)
{
    const struct gpu_sample *p = &info->newest;
    char room[MIG_NAME_MAX];
    struct price_found found = price_at(book, fallback, mig_sample_name(p, room), p->site, s->at);
    struct buf label;
    buf_init(&label, 4096);
    report_gpu_name(&label, &p->gpu);
    *ret = (struct top_gpu){
        .label = arena_copy(&s->arena, buf_view(&label)),
        .name = p->name,
        .first_seen = info->first_seen,
        .last_seen = p->ts,
        .has = p->has,
        .utilization = p->utilization,
        .mem_used_mb = p->mem_used_mb,
        .mem_total_mb = p->mem_total_mb,
        .power_w = p->power_w,
        .price_nusd_hour = found.nusd_hour,
        .price_source = found.nusd_hour == PRICE_NONE ? TOP_PRICE_UNKNOWN
                        : found.entry                 ? TOP_PRICE_BOOK
                                                      : TOP_PRICE_DEFAULT,
    };
    if (p->has & SAMPLE_PRICE) {
        ret->price_nusd_hour = p->price_nusd_hour;
        ret->price_source = TOP_PRICE_SAMPLE;
    }
    buf_done(&label);
}

static int read_gpus(struct store *store, struct top_snapshot *s, struct error *err)
{
    struct price_book book;
    struct settings_history history;
    struct gpu_info *infos;
    size_t n;
    int r = store_prices(store, &s->arena, &book, err);
    r = r < 0 ? r : store_settings(store, &s->arena, &history, err);
    r = r < 0 ? r : store_gpus(store, &s->arena, &infos, &n, err);
    if (r < 0) {
        return r;
    }
    const struct settings *now = history.n > 0 ? settings_at(&history, s->at) : &settings_default;
    s->stale_ns = now->max_gap_ns;
    s->gpus = arena_alloc(&s->arena, (n + 1) * sizeof(*s->gpus));
    for (size_t i = 0; i < n; i++) {
        fill_gpu(s, &infos[i], &book, now->default_price_nusd, &s->gpus[s->n_gpus++]);
    }
    return 0;
}

static int read_costs(struct store *store, struct top_snapshot *s, struct error *err)
{
    static const enum report_dim by_gpu[] = {DIM_GPU, DIM_MODEL};
    struct report all;
    struct report_query q = {
        .by = {DIM_GPU, DIM_MODEL, DIM_TENANT},
        .n_by = 3,
        .from = s->from,
        .to = s->at,
        .provisional = true,
        .zone = s->ask.zone,
        .now = s->at,
    };
    int r = report_load(store, &q, &s->arena, &all, err);
    if (r < 0) {
        return r;
    }
    enum report_dim by[2];
    size_t n = top_group_dims(s->ask.group, by);
    s->empty = all.empty;
    s->final_until = all.final_until;
    if (!all.empty) {
        s->from = all.from;
        s->to = all.to;
        s->newest = all.last;
    }
    r = top_fold(&all, by_gpu, ARRAY_LEN(by_gpu), &s->arena, &s->placed);
    return r < 0 ? r : top_fold(&all, by, n, &s->arena, &s->groups);
}

static int store_fetch(struct top_source *base, struct top_snapshot *ret, struct error *err)
{
    struct store_source *s = (struct store_source *)base;
    int r = s->store ? 0 : store_open(s->uri, STORE_READ, &s->store, err);
    if (r < 0) {
        return r;
    }
    r = read_costs(s->store, ret, err);
    r = r < 0 ? r : read_gpus(s->store, ret, err);
    if (r < 0) {
        store_close(TAKE_PTR(s->store)); // opened anew next time
    }
    return r;
}

static void store_source_close(struct top_source *base)
{
    struct store_source *s = (struct store_source *)base;
    store_close(s->store);
    free(s);
}

struct top_source *top_source_store(const char *uri, const char *name, const struct clock *clock)
{
    static const struct top_source_ops ops = {store_fetch, store_source_close};
    struct store_source *s = x_zalloc(sizeof(*s));
    *s = (struct store_source){.base = {&ops, name, clock}, .uri = uri};
    return &s->base;
}
