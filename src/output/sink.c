#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "output/sink_impl.h"

static const struct sink_driver *const drivers[] = {&sink_stdout, &sink_null, &sink_kafka};

static const struct sink_driver *find_driver(const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(drivers); i++) {
        size_t n = strlen(drivers[i]->scheme);
        if (strncmp(text, drivers[i]->scheme, n) == 0 && text[n] == ':') {
            return drivers[i];
        }
    }
    return NULL;
}

bool sink_known(const char *text)
{
    return find_driver(text) != NULL;
}

static int open_uri(const struct sink_driver *driver, const char *text, const struct sink_env *env,
                    struct sink **ret, struct error *err)
{
    struct arena arena = {0};
    struct uri uri;
    int r = uri_parse(&arena, str_of(text), &uri, err);
    r = r < 0 ? r : uri_options_known(&uri, driver->options, err);
    r = r < 0 ? r : driver->open(&uri, env, ret, err);
    arena_done(&arena);
    return r;
}

int sink_open(const char *text, const struct sink_env *env, struct sink **ret, struct error *err)
{
    const struct sink_driver *driver = find_driver(text);
    if (driver == NULL) {
        return error_set(err, -EINVAL, "%s: is not an output; known: stdout:, null:, kafka://",
                         text);
    }
    if (!driver->options && text[strlen(driver->scheme) + 1] != '\0') {
        return error_set(err, -EINVAL, "%s: nothing may follow %s:", text, driver->scheme);
    }
    int r =
        driver->options ? open_uri(driver, text, env, ret, err) : driver->open(NULL, env, ret, err);
    return r;
}

void sink_init(struct sink *s, const struct sink_driver *driver, const struct sink_env *env)
{
    *s = (struct sink){.driver = driver, .env = env};
    s->health = (struct sink_health){.ok = true, .since = clock_wall(env->clock)};
    pthread_mutex_init(&s->lock, NULL);
}

void sink_close(struct sink *s)
{
    if (s) {
        s->driver->close(s);
        pthread_mutex_destroy(&s->lock);
        free(s);
    }
}

int sink_write(struct sink *s, const struct record *records, size_t n, enum sink_place *ret,
               struct error *err)
{
    return s->driver->write(s, records, n, ret, err);
}

void sink_report(struct sink *s, const struct error *err)
{
    pthread_mutex_lock(&s->lock);
    struct sink_health *h = &s->health;
    if (h->ok != (err == NULL)) {
        h->ok = err == NULL;
        h->since = clock_wall(s->env->clock);
    }
    if (err) {
        h->failures++;
        memcpy(h->error, err->msg, sizeof(h->error));
    }
    pthread_mutex_unlock(&s->lock);
}

void sink_health(struct sink *s, struct sink_health *ret)
{
    pthread_mutex_lock(&s->lock);
    *ret = s->health;
    pthread_mutex_unlock(&s->lock);
}

int64_t sink_waiting(struct sink *s)
{
    return s->driver->waiting ? s->driver->waiting(s) : 0;
}

void sink_metrics(struct sink *s, struct metric_list *to)
{
    if (s->driver->metrics) {
        s->driver->metrics(s, to);
    }
}
