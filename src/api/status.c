// /api/v1/status: how the run fares, for people; without a run, what the store says.
#include "api/api_impl.h"

static const struct {
    const char *name;
    size_t at; // of a uint64_t in struct run_progress
} counters[] = {
    {"records", offsetof(struct run_progress, records)},
    {"samples", offsetof(struct run_progress, samples)},
    {"usages", offsetof(struct run_progress, usages)},
    {"tokens", offsetof(struct run_progress, tokens)},
    {"duplicates", offsetof(struct run_progress, duplicates)},
    {"conflicts", offsetof(struct run_progress, conflicts)},
    {"expired", offsetof(struct run_progress, expired)},
    {"dead_letters", offsetof(struct run_progress, dead_letters)},
    {"late", offsetof(struct run_progress, late)},
    {"unplaced", offsetof(struct run_progress, unplaced)},
    {"refused", offsetof(struct run_progress, refused)},
};

static double seconds(int64_t ns)
{
    return (double)ns / (double)NS_PER_S;
}

static void put_age(struct json *j, const char *name, int64_t now, int64_t then)
{
    json_double_known(j, name, then != INT64_MIN, then == INT64_MIN ? 0 : seconds(now - then));
}

static void put_inputs(struct json *j, const struct api *a, int64_t now)
{
    json_open(j, "inputs", '[');
    for (size_t i = 0; i < a->n_sources; i++) {
        const struct api_source *s = &a->sources[i];
        json_open(j, NULL, '{');
        json_str(j, "name", str_of(s->name));
        json_str(j, "about", str_of(s->about));
        json_bool(j, "ok", s->health.ok);
        json_bool(j, "live", s->live);
        json_bool(j, "ended", s->ended);
        json_int(j, "records", (i128)s->records);
        json_int(j, "failures", (i128)s->health.failures);
        json_str(j, "last_error", s->health.error[0] ? str_of(s->health.error) : STR_NONE);
        put_age(j, "age_seconds", now, s->health.last_ok);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void put_counters(struct json *j, const struct run_progress *p)
{
    json_open(j, "counters", '{');
    for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
        uint64_t value;
        memcpy(&value, (const char *)p + counters[i].at, sizeof(value));
        json_int(j, counters[i].name, (i128)value);
    }
    json_close(j, '}');
}

// Under the API's lock.
static void put_run(struct json *j, const struct api *a, int64_t now)
{
    const char *reasons[API_FAULTS_MAX];
    size_t n = api_faults(a, reasons);
    json_bool(j, "ready", n == 0);
    json_open(j, "reasons", '[');
    for (size_t i = 0; i < n; i++) {
        json_str(j, NULL, str_of(reasons[i]));
    }
    json_close(j, ']');
    put_inputs(j, a, now);
    put_counters(j, &a->progress);
    put_age(j, "behind_seconds", now, a->progress.newest);
    json_double(j, "settling_seconds", seconds(a->progress.settling));
}

static void put_info(struct json *j, const struct store_info *i)
{
    json_open(j, "stored", '{');
    json_int(j, "samples", i->samples);
    json_int(j, "usages", i->usages);
    json_int(j, "dead_letters", i->dead_letters);
    json_instant(j, "first", i->first);
    json_instant(j, "last", i->last);
    json_close(j, '}');
    json_instant(j, "final_until", i->final_until);
}

static void answer(struct api_task *t)
{
    struct store_info info;
    struct error err = {0};
    struct buf b;
    if (store_info(t->store, &info, &err) < 0) {
        api_fail(t, &err);
        return;
    }
    buf_init(&b, API_ANSWER_MAX);
    struct json j = {.b = &b};
    json_open(&j, NULL, '{');
    json_str(&j, "version", str_of(t->api->config.version));
    json_str(&j, "store", str_of(store_name(t->store)));
    json_bool(&j, "serving_only", t->api->config.serving_only);
    put_info(&j, &info);
    pthread_mutex_lock(&t->api->lock);
    put_run(&j, t->api, t->now);
    pthread_mutex_unlock(&t->api->lock);
    json_double(&j, "uptime_seconds", seconds(t->now - t->api->began));
    json_time(&j, "at", t->now);
    json_close(&j, '}');
    api_send(t, &b);
}

static const char schema[] =
    "{\"type\":\"object\",\"required\":[\"version\",\"store\",\"serving_only\",\"stored\","
    "\"final_until\",\"ready\",\"reasons\",\"inputs\",\"counters\",\"behind_seconds\","
    "\"settling_seconds\",\"uptime_seconds\",\"at\"],\"properties\":{"
    "\"version\":{\"type\":\"string\"},\"store\":{\"type\":\"string\"},"
    "\"serving_only\":{\"type\":\"boolean\"},\"ready\":{\"type\":\"boolean\"},"
    "\"final_until\":{\"$ref\":\"#/components/schemas/Time\"},"
    "\"reasons\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
    "\"inputs\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"name\",\"ok\","
    "\"live\",\"ended\",\"records\",\"last_error\",\"age_seconds\"]}},"
    "\"counters\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}},"
    "\"behind_seconds\":{\"type\":[\"number\",\"null\"]},"
    "\"uptime_seconds\":{\"type\":\"number\"},\"at\":{\"$ref\":\"#/components/schemas/Time\"}}}";

const struct api_route route_status = {
    .method = "GET",
    .path = "/api/v1/status",
    .name = "status",
    .summary = "How the run fares: inputs, counters, what speaks against being ready",
    .schema = schema,
    .answer = answer,
};
