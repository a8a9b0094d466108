// dcgm+http: samples of the GPUs on a DCGM exporter's page; see docs/inputs/dcgm.md.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/uuid.h"
#include "input/dcgm_page.h"
#include "input/placement.h"
#include "input/scrape.h"

struct dcgm_input {
    struct input base;
    struct arena arena;
    struct dcgm_config config;
    struct str site;
    struct scrape scrape;
    struct uuid7 ids;
    int64_t position; // samples and dead letters given
};

static void dcgm_close(struct input *in)
{
    struct dcgm_input *d = (struct dcgm_input *)in;
    scrape_done(&d->scrape);
    arena_done(&d->arena);
    free(d);
}

static int dcgm_seek(struct input *in, int64_t records, int64_t offset, struct error *err)
{
    struct dcgm_input *d = (struct dcgm_input *)in;
    (void)offset;
    (void)err;
    d->position = records;
    return 0;
}

static void give(struct dcgm_input *d, struct batch *b, const struct gpu_sample *sample,
                 int64_t wall)
{
    struct record *r = batch_add(b);
    r->kind = RECORD_SAMPLE;
    r->sample = *sample;
    r->sample.ts = wall;
    r->sample.site = arena_copy(&b->arena, d->site);
    scrape_deliver(&d->base, b, &d->ids, wall, &d->position);
}

static int check(const struct dcgm_page *page, struct error *err)
{
    if (page->n == 0) {
        return error_set(err, -ENODATA, "no GPU is on the page: it is not a DCGM exporter's");
    }
    if (page->over > 0) {
        return error_set(err, -ENOSPC, "more than %d GPUs are on the page: some are left out",
                         DCGM_GPUS_MAX);
    }
    if (page->bad > 0) {
        return error_set(err, -EBADMSG, "%llu lines of the page cannot be read",
                         (unsigned long long)page->bad);
    }
    return 0;
}

static void take_page(struct dcgm_input *d, struct batch *b, int64_t wall)
{
    struct dcgm_page page;
    struct error err;
    dcgm_page_read(buf_view(&d->scrape.page), &d->config, &b->arena, &page);
    for (size_t i = 0; i < page.n; i++) {
        give(d, b, &page.gpus[i], wall);
    }
    int r = check(&page, &err);
    if (r < 0) {
        error_prefix(&err, "%s", d->scrape.config.url);
    }
    scrape_took(&d->scrape, &d->base, page.n == 0 ? &err : NULL, r < 0 ? &err : NULL);
}

static int dcgm_next(struct input *in, struct batch *b, struct error *err)
{
    struct dcgm_input *d = (struct dcgm_input *)in;
    struct mono at;
    int64_t wall;
    (void)err;
    if (scrape_next(&d->scrape, in, &at, &wall) == SCRAPE_PAGE) {
        take_page(d, b, wall);
    }
    b->position = d->position;
    b->offset = -1;
    return INPUT_MORE;
}

static int set_up(struct dcgm_input *d, struct error *err)
{
    const struct uri *uri = d->base.uri;
    const char *url = NULL;
    d->config = (struct dcgm_config){
        .host = placement_host(uri, d->base.env, &d->arena),
        .host_wins = str_present(uri_option(uri, "host")),
        .price_nusd = -1,
    };
    d->site = uri_option(uri, "site");
    int r = uri_option_money(uri, "price", &d->config.price_nusd, err);
    if (r == 0 && d->config.price_nusd > RECORD_PRICE_MAX) {
        r = error_set(err, -EINVAL, "option price= is USD an hour, at most 1000000");
    }
    r = r < 0 ? r : fetch_url(uri, "/metrics", STR_NONE, &d->arena, &url, err);
    r = r < 0 ? r : scrape_open(&d->scrape, &d->base, url, err);
    if (r == 0) {
        d->base.info = (struct input_info){.name = uri->text.p, .total = -1};
        snprintf(d->base.info.about, sizeof(d->base.info.about),
                 "GPUs of the DCGM exporter at %.90s", url);
    }
    return r;
}

static int dcgm_open(const struct input_driver *driver, const struct uri *uri,
                     const struct input_env *env, struct input **ret, struct error *err)
{
    struct dcgm_input *d = x_zalloc(sizeof(*d));
    d->base = (struct input){.driver = driver, .env = env, .uri = uri};
    int r = set_up(d, err);
    if (r < 0) {
        dcgm_close(&d->base);
        return r;
    }
    *ret = &d->base;
    return 0;
}

static const struct input_option options[] = {
    SCRAPE_OPTIONS,
    {"host", "NAME", "host of the GPUs (default: as their lines say, else HOSTNAME)"},
    {"price", "USD", "what a whole GPU costs an hour (default: the price book's)"},
    {"site", "NAME", "where the hosts stand"},
    {NULL, NULL, NULL},
};

#define DCGM_DRIVER(proto)                                                                         \
    static int open_##proto(const struct uri *uri, const struct input_env *env,                    \
                            struct input **ret, struct error *err)                                 \
    {                                                                                              \
        return dcgm_open(&input_dcgm_##proto, uri, env, ret, err);                                 \
    }                                                                                              \
    const struct input_driver input_dcgm_##proto = {                                               \
        .scheme = "dcgm+" #proto,                                                                  \
        .synopsis = "dcgm+" #proto "://HOST[:PORT][/PATH]",                                        \
        .help = "samples of the GPUs on the page of NVIDIA's DCGM exporter",                       \
        .options = options,                                                                        \
        .open = open_##proto,                                                                      \
        .seek = dcgm_seek,                                                                         \
        .next = dcgm_next,                                                                         \
        .close = dcgm_close,                                                                       \
    };

DCGM_DRIVER(http)
DCGM_DRIVER(https)
