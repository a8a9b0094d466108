// vllm+http:, sglang+https:, ...: what inference servers count, as interval usage records; see
// docs/inputs/vllm.md. One driver a scheme, all made from the table in server_map.h.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/uuid.h"
#include "input/counters.h"
#include "input/placement.h"
#include "input/scrape.h"

struct server_input {
    struct input base;
    const struct server *server;
    struct arena arena;
    struct placement place;
    struct scrape scrape;
    struct counters *counters;
    struct mono taken; // when the page before was
    struct uuid7 ids;
    int64_t position; // records and dead letters given
};

static void server_close(struct input *in)
{
    struct server_input *s = (struct server_input *)in;
    scrape_done(&s->scrape);
    counters_free(s->counters);
    arena_done(&s->arena);
    free(s);
}

static int server_seek(struct input *in, int64_t records, int64_t offset, struct error *err)
{
    struct server_input *s = (struct server_input *)in;
    (void)offset;
    (void)err;
    s->position = records; // what was counted meanwhile is gone: the first page is a baseline
    return 0;
}

// A part of what was counted that fits a record; false: nothing is left.
static bool take_part(struct counted *left, struct counted *ret)
{
    *ret = *left;
    ret->prompt = MIN(left->prompt, RECORD_TOKENS_MAX);
    ret->completion = MIN(left->completion, RECORD_TOKENS_MAX);
    ret->cached = MIN(left->cached, ret->prompt);
    ret->requests = MIN(left->requests, RECORD_TOKENS_MAX);
    left->prompt -= ret->prompt;
    left->completion -= ret->completion;
    left->cached -= ret->cached;
    left->requests -= ret->requests;
    return left->prompt + left->completion + left->requests > 0;
}

static void give(struct server_input *s, struct batch *b, const struct counted *n, int64_t wall,
                 int64_t latency)
{
    struct record *r = batch_add(b);
    r->kind = RECORD_USAGE;
    r->usage = (struct usage_record){
        .ts = wall,
        .latency_ns = MIN(latency, RECORD_LATENCY_MAX),
        .has = (n->has_cached ? (uint32_t)USAGE_CACHED : 0) |
               (n->has_requests ? (uint32_t)USAGE_REQUESTS : 0),
        .prompt_tokens = n->prompt,
        .completion_tokens = n->completion,
        .cached_prompt_tokens = n->has_cached ? n->cached : 0,
        .requests = n->has_requests ? n->requests : 1,
        .model = arena_copy(&b->arena, n->model),
        .tenant = arena_copy(&b->arena, n->tenant),
        .gpu_instance = GPU_INSTANCE_NONE,
    };
    placement_apply(&s->place, r, &b->arena);
    scrape_deliver(&s->base, b, &s->ids, wall, &s->position);
}

static void give_all(struct server_input *s, struct batch *b, struct mono at, int64_t wall)
{
    size_t n;
    const struct counted *counted = counters_counted(s->counters, &n);
    for (size_t i = 0; i < n; i++) {
        struct counted left = counted[i], part;
        bool more = true;
        while (more) {
            more = take_part(&left, &part);
            give(s, b, &part, wall, at.ns - s->taken.ns);
        }
    }
}

static void take_page(struct server_input *s, struct batch *b, struct mono at, int64_t wall)
{
    const char *url = s->scrape.config.url;
    struct error err;
    int r = counters_take(s->counters, buf_view(&s->scrape.page), wall, &err);
    if (r < 0) {
        error_prefix(&err, "%s", url);
        scrape_took(&s->scrape, &s->base, &err, NULL);
        return;
    }
    if (r == COUNTERS_INTERVAL) {
        give_all(s, b, at, wall);
    }
    s->taken = at;
    const struct error *complaint = counters_complaint(s->counters);
    if (complaint) {
        err = *complaint;
        error_prefix(&err, "%s", url);
    }
    scrape_took(&s->scrape, &s->base, NULL, complaint ? &err : NULL);
}

