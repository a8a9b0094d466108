#include "api/events.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "api/now.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "http/stream.h"

// The store is read in one part of the time in so many, at most once a second.
// Where many listen, "gpus" and "windows" come less often: all together get so many bytes of them a
// second.
#define DETAIL_BYTES ((size_t)8 << 20)
enum { READ_SHARE = 10, BACKLOG = 32, BACKLOG_BYTES = 8 << 20, EVENTS_MAX = 4 << 20 };
#define EVERY_NS NS_PER_S

struct api_events {
    struct api *api;
    struct http_stream *stream;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;   // of what follows
    pthread_cond_t changed; // somebody joined, or it is over
    bool over;

    // Of the thread.
    struct buf text, greeting, data; // scratch
    uint64_t id;
    uint64_t told[2];  // hashes of the newest events "gpus" and "windows"; 0: none was sent
    uint64_t due;      // the id from which on they may be sent again
    uint64_t n_events; // in `text`

    atomic_uint_fast64_t sent; // see struct events_stats
};

// ---- one round -----------------------------------------------------------------------------

static void put_counts(struct json *j, const struct api_gpu_counts *gpus)
{
    json_open(j, "gpus", '{');
    json_int(j, "busy", (i128)gpus->busy);
    json_int(j, "idle", (i128)gpus->idle);
    json_int(j, "silent", (i128)gpus->silent);
    json_int(j, "unpriced", (i128)gpus->unpriced);
    json_close(j, '}');
}

static void put_run(struct json *j, struct api *a, const struct now *n)
{
    const char *faults[API_FAULTS_MAX];
    pthread_mutex_lock(&a->lock);
    bool heard = a->heard && !a->config.serving_only;
    json_int(j, "dead_letters",
             heard ? (i128)a->progress.dead_letters : (i128)n->info.dead_letters);
    if (heard) {
        json_int(j, "late", (i128)a->progress.late);
    } else {
        json_null(j, "late");
    }
    json_bool(j, "ready", api_faults(a, faults) == 0);
    pthread_mutex_unlock(&a->lock);
}

static void put_now(struct buf *b, struct api *a, const struct now *n,
                    const struct api_gpu_counts *gpus)
{
    struct json j = {.b = b};
    json_open(&j, NULL, '{');
    json_time(&j, "at", n->at);
    now_put_rates(&j, n);
    put_run(&j, a, n);
    put_counts(&j, gpus);
    json_close(&j, '}');
}

static void put_event(struct buf *b, uint64_t id, const char *name, struct str data)
{
    buf_printf(b, "id: %llu\nevent: %s\ndata: ", (unsigned long long)id, name);
    buf_str(b, data);
    buf_cstr(b, "\n\n");
}

// To those who listen.
static void tell(struct api_events *e, const char *name, struct str data)
{
    put_event(&e->text, e->id, name, data);
    e->n_events++;
}

// To those who join in any case, to the others when it is new.
static void put_when_new(struct api_events *e, size_t which, const char *name)
{
    struct str data = buf_view(&e->data);
    uint64_t hash = hash_str(data, 1) | 1;
    put_event(&e->greeting, e->id, name, data);
    if (e->told[which] == 0 || (e->told[which] != hash && e->id >= e->due)) {
        tell(e, name, data);
        e->told[which] = hash;
    }
    buf_clear(&e->data);
}

static int put_events(struct api_events *e, struct store *s, struct arena *arena, struct error *err)
{
    struct now now;
    struct api_gpu_counts counts = {0};
    struct buf gpus;
    buf_init(&gpus, EVENTS_MAX);
    int64_t at = clock_wall(e->api->config.clock);
    int r = now_read(s, arena, at, &now, err);
    r = r < 0 ? r : api_gpus_now(s, arena, at, &now.by_gpu, &gpus, &counts, err);
    if (r == 0) {
        put_now(&e->data, e->api, &now, &counts);
        tell(e, "now", buf_view(&e->data));
        put_event(&e->greeting, e->id, "now", buf_view(&e->data));
        buf_clear(&e->data);
        size_t details_at = e->text.n;
        buf_str(&e->data, buf_view(&gpus));
        put_when_new(e, 0, "gpus");
        struct json j = {.b = &e->data};
        now_put_windows(&j, &now);
        put_when_new(e, 1, "windows");
        if (e->text.n > details_at) {
            size_t listeners = http_stream_stats(e->stream).listeners;
            e->due = e->id + 1 + (e->text.n - details_at) * listeners / DETAIL_BYTES;
        }
    }
    buf_done(&gpus);
    return r;
}

static int read_store(struct api_events *e, struct error *err)
{
    struct arena arena = {0};
    struct store *s = NULL;
    pthread_mutex_lock(&e->api->lock);
    bool away = !e->api->progress.store.ok;
    pthread_mutex_unlock(&e->api->lock);
    if (away) { // to look for it takes long; the run tells when it is back
        return error_set(err, -EAGAIN, "the store is away");
    }
    int r = tasks_take(e->api->tasks, &s, err);
    r = r < 0 ? r : put_events(e, s, &arena, err);
    tasks_give(e->api->tasks, s, r == 0);
    arena_done(&arena);
    return r;
}

