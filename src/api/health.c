// /health: liveness. /ready: readiness, with the state of every input.
#include "api/api_impl.h"
#include "report/json.h"

#define SILENCE_MAX_NS (60 * NS_PER_S)
enum { READY_BYTES_MAX = 4 << 20 };

static bool threads_move(const struct api *a)
{
    return !a->heard || clock_mono(a->config.clock).ns - a->alive.ns < SILENCE_MAX_NS;
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
static bool is_ready(const struct api *a)
{
    bool good = false, failing = false;
    for (size_t i = 0; i < a->n_sources; i++) {
        const struct api_source *s = &a->sources[i];
        good |= !s->ended && s->health.ok;
        failing |= !s->ended && !s->health.ok;
    }
    return a->heard && threads_move(a) && (good || !failing);
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

void api_ready(void *ctx, struct http_exchange *x)
{
    struct api *a = ctx;
    struct buf b;
    buf_init(&b, READY_BYTES_MAX);
    struct json j = {.b = &b};
    int64_t now = clock_wall(a->config.clock);
    pthread_mutex_lock(&a->lock);
    bool ready = is_ready(a);
    json_open(&j, NULL, '{');
    json_bool(&j, "ready", ready);
    json_open(&j, "inputs", '[');
    for (size_t i = 0; i < a->n_sources; i++) {
        put_source(&j, &a->sources[i], now);
    }
    json_close(&j, ']');
    json_close(&j, '}');
    pthread_mutex_unlock(&a->lock);
    buf_char(&b, '\n');
    http_answer(x, ready ? 200 : 503, "application/json", NULL, buf_view(&b));
    buf_done(&b);
}
