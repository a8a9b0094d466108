// The inside of the API, shared by one file for each route. Internal to src/api.
#pragma once

#include <pthread.h>

#include "api/api.h"
#include "api/route.h"
#include "api/task.h"
#include "output/store.h"
#include "report/query.h"

enum { API_PAGE_MAX = 4 << 20 }; // bytes of /metrics

struct api_source {
    char *name, about[INPUT_ABOUT_MAX];
    bool live, ended, joined;
    uint64_t records;
    struct input_health health;
};

struct api {
    struct api_config config;
    struct http_server *server;
    int64_t began;             // wall time
    struct api_tasks *tasks;   // NULL: there is no store to read
    struct api_events *events; // NULL likewise

    pthread_mutex_t lock; // of what follows
    struct run_progress progress;
    struct api_source *sources;
    size_t n_sources;
    struct metric_list metrics;
    bool heard;        // api_progress() was called at all
    struct mono alive; // when it was last
    int64_t fds;       // open ones, at `fds_at`
    struct mono fds_at;

    pthread_mutex_t costs_lock; // of what follows
    struct buf costs;           // of /metrics, as they were at `costs_at`
    struct mono costs_at;
    int64_t costs_took; // ns to find out; 0: never done
};

void api_health(void *ctx, struct http_exchange *x);   // health.c
void api_ready(void *ctx, struct http_exchange *x);    // health.c
void api_metrics(void *ctx, struct http_exchange *x);  // metrics.c
void api_gpu_info(void *ctx, struct http_exchange *x); // gpu_info.c

// health.c: what speaks against being ready, each a sentence; how many. Under the lock.
enum { API_FAULTS_MAX = 6 };
size_t api_faults(const struct api *a, const char *ret[API_FAULTS_MAX]);

// gpus.c: {"items":[...]} of /api/v1/gpus but for what is of today. recent: by GPU and model, in
// the order of names.
struct api_gpu_counts {
    size_t busy, idle, silent, unpriced;
};
int api_gpus_now(struct store *s, struct arena *a, int64_t now, const struct report *recent,
                 struct buf *b, struct api_gpu_counts *ret, struct error *err) GTAP_CHECK;

void openapi_write(struct buf *b, const char *version); // openapi.c

// The store, for one answer: store_close() it then. A reader that outlived the run's own handle
// would leave the store's log behind. -ENOENT: none yet.
int api_open_store(const struct api *a, struct store **ret, struct error *err) GTAP_CHECK;
// The same from those that the tasks keep, where there are any; given back, good unless it failed.
int api_take_store(struct api *a, struct store **ret, struct error *err) GTAP_CHECK;
void api_give_store(struct api *a, struct store *s, bool good);