static void forget(struct api_events *e)
{
    e->told[0] = e->told[1] = 0;
    http_stream_send(e->stream, STR(""), STR(""));
}

static void publish(struct api_events *e)
{
    static const char retry[] = "retry: 2000\n\n";
    struct error err = {0};
    e->id++;
    e->n_events = 0;
    buf_clear(&e->text);
    buf_clear(&e->greeting);
    buf_clear(&e->data);
    buf_cstr(&e->greeting, retry);
    buf_cstr(&e->text, e->told[0] == 0 ? retry : "");
    if (read_store(e, &err) == 0 && buf_ok(&e->text) && buf_ok(&e->greeting)) {
        size_t listeners = http_stream_send(e->stream, buf_view(&e->text), buf_view(&e->greeting));
        atomic_fetch_add(&e->sent, e->n_events * listeners);
        return;
    }
    forget(e); // who joins gets nothing that is old; who listens sees that this is alive
    http_stream_send(e->stream, STR(": the store cannot be read now; /ready says why\n\n"),
                     STR(""));
}

// ---- the thread ----------------------------------------------------------------------------

static struct timespec in_ns(int64_t ns)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    ns += t.tv_nsec;
    t.tv_sec += (time_t)(ns / NS_PER_S);
    t.tv_nsec = (long)(ns % NS_PER_S);
    return t;
}

static bool anyone_listens(const struct api_events *e)
{
    return http_stream_stats(e->stream).listeners > 0;
}

// Under the lock, so that nobody joins unseen between the look and the wait.
static void await_listener(struct api_events *e)
{
    if (!e->over && !anyone_listens(e)) {
        forget(e);
    }
    while (!e->over && !anyone_listens(e)) {
        pthread_cond_wait(&e->changed, &e->lock);
    }
}

static void *run(void *ctx)
{
    struct api_events *e = ctx;
    pthread_mutex_lock(&e->lock);
    await_listener(e);
    while (!e->over) {
        pthread_mutex_unlock(&e->lock);
        struct mono before = clock_mono(&clock_system);
        publish(e);
        int64_t took = clock_mono(&clock_system).ns - before.ns;
        struct timespec until = in_ns(MAX(EVERY_NS, took * READ_SHARE) - took);
        pthread_mutex_lock(&e->lock);
        while (!e->over && pthread_cond_timedwait(&e->changed, &e->lock, &until) == 0) {
            continue;
        }
        await_listener(e);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

static void note_joined(void *ctx)
{
    struct api_events *e = ctx;
    pthread_mutex_lock(&e->lock);
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
}

int events_new(struct api *a, struct http_server *server, struct api_events **ret,
               struct error *err)
{
    struct api_events *e = x_zalloc(sizeof(*e));
    struct http_stream_config config = {.type = "text/event-stream; charset=utf-8",
                                        .headers = "X-Accel-Buffering: no\n",
                                        .backlog = BACKLOG,
                                        .backlog_bytes = BACKLOG_BYTES,
                                        .joined = note_joined,
                                        .ctx = e};
    pthread_condattr_t monotonic;
    e->api = a;
    e->stream = http_stream_new(server, &config);
    buf_init(&e->text, EVENTS_MAX);
    buf_init(&e->greeting, EVENTS_MAX);
    buf_init(&e->data, EVENTS_MAX);
    pthread_mutex_init(&e->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&e->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    e->started = pthread_create(&e->thread, NULL, run, e) == 0;
    if (!e->started) {
        events_free(e);
        return error_set(err, -EAGAIN, "cannot start a thread");
    }
    *ret = e;
    return 0;
}

void events_free(struct api_events *e)
{
    if (!e) {
        return;
    }
    pthread_mutex_lock(&e->lock);
    e->over = true;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
    if (e->started) {
        pthread_join(e->thread, NULL);
    }
    http_stream_free(e->stream);
    buf_done(&e->text);
    buf_done(&e->greeting);
    buf_done(&e->data);
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

struct events_stats events_stats(const struct api_events *e)
{
    struct http_stream_stats stream = http_stream_stats(e->stream);
    return (struct events_stats){.listeners = stream.listeners,
                                 .joined = stream.joined,
                                 .sent = atomic_load(&e->sent),
                                 .cut = stream.cut};
}

// ---- routes --------------------------------------------------------------------------------

static void answer(struct api_task *t)
{
    http_stream_join(t->api->events->stream, t->x);
}

#define EVENTS_ROUTE(called, at)                                                                   \
    {                                                                                              \
        .method = "GET", .path = at, .name = called,                                               \
        .summary = "What is going on now, once a second: events now, gpus and windows",            \
        .type = "text/event-stream", .schema = "{\"type\":\"string\"}", .at_once = true,           \
        .answer = answer                                                                           \
    }
const struct api_route route_events = EVENTS_ROUTE("events", "/api/v1/events");
const struct api_route route_stream = EVENTS_ROUTE("stream", "/api/v1/stream");
