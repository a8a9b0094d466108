// The traces that trace: reads: CSV recognised by the names in its header, or JSON lines by their
// keys. A new format with these is one row in the table of trace_format.c.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum { TRACE_COLUMNS_MAX = 64 };

// A server takes no longer ones.
enum { TRACE_PROMPT_MAX = 1 << 24, TRACE_OUTPUT_MAX = 1 << 20 };

enum trace_field { TRACE_TIME, TRACE_PROMPT, TRACE_OUTPUT, TRACE_MODEL, TRACE_FIELDS };

enum trace_time { TRACE_DATE, TRACE_SECONDS, TRACE_MILLISECONDS };

struct trace_format {
    const char *name; // "Azure"
    bool json;
    enum trace_time time;
    const char *fields[TRACE_FIELDS]; // names; NULL: the format has no such field
};

extern const struct trace_format trace_formats[]; // ends with a NULL name

// What was recognised: a format, and where its fields stand in a CSV.
struct trace_layout {
    const struct trace_format *format;
    size_t columns[TRACE_FIELDS];
    size_t n_columns;
};

// From the first line of a file. False: none that we know.
bool trace_recognise(struct str line, struct trace_layout *ret);

struct trace_request {
    int64_t time; // ns since the epoch (TRACE_DATE), else since the beginning
    int64_t prompt, output;
    struct str model; // borrowed from the line; absent when the format names none
};

// -EINVAL with "ContextTokens: not a number": for a dead letter.
int trace_parse(const struct trace_layout *l, struct str line, struct trace_request *ret,
                struct error *err) GTAP_CHECK;
