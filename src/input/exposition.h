// A cursor over a page of metrics: Prometheus text format 0.0.4 and OpenMetrics 1.0
// (https://prometheus.io/docs/instrumenting/exposition_formats/,
// https://github.com/OpenObservability/OpenMetrics). Pure and without allocation: what it gives is
// borrowed from the page.
//
// Pages are large and we want a few lines of them, so a reader says which names it wants. A line is
// found by memchr(), its name measured and looked up; only lines with a wanted name are taken
// apart.
//
// What real pages hold and this reads: exponents of three digits (1.1e+011), +Inf and NaN, blank
// lines, CRLF, TYPE without HELP and names that differ from their TYPE's, colons in names, escapes
// and spaces in label values, spaces around commas, time stamps, exemplars, `# EOF`, no newline at
// the end. A line that cannot be read is counted and passed over.
//
//     struct exposition_names wanted = {0};
//     exposition_want(&wanted, "vllm:prompt_tokens_total", 0);
//     struct exposition e;
//     exposition_init(&e, page, &wanted);
//     for (struct exposition_sample s; exposition_next(&e, &s);) ...
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum {
    EXPOSITION_NAMES_MAX = 64,
    EXPOSITION_SLOTS = 256,      // of the table of names: mostly free
    EXPOSITION_LABELS_MAX = 64,  // of one sample; a line with more is bad
    EXPOSITION_NUMBER_MAX = 128, // bytes of a value
};

struct exposition_name {
    struct str text; // absent: a free slot
    uint32_t id;
};

// The wanted names. Zeroed: none.
struct exposition_names {
    struct exposition_name slots[EXPOSITION_SLOTS];
    uint32_t n;
    uint64_t heads[EXPOSITION_SLOTS / 64]; // a bit for the first bytes of each name
    bool any_short;                        // a name is too short for that
};

// Adds a name with the id that its samples will carry. The text is borrowed. -ENOSPC: too many;
// -EEXIST: it is there already.
int exposition_want(struct exposition_names *names, const char *name, uint32_t id) GTAP_CHECK;

enum exposition_type { TYPE_UNTOLD, TYPE_COUNTER, TYPE_GAUGE, TYPE_OTHER };

struct exposition_sample {
    struct str name;
    uint32_t id;       // of the wanted name; 0 where all are
    struct str labels; // what stands between the braces, as it stands; see exposition_label()
    struct str number; // the value's text: for those who want it exactly (base/decimal.h)
    double value;      // may be infinite or NaN
    bool has_time;
    int64_t time_ms;           // as stated: since the epoch, in milliseconds
    enum exposition_type type; // of the family whose TYPE line was last, if it is this sample's
};

struct exposition {
    const char *at, *end;
    const struct exposition_names *wanted; // NULL: every name
    struct str type_line;                  // the newest `# TYPE `'s rest, not yet looked at
    uint64_t samples;                      // lines that began like samples so far, wanted or not
    uint64_t bad;                          // of those looked at, lines that could not be read
    bool eof;                              // `# EOF` was seen; nothing is read behind it
};

// The page may end without a newline. `wanted` is borrowed.
void exposition_init(struct exposition *e, struct str page, const struct exposition_names *wanted);

// The next sample that is wanted and can be read; false at the end.
bool exposition_next(struct exposition *e, struct exposition_sample *ret);

struct exposition_label {
    struct str name;
    struct str value; // as it stands: with escapes where has_escapes says so
    bool has_escapes;
};

// Takes the next label off *labels; false when there is none (those of a sample are well-formed).
bool exposition_label(struct str *labels, struct exposition_label *ret);

// The value with \\, \" and \n resolved, written to `room` (at least value.n bytes) only where
// there are escapes.
struct str exposition_value(const struct exposition_label *label, char *room);

// A page that was sent as one JSON string, as llama.cpp did for a while (its issue #17384), is
// unpacked in place; any other is left alone. Returns the length.
size_t exposition_unquote(char *page, size_t n);
