#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/api_impl.h"
#include "api/assets.h"
#include "api/events.h"
#include "base/alloc.h"
#include "output/sink.h"

#define STOP_NS NS_PER_S

static const struct http_route routes[] = {
    {.method = "GET", .path = "/health", .handle = api_health, .help = "whether the threads move"},
    {.method = "GET",
     .path = "/ready",
     .handle = api_ready,
     .help = "whether records come in and are stored, input by input"},
    {.method = "GET",
     .path = "/metrics",
     .handle = api_metrics,
     .help = "counters, costs and rates for Prometheus"},
    {.method = "GET",
     .path = "/gpu/info",
     .handle = api_gpu_info,
     .help = "the newest sample of each GPU"},
};

// One a line: clang-format would make columns of them.
// clang-format off
const struct api_route *const api_routes[] = {
    &route_costs,
    &route_requests,
    &route_request,
    &route_gpus,
    &route_prices,
    &route_add_price,
    &route_dead_letters,
    &route_status,
    &route_events,
    &route_stream,
    &route_openapi,
};
// clang-format on
const size_t n_api_routes = ARRAY_LEN(api_routes);

int api_new(const struct api_config *c, struct http_server *server, struct api **ret,
            struct error *err)
{
    struct api *a = x_zalloc(sizeof(*a));
    *a = (struct api){.config = *c, .server = server, .began = clock_wall(c->clock)};
    a->progress.newest = a->progress.frontier = INT64_MIN;
    a->progress.store.ok = a->progress.writer_moves = true;
    buf_init(&a->costs, API_PAGE_MAX);
    pthread_mutex_init(&a->lock, NULL);
    pthread_mutex_init(&a->costs_lock, NULL);
    int r = http_server_add(server, NULL, routes, ARRAY_LEN(routes), a, err);
    r = r < 0 ? r : assets_add(server, err);
    if (r == 0 && !sink_known(c->store)) {
        r = tasks_new(a, server, &a->tasks, err);
        r = r < 0 ? r : events_new(a, server, &a->events, err);
    }
    if (r < 0) {
        api_free(a);
        return r;
    }
    *ret = a;
    return 0;
}

static void drop_sources(struct api *a)
{
    for (size_t i = 0; i < a->n_sources; i++) {
        free(a->sources[i].name);
    }
    free(a->sources);
    a->sources = NULL;
    a->n_sources = 0;
}

void api_free(struct api *a)
{
    if (!a) {
        return;
    }
    http_server_stop(a->server, STOP_NS); // nobody asks any more
    events_free(a->events);
    tasks_free(a->tasks);
    drop_sources(a);
    metric_list_done(&a->metrics);
    buf_done(&a->costs);
    pthread_mutex_destroy(&a->lock);
    pthread_mutex_destroy(&a->costs_lock);
    free(a);
}

// Equal names are told apart: Prometheus refuses what is said twice.
static char *unique_name(const struct run_progress *p, size_t i)
{
    size_t before = 0;
    for (size_t k = 0; k < i; k++) {
        before += strcmp(p->sources[k].name, p->sources[i].name) == 0;
    }
    return before ? x_asprintf("%s (%zu)", p->sources[i].name, before + 1)
                  : x_strdup(p->sources[i].name);
}

static void take_sources(struct api *a, const struct run_progress *p)
{
    if (a->n_sources != p->n_sources) { // their names and number do not change while a run lasts
        drop_sources(a);
        a->sources = x_array(p->n_sources, sizeof(a->sources[0]));
        a->n_sources = p->n_sources;
        for (size_t i = 0; i < p->n_sources; i++) {
            a->sources[i].name = unique_name(p, i);
        }
    }
    for (size_t i = 0; i < p->n_sources; i++) {
        const struct run_source *s = &p->sources[i];
        a->sources[i].live = s->live;
        a->sources[i].ended = s->ended;
        a->sources[i].joined = s->joined;
        a->sources[i].records = s->records;
        a->sources[i].health = s->health;
        snprintf(a->sources[i].about, sizeof(a->sources[i].about), "%s", s->about);
    }
}

static void take_metrics(struct api *a, const struct metric_list *from)
{
    metric_list_clear(&a->metrics);
    for (size_t i = 0; from && i < from->n; i++) {
        ARRAY_RESERVE(a->metrics.v, a->metrics.n, a->metrics.cap);
        a->metrics.v[a->metrics.n++] = from->v[i];
    }
}

void api_progress(struct api *a, const struct run_progress *p)
{
    pthread_mutex_lock(&a->lock);
    take_sources(a, p);
    take_metrics(a, p->metrics);
    a->progress = *p;
    a->progress.sources = NULL; // the copies are in a->sources
    a->progress.metrics = NULL; // and in a->metrics
    a->heard = true;
    a->alive = clock_mono(a->config.clock);
    pthread_mutex_unlock(&a->lock);
}

int api_open_store(const struct api *a, struct store **ret, struct error *err)
{
    return store_open(a->config.store, STORE_READ, ret, err);
}

int api_take_store(struct api *a, struct store **ret, struct error *err)
{
    return a->tasks ? tasks_take(a->tasks, ret, err) : api_open_store(a, ret, err);
}

void api_give_store(struct api *a, struct store *s, bool good)
{
    if (a->tasks) {
        tasks_give(a->tasks, s, good);
    } else {
        store_close(s);
    }
}
