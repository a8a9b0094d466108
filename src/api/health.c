// /health: liveness. /ready: readiness, with the state of every input and of the store.
#include "api/api_impl.h"
#include "report/json.h"

#define SILENCE_MAX_NS (60 * NS_PER_S)
enum { READY_BYTES_MAX = 4 << 20 };

// What the store takes long for, the threads may take long for: to begin again would not help.
static bool threads_move(const struct api *a)
{
    bool told = clock_mono(a->config.clock).ns - a->alive.ns < SILENCE_MAX_NS;
    return !a->heard || (told && a->progress.writer_moves);
}

void api_health(void *ctx, struct http_exchange *x)
{
    struct api *a = ctx;
    pthread_mutex_lock(&a->lock);
    bool moving = threads_move(a);
    pthread_mutex_unlock(&a->lock);
    if (moving) {
        http_answer(x, 200, "application/json", NULL, STR("{\"status\":\"ok\"}\n"));
    } else {
        http_refuse(x, 503, "the pipeline has not moved for a minute");
    }
}

// Something can still come: a run of which every input that has not ended fails takes nothing in.
static bool any_comes(const struct api *a)
{
    bool good = false, failing = false;
    for (size_t i = 0; i < a->n_sources; i++) {
        const struct api_source *s = &a->sources[i];
        good |= !s->ended && s->health.ok;
        failing |= !s->ended && !s->health.ok;
    }
    return good || !failing;
}

static bool all_joined(const struct api *a)
{
    for (size_t i = 0; i < a->n_sources; i++) {
        if (!a->sources[i].joined) {
            return false;
        }
    }
    return true;
}

size_t api_faults(const struct api *a, const char *ret[API_FAULTS_MAX])
{
    const struct {
        bool is;
        const char *text;
    } faults[API_FAULTS_MAX] = {
        {!a->config.serving_only && (!a->heard || a->progress.opening), "the run has not begun"},
        {!threads_move(a), "the pipeline has not moved for a minute"},
        {!any_comes(a), "no input can be read"},
        {a->heard && !a->progress.opening && !all_joined(a),
         "an input has not been told yet which shards are its own"},
        {!a->progress.store.ok,
         a->config.serving_only ? "the store cannot be read" : "the store cannot be written"},
        {a->progress.draining, "told to stop"},
    };
    size_t n = 0;
    for (size_t i = 0; i < API_FAULTS_MAX; i++) {
        if (faults[i].is) {
            ret[n++] = faults[i].text;
        }
    }
    return n;
}

static void put_age(struct json *j, const char *name, int64_t now, int64_t then)
{
    if (then == INT64_MIN) {
        json_null(j, name);
    } else {
        json_double(j, name, (double)(now - then) / (double)NS_PER_S);
    }
}

static void put_source(struct json *j, const struct api_source *s, int64_t now)
{
    json_open(j, NULL, '{');
    json_str(j, "input", str_of(s->name));
    json_str(j, "about", str_of(s->about));
    json_bool(j, "ok", s->health.ok);
    json_bool(j, "ended", s->ended);
    json_int(j, "records", (i128)s->records);
    json_int(j, "failures", (i128)s->health.failures);
    put_age(j, "last_success_age_s", now, s->health.last_ok);
    json_str(j, "last_error", s->health.error[0] ? str_of(s->health.error) : STR_NONE);
    json_close(j, '}');
}

static void put_store(struct json *j, const struct run_store *s, int64_t now)
{
    json_open(j, "store", '{');
    json_bool(j, "ok", s->ok);
    put_age(j, "since_s", now, s->since ? s->since : INT64_MIN);
    json_int(j, "retries", (i128)s->retries);
    json_str(j, "last_error", s->error[0] ? str_of(s->error) : STR_NONE);
    json_close(j, '}');
}

static void put_state(struct json *j, const struct api *a, const char *const *faults, size_t n)
{
    int64_t now = clock_wall(a->config.clock);
    json_open(j, NULL, '{');
    json_bool(j, "ready", n == 0);
    json_open(j, "inputs", '[');
    for (size_t i = 0; i < a->n_sources; i++) {
        put_source(j, &a->sources[i], now);
    }
    json_close(j, ']');
    put_store(j, &a->progress.store, now);
    json_open(j, "reasons", '[');
    for (size_t i = 0; i < n; i++) {
        json_str(j, NULL, str_of(faults[i]));
    }
    json_close(j, ']');
    json_close(j, '}');
}

void api_ready(void *ctx, struct http_exchange *x)
{
    struct api *a = ctx;
    const char *faults[API_FAULTS_MAX];
    struct buf b;
    buf_init(&b, READY_BYTES_MAX);
    struct json j = {.b = &b};
    pthread_mutex_lock(&a->lock);
    size_t n = api_faults(a, faults);
    put_state(&j, a, faults, n);
    pthread_mutex_unlock(&a->lock);
    buf_char(&b, '\n');
    http_answer(x, n == 0 ? 200 : 503, "application/json", NULL, buf_view(&b));
    buf_done(&b);
}