static int server_next(struct input *in, struct batch *b, struct error *err)
{
    struct server_input *s = (struct server_input *)in;
    struct mono at;
    int64_t wall;
    (void)err;
    if (scrape_next(&s->scrape, in, &at, &wall) == SCRAPE_PAGE) {
        take_page(s, b, at, wall);
    }
    b->position = s->position;
    b->offset = -1;
    return INPUT_MORE;
}

static void describe(struct server_input *s, const char *url)
{
    struct input_info *info = &s->base.info;
    *info = (struct input_info){.name = s->base.uri->text.p, .total = -1};
    char gpus[32] = "no GPU named";
    if (s->place.n_gpus > 0) {
        snprintf(gpus, sizeof(gpus), "%u GPU%s", s->place.n_gpus, s->place.n_gpus > 1 ? "s" : "");
    }
    snprintf(info->about, sizeof(info->about), "%s at %.80s, on %s", s->server->title, url, gpus);
}

static int set_up(struct server_input *s, struct error *err)
{
    const struct uri *uri = s->base.uri;
    const struct server *server = s->server;
    const char *url = NULL;
    int r = placement_read(uri, s->base.env, &s->arena, &s->place, err);
    if (r == 0 && server->asks_model && !str_present(s->place.model)) {
        r = error_set(err, -EINVAL,
                      "'" STR_FMT ":...': %s does not say which model it serves: "
                      "give model=NAME",
                      STR_ARG(uri->scheme), server->title);
    }
    struct str asked = server->query_model ? s->place.model : STR_NONE;
    r = r < 0 ? r : fetch_url(uri, server->path, asked, &s->arena, &url, err);
    r = r < 0 ? r : scrape_open(&s->scrape, &s->base, url, err);
    if (r < 0) {
        return r;
    }
    const struct counters_config config = {
        .server = server,
        .tenant_label = uri_option(uri, "tenant_label").p,
        .model = s->place.model,
    };
    s->counters = counters_new(&config);
    describe(s, url);
    return 0;
}

static int server_open(const struct server *server, const struct input_driver *driver,
                       const struct uri *uri, const struct input_env *env, struct input **ret,
                       struct error *err)
{
    struct server_input *s = x_zalloc(sizeof(*s));
    s->base = (struct input){.driver = driver, .env = env, .uri = uri};
    s->server = server;
    int r = set_up(s, err);
    if (r < 0) {
        server_close(&s->base);
        return r;
    }
    *ret = &s->base;
    return 0;
}

static const struct input_option options[] = {
    SCRAPE_OPTIONS,
    PLACEMENT_OPTIONS,
    {"tenant_label", "LABEL", "the label that names the tenant (LiteLLM: team_alias, team, user)"},
    {NULL, NULL, NULL},
};

#define SERVER_DRIVER(id, proto)                                                                   \
    static int open_##id##_##proto(const struct uri *uri, const struct input_env *env,             \
                                   struct input **ret, struct error *err)                          \
    {                                                                                              \
        return server_open(&server_##id, &input_##id##_##proto, uri, env, ret, err);               \
    }                                                                                              \
    const struct input_driver input_##id##_##proto = {                                             \
        .scheme = #id "+" #proto,                                                                  \
        .synopsis = #id "+" #proto "://HOST[:PORT][/PATH]",                                        \
        .help = "tokens that " #id " counts on its page of metrics, by interval",                  \
        .options = options,                                                                        \
        .open = open_##id##_##proto,                                                               \
        .seek = server_seek,                                                                       \
        .next = server_next,                                                                       \
        .close = server_close,                                                                     \
    };

#define SERVER_DRIVERS(id, ...)                                                                    \
    extern const struct input_driver input_##id##_http, input_##id##_https;                        \
    SERVER_DRIVER(id, http)                                                                        \
    SERVER_DRIVER(id, https)

SERVER_TABLE(SERVER_DRIVERS)
