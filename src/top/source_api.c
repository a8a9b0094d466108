// Snapshots from the HTTP API of a gtap that serves.
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "input/fetch.h"
#include "top/api_problem.h"
#include "top/source.h"

#define SLICE_NS (200 * NS_PER_MS)
enum { URL_MAX = 2048 };

struct api_source {
    struct top_source base;
    struct top_api_config config;
    struct buf url, page;
};

static bool stopping(const struct api_source *s)
{
    struct pollfd p = {.fd = s->config.stop_fd, .events = POLLIN};
    return p.fd >= 0 && poll(&p, 1, 0) > 0;
}

// What a refusal says in its body is what to do.
static int explain(struct api_source *s, int r, struct error *err)
{
    char detail[ERROR_MSG_MAX];
    if (r == -EACCES) {
        return error_set(err, r, "%s: asks for a token: %s", s->config.url,
                         s->config.token_file ? "it does not accept the one in --api-token-file"
                                              : "give --api-token-file FILE");
    }
    if (top_api_problem(buf_view(&s->page), detail, sizeof(detail))) {
        return error_set(err, r, "%s: %s", s->config.url, detail);
    }
    return r;
}

// GETs s->url into s->page.
static int get(struct api_source *s, struct error *err)
{
    const struct top_api_config *c = &s->config;
    struct input_env env = {.clock = c->clock, .stop_fd = c->stop_fd};
    struct fetch_config config = {.url = s->url.p,
                                  .auth_file = c->token_file,
                                  .ca_file = c->ca_file,
                                  .timeout_ns = c->timeout_ns};
    void *fetch = NULL;
    buf_clear(&s->page);
    int r = c->fetch->open(&config, &fetch, err);
    if (r < 0) {
        return r;
    }
    do {
        r = c->fetch->run(fetch, &env, SLICE_NS, &s->page, err);
        if (r == FETCH_GOING && stopping(s)) {
            r = error_set(err, -ECANCELED, "told to stop");
        }
    } while (r == FETCH_GOING);
    c->fetch->close(fetch);
    return r < 0 ? explain(s, r, err) : 0;
}

static void put_time(struct buf *url, const char *name, int64_t t)
{
    buf_printf(url, "&%s=", name);
    time_format_iso(url, t);
}

// The server's clock is the one that counts, unless a time was given.
static void put_range(struct buf *url, const struct top_snapshot *s)
{
    if (s->ask.at == INT64_MIN && s->ask.window != TOP_TODAY) {
        buf_printf(url, "&since=%s", top_window_name(s->ask.window));
        return;
    }
    put_time(url, "since", s->from);
    if (s->ask.at != INT64_MIN) {
        put_time(url, "until", s->at);
    }
}

static int get_costs(struct api_source *s, struct top_snapshot *snapshot,
                     const enum report_dim *dims, size_t n, struct report *ret, struct error *err)
{
    buf_clear(&s->url);
    buf_printf(&s->url, "%s/api/v1/costs?provisional=true&by=", s->config.url);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&s->url, "%s%s", i > 0 ? "," : "", report_dim_name(dims[i]));
    }
    put_range(&s->url, snapshot);
    ret->query = (struct report_query){.n_by = n, .zone = snapshot->ask.zone};
    memcpy(ret->query.by, dims, n * sizeof(*dims));
    int r = get(s, err);
    return r < 0 ? r : top_api_costs(buf_view(&s->page), snapshot, ret, err);
}

static int api_fetch(struct top_source *base, struct top_snapshot *ret, struct error *err)
{
    static const enum report_dim by_gpu[] = {DIM_GPU, DIM_MODEL};
    struct api_source *s = (struct api_source *)base;
    enum report_dim by[2];
    size_t n = top_group_dims(ret->ask.group, by);
    int r = get_costs(s, ret, by_gpu, ARRAY_LEN(by_gpu), &ret->placed, err);
    r = r < 0 ? r : get_costs(s, ret, by, n, &ret->groups, err);
    if (r < 0) {
        return r;
    }
    buf_clear(&s->url);
    buf_printf(&s->url, "%s/api/v1/gpus", s->config.url);
    r = get(s, err);
    return r < 0 ? r : top_api_gpus(buf_view(&s->page), ret, err);
}

static void api_close(struct top_source *base)
{
    struct api_source *s = (struct api_source *)base;
    buf_done(&s->url);
    buf_done(&s->page);
    free(s);
}

static int check_url(struct str url, struct error *err)
{
    struct str rest = url, scheme;
    bool known = str_split(&rest, ':', &scheme) &&
                 (str_eq(scheme, STR("http")) || str_eq(scheme, STR("https")));
    bool good = known && str_starts(rest, STR("//")) && rest.n > 2 && rest.p[2] != '/' &&
                url.n < URL_MAX / 2;
    for (size_t i = 0; good && i < rest.n; i++) {
        good = rest.p[i] > ' ' && rest.p[i] < 127 && strchr("@?#", rest.p[i]) == NULL;
    }
    return good ? 0
                : error_set(err, -EINVAL,
                            "'" STR_FMT "' is not the address of a gtap that serves: expected "
                            "http://HOST:PORT",
                            STR_ARG(url));
}

int top_source_api(const struct top_api_config *c, struct top_source **ret, struct error *err)
{
    static const struct top_source_ops ops = {api_fetch, api_close};
    int r = check_url(str_of(c->url), err);
    if (r < 0) {
        return r;
    }
    struct api_source *s = x_zalloc(sizeof(*s));
    *s = (struct api_source){.base = {&ops, c->url, c->clock}, .config = *c};
    buf_init(&s->url, URL_MAX);
    buf_init(&s->page, FETCH_PAGE_MAX);
    *ret = &s->base;
    return 0;
}
