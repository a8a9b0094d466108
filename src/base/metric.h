// Measurements on their way to /metrics. Whoever measures adds to a list; api/ writes the page.
// Names, types and units are Prometheus' (https://prometheus.io/docs/practices/naming/): seconds,
// bytes, "_total" for counters. A family is one static struct metric_def; its samples may be added
// by several parts and in any order, the page brings them together.
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

enum metric_type { METRIC_GAUGE, METRIC_COUNTER, METRIC_HISTOGRAM };

struct metric_def {
    const char *name, *help;
    enum metric_type type;
};

// A distribution, written by one thread and read by any. Buckets are the powers of four from
// `least` on, 12 of them, and what is above.
enum { HISTOGRAM_BUCKETS = 13 };
struct histogram {
    double least; // upper bound of the first bucket; set once
    _Atomic uint64_t buckets[HISTOGRAM_BUCKETS];
    _Atomic double sum;
};
void histogram_add(struct histogram *h, double value);
double histogram_bound(const struct histogram *h, size_t bucket); // INFINITY for the last

enum { METRIC_LABELS = 3, METRIC_LABEL_MAX = 256 };

struct metric {
    const struct metric_def *def;
    const char *label[METRIC_LABELS];            // static; NULL: no more
    char value[METRIC_LABELS][METRIC_LABEL_MAX]; // cut to fit
    double number;
    uint64_t buckets[HISTOGRAM_BUCKETS]; // of a histogram: counts, not cumulated; number is the sum
    double least;
};

struct metric_list {
    struct metric *v;
    size_t n, cap;
};

// The sample just added, for metric_label().
struct metric *metric_add(struct metric_list *to, const struct metric_def *def, double number);
struct metric *metric_add_histogram(struct metric_list *to, const struct metric_def *def,
                                    const struct histogram *h);
void metric_label(struct metric *m, const char *name, const char *value);
void metric_label_int(struct metric *m, const char *name, int64_t value);
void metric_list_clear(struct metric_list *l);
void metric_list_done(struct metric_list *l);
