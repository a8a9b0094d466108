// What the rows of a FOCUS export are made of (internal to src/report).
#pragma once

#include "report/query.h"

// Where the values of a report's row stand: by period, GPU, site, tenant, model.
enum { AT_TIME, AT_GPU, AT_SITE, AT_TENANT, AT_MODEL };

enum { FOCUS_RATIO_DECIMALS = 18 };

// One charge: the input or output tokens of a row of the report, or GPU time that none used.
struct charge {
    const struct report_row *row;
    enum meter { METER_INPUT, METER_OUTPUT, METER_TIME } meter;
    i128 cost_nusd, tokens, ns; // ns: GPU time that it stands for
    i128 ratio;                 // of its origin charge, in 10^-18; -1: it is no part of one
};

struct focus_charges {
    struct charge *v; // the caller frees it
    size_t n, cap;
};

// By period, GPU, kind, tenant, model: the same store, the same order. The charges of one period
// and GPU are the parts of an origin charge, whose ratios add up to 1: in proportion to cost, or to
// time where none of them cost anything.
void focus_collect(struct focus_charges *f, const struct report *r);
