#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "input/input_impl.h"
#include "input/server_map.h"

SERVER_TABLE(SERVER_EXTERN)

const struct input_driver *const input_drivers[] = {
    &input_file,
    &input_trace,
    &input_synthetic,
    &input_seed,
    &input_events,
    &input_otlp,
    &input_gpu,
    &input_nvml,
    &input_nvidia_smi,
    &input_dcgm_http,
    &input_dcgm_https,
    &input_kafka,
    SERVER_TABLE(SERVER_INPUTS) NULL,
};

static const struct input_driver *find_driver(struct str scheme, const struct input_driver *extra)
{
    size_t i = 0;
    if (extra && str_eq(scheme, str_of(extra->scheme))) {
        return extra;
    }
    while (input_drivers[i] && !str_eq(scheme, str_of(input_drivers[i]->scheme))) {
        i++;
    }
    return input_drivers[i];
}

static int no_driver(const struct uri *uri, struct error *err)
{
    struct buf list;
    buf_init(&list, ERROR_MSG_MAX);
    for (size_t i = 0; input_drivers[i]; i++) {
        buf_printf(&list, "%s%s:", i ? ", " : "", input_drivers[i]->scheme);
    }
    int r = error_set(err, -EINVAL, "no input is called '" STR_FMT ":'; there are: " STR_FMT,
                      STR_ARG(uri->scheme), STR_ARG(buf_view(&list)));
    buf_done(&list);
    return r;
}

// Written by the input's thread, read by others.
struct input_record {
    pthread_mutex_t lock;
    struct input_health health;
    char about[INPUT_ABOUT_MAX]; // "": as info says
};

static struct input_record *record_new(int64_t now)
{
    struct input_record *record = x_zalloc(sizeof(*record));
    pthread_mutex_init(&record->lock, NULL);
    record->health = (struct input_health){.ok = true, .since = now, .last_ok = INT64_MIN};
    return record;
}

static int check_options(const struct uri *uri, const struct input_driver *driver,
                         struct error *err)
{
    const char *known[URI_OPTIONS_MAX + 1] = {NULL};
    for (size_t i = 0; i < URI_OPTIONS_MAX && driver->options[i].name; i++) {
        known[i] = driver->options[i].name;
    }
    return uri_options_known(uri, known, err);
}

int input_open(const struct uri *uri, const struct input_env *env, struct input **ret,
               struct error *err)
{
    const struct input_driver *driver = find_driver(uri->scheme, env->extra);
    if (driver == NULL) {
        return no_driver(uri, err);
    }
    int r = check_options(uri, driver, err);
    r = r < 0 ? r : driver->open(uri, env, ret, err);
    if (r == 0) {
        (*ret)->record = record_new(clock_wall(env->clock));
    }
    return r;
}

void input_close(struct input *in)
{
    if (in) {
        struct input_record *record = in->record;
        in->driver->close(in);
        pthread_mutex_destroy(&record->lock);
        free(record);
    }
}

void input_settle(struct input *in, int64_t position, enum input_fate fate)
{
    if (in->driver->settled) {
        in->driver->settled(in, position, fate);
    } else if (in->driver->stored && fate != FATE_REFUSED) {
        in->driver->stored(in, position);
    }
}

void input_stored(struct input *in, int64_t position)
{
    input_settle(in, position, FATE_STORED);
}

bool input_is_awaited(const struct input *in)
{
    return in->driver->stored != NULL || in->driver->settled != NULL;
}

bool input_is_current(const struct input *in)
{
    return !in->driver->current || in->driver->current(in);
}

unsigned input_behind(const struct input *in, uint32_t shard)
{
    return in->driver->behind ? in->driver->behind(in, shard) : 0;
}

void input_metrics(const struct input *in, struct metric_list *to)
{
    if (in->driver->metrics) {
        in->driver->metrics(in, to);
    }
}

void input_idle(struct input *in)
{
    if (in->driver->idle) {
        in->driver->idle(in);
    }
}

void input_report(struct input *in, const struct error *err)
{
    int64_t now = clock_wall(in->env->clock);
    struct input_record *record = in->record;
    pthread_mutex_lock(&record->lock);
    struct input_health *h = &record->health;
    if (h->ok != (err == NULL)) {
        h->ok = err == NULL;
        h->since = now;
    }
    if (err) {
        h->failures++;
        memcpy(h->error, err->msg, sizeof(h->error));
    } else {
        h->last_ok = now;
    }
    pthread_mutex_unlock(&record->lock);
}

void input_describe(struct input *in, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    pthread_mutex_lock(&in->record->lock);
    vsnprintf(in->record->about, sizeof(in->record->about), fmt, args);
    pthread_mutex_unlock(&in->record->lock);
    va_end(args);
}

void input_about(const struct input *in, char ret[INPUT_ABOUT_MAX])
{
    pthread_mutex_lock(&in->record->lock);
    const char *about = in->record->about[0] ? in->record->about : in->info.about;
    memcpy(ret, about, INPUT_ABOUT_MAX);
    pthread_mutex_unlock(&in->record->lock);
}

void input_health(const struct input *in, struct input_health *ret)
{
    pthread_mutex_lock(&in->record->lock);
    *ret = in->record->health;
    pthread_mutex_unlock(&in->record->lock);
}

const struct input_info *input_info(const struct input *in)
{
    return &in->info;
}

int input_seek(struct input *in, int64_t records, int64_t offset, struct error *err)
{
    return in->driver->seek(in, records, offset, err);
}

int input_next(struct input *in, struct batch *b, struct error *err)
{
    return in->driver->next(in, b, err);
}
