// For those who write an input: one file that ends in one const struct input_driver, and one line
// in the array of input.c. Contracts are those of input.h.
//
// open(), seek() and close() are called on the meter's thread, next() on the input's own, never two
// of them at once: a driver needs no lock. It owns what it allocated until close(), which comes
// once for every open() that succeeded, also after an error.
#pragma once

#include "input/input.h"

struct input {
    const struct input_driver *driver;
    struct input_info info;
    const struct input_env *env;
    const struct uri *uri;
    struct input_record *record; // of its health; made by input_open() once the driver's is done
};

// For live inputs, from their own thread: how the last attempt went. NULL: well.
void input_report(struct input *in, const struct error *err);
// What it turned out to be, from input_next() on.
void input_describe(struct input *in, const char *fmt, ...) GTAP_PRINTF(2, 3);

struct input_option {
    const char *name, *value, *help; // "gpus", "N", "number of simulated GPUs (default 8)"
};

struct input_driver {
    const char *scheme;
    const char *synopsis;               // "file:PATH | file:-"
    const char *help;                   // one line
    const struct input_option *options; // ends with a NULL name; the only options accepted
    // On success *ret has driver, info, env and uri set; on failure nothing is left behind. A
    // driver that only chooses another leaves the rest NULL, and *ret is the other's.
    int (*open)(const struct uri *uri, const struct input_env *env, struct input **ret,
                struct error *err);
    int (*seek)(struct input *in, int64_t records, int64_t offset, struct error *err);
    int (*next)(struct input *in, struct batch *b, struct error *err);
    void (*stored)(struct input *in, int64_t position); // NULL: it does not care
    // Instead of stored(), for those whose sender is told; NULL: what is refused it is not told.
    void (*settled)(struct input *in, int64_t position, enum input_fate fate);
    bool (*current)(const struct input *in);                         // NULL: always
    unsigned (*behind)(const struct input *in, uint32_t shard);      // NULL: of nothing
    void (*metrics)(const struct input *in, struct metric_list *to); // NULL: none
    void (*idle)(struct input *in);                                  // NULL: nothing to do
    void (*close)(struct input *in);
};

extern const struct input_driver input_file, input_trace, input_synthetic, input_seed;
extern const struct input_driver input_events, input_otlp;
extern const struct input_driver input_gpu, input_nvml, input_nvidia_smi;
extern const struct input_driver input_dcgm_http, input_dcgm_https;
extern const struct input_driver input_kafka;

// All drivers, NULL-terminated: input_open() and the generated documentation walk it.
extern const struct input_driver *const input_drivers[];
