// For those who write a sink: a driver is one const struct and one line in sink.c's array.
// Contracts are those of sink.h.
#pragma once

#include <pthread.h>

#include "output/sink.h"

struct sink {
    const struct sink_driver *driver;
    const struct sink_env *env;
    pthread_mutex_t lock; // of health
    struct sink_health health;
};

// For drivers: open() begins with sink_init(), and close() leaves the struct to be freed.
void sink_init(struct sink *s, const struct sink_driver *driver, const struct sink_env *env);
// How the last attempt went. NULL: well.
void sink_report(struct sink *s, const struct error *err);

struct sink_driver {
    const char *scheme;
    const char *const *options; // of the URI; NULL: none, and nothing may follow "scheme:"
    // The URI is borrowed for the call. On failure nothing is left behind.
    int (*open)(const struct uri *uri, const struct sink_env *env, struct sink **ret,
                struct error *err);
    int (*write)(struct sink *s, const struct record *records, size_t n, enum sink_place *ret,
                 struct error *err);
    int64_t (*waiting)(struct sink *s);                      // NULL: nothing ever does
    void (*metrics)(struct sink *s, struct metric_list *to); // NULL: none
    void (*close)(struct sink *s);
};

extern const struct sink_driver sink_stdout, sink_null, sink_kafka;
