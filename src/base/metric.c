#include "base/metric.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

double histogram_bound(const struct histogram *h, size_t bucket)
{
    return bucket + 1 < HISTOGRAM_BUCKETS ? ldexp(h->least, 2 * (int)bucket) : (double)INFINITY;
}

void histogram_add(struct histogram *h, double value)
{
    size_t bucket = 0;
    while (value > histogram_bound(h, bucket)) {
        bucket++;
    }
    // One thread writes: a load and a store cannot lose anything between them.
    double sum = atomic_load_explicit(&h->sum, memory_order_relaxed);
    atomic_store_explicit(&h->sum, sum + value, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->buckets[bucket], 1, memory_order_relaxed);
}

struct metric *metric_add(struct metric_list *to, const struct metric_def *def, double number)
{
    ARRAY_RESERVE(to->v, to->n, to->cap);
    struct metric *m = &to->v[to->n++];
    *m = (struct metric){.def = def, .number = number};
    return m;
}

struct metric *metric_add_histogram(struct metric_list *to, const struct metric_def *def,
                                    const struct histogram *h)
{
    struct metric *m = metric_add(to, def, atomic_load_explicit(&h->sum, memory_order_relaxed));
    m->least = h->least;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        m->buckets[i] = atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
    }
    return m;
}

void metric_label(struct metric *m, const char *name, const char *value)
{
    size_t i = 0;
    while (i < METRIC_LABELS && m->label[i]) {
        i++;
    }
    assert(i < METRIC_LABELS);
    m->label[i] = name;
    memcpy(m->value[i], value, strnlen(value, sizeof(m->value[i]) - 1)); // it was all zeros
}

void metric_label_int(struct metric *m, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, value);
    metric_label(m, name, text);
}

void metric_list_clear(struct metric_list *l)
{
    l->n = 0;
}

void metric_list_done(struct metric_list *l)
{
    free(l->v);
    *l = (struct metric_list){0};
}
