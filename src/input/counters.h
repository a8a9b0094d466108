// What a server's counters say was done between two pages: a pure state machine, without clock and
// I/O. Records are made of what it gives by input/servers.c.
//
// A series is one name with one set of labels. Each has its own difference to the page before;
// differences are summed by model and tenant, over engines and whatever labels there are besides.
// Values are read as the decimal numbers they are and rounded to whole tokens, so sums telescope:
// nothing is lost or counted twice, also above 2^53 and where a server counts in fractions.
//
// - The first page is the baseline: what was done before it is not known.
// - The process began anew (process_start_time_seconds moved on by more than 1.5 s): all series
//   count from zero. One that began before the last one, or well before the page before, has not
//   begun since: it is another server behind the same address. Its page is refused; five in a row
//   make it the baseline.
// - A series that fell, or whose _created moved on, counts from zero, and so do those that share
//   its labels (those of the metric itself aside, like finished_reason): they are of one engine. A
//   total that is TYPEd gauge (early SGLang) and falls is a new baseline, nothing more.
// - A series that appears counts from zero: the page before was there and did not have it.
//   Behind a baseline page with unreadable lines it is a baseline.
// - A series that vanishes is remembered; when it comes back, its difference is to when it was
//   seen last.
// - Of several names for one thing the first that a page has counts, and goes on to: another takes
//   over when it has been missing for SWITCH_PAGES pages, and counts from where that one stopped.
// - Cached tokens beyond the prompt's wait for the prompts to come (vLLM counts a hit when a
//   request is scheduled, its prompt when that is done), until the server says that it is idle.
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "input/server_map.h"

enum {
    COUNTERS_SERIES_MAX = 100000, // more are kept out, and said
    COUNTERS_MODELS_MAX = 1000,   // likewise
    COUNTERS_SWITCH_PAGES = 3,
    COUNTERS_FOREIGN_PAGES = 5,
};

// More than this in one interval is no work but a counter gone wild: a new baseline, and said.
#define COUNTERS_TOKENS_MAX INT64_C(1000000000000)

struct counters;

struct counters_config {
    const struct server *server;
    const char *tenant_label; // instead of the server's; NULL: those
    struct str model;         // of series that name none; absent: "unknown"
};

// What one model did for one tenant since the page before.
struct counted {
    struct str model, tenant; // tenant may be absent; they live as long as the counters
    bool has_cached, has_requests;
    int64_t prompt, completion;
    int64_t cached;   // <= prompt
    int64_t requests; // that ended
};

// The texts in the configuration are borrowed.
struct counters *counters_new(const struct counters_config *c);
void counters_free(struct counters *c); // accepts NULL

enum counters_result { COUNTERS_BASELINE = 0, COUNTERS_INTERVAL = 1 };

// Takes the next page, complete at this wall time (ns). COUNTERS_INTERVAL: counters_counted() says
// what was done since the page before that was taken. COUNTERS_BASELINE: nothing is known about the
// time before this page. Else a negative errno with a message, and all is as it was before:
// -EBADMSG: no page of metrics; -ENODATA: it counts requests, but no tokens; -EPROTO: another
// server's.
int counters_take(struct counters *c, struct str page, int64_t wall, struct error *err) GTAP_CHECK;

// Those where something moved, or ran now or at the page before. Valid until the next page.
const struct counted *counters_counted(const struct counters *c, size_t *ret_n);

// What was wrong with the last page although it was taken: lines that could not be read, series or
// models over the limit, a counter gone wild. NULL: nothing.
const struct error *counters_complaint(const struct counters *c);
