#include "api/task.h"

#include <errno.h>
#include <stdlib.h>

#include "api/api_impl.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "base/queue.h"

enum { WORKERS = 3, WAITING_MAX = 64, HANDLES_MAX = 4 };

// What a route's handler is handed.
struct bound {
    struct api_tasks *tasks;
    struct http_route http;
    const struct api_route *route;
};

struct api_tasks {
    struct api *api;
    struct bound *bound;
    struct queue *waiting;
    pthread_t workers[WORKERS];
    size_t n_workers;
    pthread_mutex_t lock; // of what follows
    struct store *idle[HANDLES_MAX];
    size_t n_idle;
};

// ---- handles -----------------------------------------------------------------------------------

int tasks_take(struct api_tasks *t, struct store **ret, struct error *err)
{
    struct store *s = NULL;
    pthread_mutex_lock(&t->lock);
    if (t->n_idle > 0) {
        s = t->idle[--t->n_idle];
    }
    pthread_mutex_unlock(&t->lock);
    *ret = s;
    return s ? 0 : api_open_store(t->api, ret, err);
}

void tasks_give(struct api_tasks *t, struct store *s, bool good)
{
    if (s && good && store_is_shared(s)) {
        pthread_mutex_lock(&t->lock);
        if (t->n_idle < HANDLES_MAX) {
            t->idle[t->n_idle++] = TAKE_PTR(s);
        }
        pthread_mutex_unlock(&t->lock);
    }
    store_close(s);
}

// ---- a request comes in ------------------------------------------------------------------------

static void task_free(struct api_task *t)
{
    arena_done(&t->arena);
    free(t);
}

struct pairs {
    struct api_task *task;
    struct param_pair v[PARAM_PAIRS_MAX];
    size_t n;
    bool too_many;
};

static bool take_pair(void *ctx, struct str name, struct str value)
{
    struct pairs *p = ctx;
    if (p->n == PARAM_PAIRS_MAX) {
        p->too_many = true;
        return false;
    }
    struct param_pair *one = &p->v[p->n++];
    one->name = arena_copy(&p->task->arena, name);
    one->value = arena_copy(&p->task->arena, value);
    p->task->hash = hash_str(one->value, hash_str(one->name, p->task->hash));
    return true;
}

// False: refused.
static bool read_params(struct api_task *t)
{
    struct error err = {0};
    struct str name;
    AUTO_FREE struct pairs *p = x_zalloc(sizeof(*p));
    p->task = t;
    http_query_each(t->x, take_pair, p);
    if (p->too_many) {
        http_refuse(t->x, 400, "more than %d parameters: choose fewer", PARAM_PAIRS_MAX);
        return false;
    }
    t->params = arena_alloc(&t->arena, t->route->size + 1);
    memset(t->params, 0, t->route->size);
    if (params_parse(t->route->params, p->v, p->n, t->params, &t->arena, &name, &err) == 0) {
        return true;
    }
    AUTO_FREE char *text = x_strndup(name.p, name.n);
    http_refuse_parameter(t->x, text, "%s: %s", text, err.msg);
    return false;
}

static bool store_away(struct api *a)
{
    pthread_mutex_lock(&a->lock);
    bool away = !a->progress.store.ok;
    pthread_mutex_unlock(&a->lock);
    return away;
}

static void enqueue(struct api_tasks *tasks, struct api_task *t)
{
    if (store_away(tasks->api)) {
        http_refuse(t->x, 503, "the store is away: ask again; /ready says why");
        task_free(t);
        return;
    }
    http_defer(t->x);
    if (queue_try_push(tasks->waiting, t) < 0) {
        http_refuse(t->x, 503, "too many ask at a time: ask again");
        task_free(t);
    }
}

static void arrive(void *ctx, struct http_exchange *x)
{
    const struct bound *b = ctx;
    struct api_task *t = x_zalloc(sizeof(*t));
    *t = (struct api_task){.api = b->tasks->api, .route = b->route, .x = x};
    t->now = clock_wall(t->api->config.clock);
    t->rest = arena_copy(&t->arena, http_rest(x));
    t->hash = hash_str(http_path(x), 0);
    if (!read_params(t)) {
        task_free(t);
    } else if (b->route->at_once) {
        b->route->answer(t);
        task_free(t);
    } else {
        enqueue(b->tasks, t);
    }
}

// ---- answering ---------------------------------------------------------------------------------

static void *work(void *ctx)
{
    struct api_tasks *tasks = ctx;
    struct api_task *t;
    while ((t = queue_pop(tasks->waiting, -1)) != NULL) {
        struct error err = {0};
        if (queue_closed(tasks->waiting)) {
            http_refuse(t->x, 503, "the server is stopping: ask again");
        } else if (tasks_take(tasks, &t->store, &err) < 0) {
            http_refuse(t->x, 503, "%s", err.msg);
        } else {
            t->route->answer(t);
            tasks_give(tasks, t->store, !t->store_failed);
        }
        task_free(t);
    }
    return NULL;
}

static int bind_routes(struct api_tasks *t, struct http_server *server, struct error *err)
{
    int r = 0;
    t->bound = x_array(n_api_routes, sizeof(*t->bound));
    for (size_t i = 0; i < n_api_routes && r == 0; i++) {
        const struct api_route *route = api_routes[i];
        struct bound *b = &t->bound[i];
        *b = (struct bound){.tasks = t, .route = route};
        b->http =
            (struct http_route){.method = route->method,
                                .path = route->path,
                                .flags = route->flags ? route->flags : HTTP_READING | HTTP_CORS,
                                .body_max = route->body_max,
                                .handle = arrive,
                                .help = route->summary};
        r = http_server_add(server, NULL, &b->http, 1, b, err);
    }
    return r;
}

int tasks_new(struct api *a, struct http_server *server, struct api_tasks **ret, struct error *err)
{
    struct api_tasks *t = x_zalloc(sizeof(*t));
    t->api = a;
    t->waiting = queue_new(WAITING_MAX);
    pthread_mutex_init(&t->lock, NULL);
    int r = bind_routes(t, server, err);
    while (r == 0 && t->n_workers < WORKERS) {
        if (pthread_create(&t->workers[t->n_workers], NULL, work, t) != 0) {
            r = error_set(err, -EAGAIN, "cannot start a thread");
        } else {
            t->n_workers++;
        }
    }
    if (r < 0) {
        tasks_free(t);
        return r;
    }
    *ret = t;
    return 0;
}

void tasks_free(struct api_tasks *t)
{
    if (!t) {
        return;
    }
    queue_close(t->waiting);
    for (size_t i = 0; i < t->n_workers; i++) {
        pthread_join(t->workers[i], NULL);
    }
    for (size_t i = 0; i < t->n_idle; i++) {
        store_close(t->idle[i]);
    }
    queue_free(t->waiting);
    pthread_mutex_destroy(&t->lock);
    free(t->bound);
    free(t);
}
