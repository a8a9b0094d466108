// Writes a page of metrics: Prometheus text 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/), or OpenMetrics 1.0, which leaves
// "_total" out of a counter's family and ends in "# EOF".
#pragma once

#include <stdbool.h>

#include "base/buf.h"

#define PROM_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define PROM_OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct prom {
    struct buf *b;
    bool openmetrics;
    const char *name; // of the current family
    bool labelled;    // the current sample has labels
};

// Begins a family. name: a counter's ends in "_total". All its samples follow.
void prom_family(struct prom *p, const char *name, const char *type, const char *help);
// One sample: prom_begin(), its labels, then the value.
void prom_begin(struct prom *p);
void prom_begin_part(struct prom *p, const char *suffix);            // "_bucket", "_sum", "_count"
void prom_label(struct prom *p, const char *name, struct str value); // absent: ""
void prom_int(struct prom *p, int64_t value);
void prom_real(struct prom *p, double value);
void prom_end(struct prom *p); // of the page

// A family of one sample without labels.
void prom_single_int(struct prom *p, const char *name, const char *type, const char *help,
                     int64_t value);
void prom_single_real(struct prom *p, const char *name, const char *type, const char *help,
                      double value);
