// Where snapshots come from. A source belongs to one thread; it opens what it needs when it is
// asked, and again after a failure, so that whatever was away is back as soon as it can be.
#pragma once

#include "base/error.h"
#include "input/input.h"
#include "top/snapshot.h"

struct top_source;

struct top_source_ops {
    // Fills *ret, which is as top_snapshot_init() left it. A failure is a sentence for the screen;
    // what is asked next may go well.
    int (*fetch)(struct top_source *s, struct top_snapshot *ret, struct error *err);
    void (*close)(struct top_source *s);
};

struct top_source {
    const struct top_source_ops *ops;
    const char *name; // for people, without secrets; borrowed
    const struct clock *clock;
};

// A store. uri is borrowed.
struct top_source *top_source_store(const char *uri, const char *name, const struct clock *clock);

// The HTTP API of a run, a processor or `gtap serve` at "http://HOST:PORT".
struct top_api_config {
    const char *url;        // borrowed, as all texts
    const char *token_file; // NULL: none
    const char *ca_file;    // PEM of the authorities to trust; NULL: the system's
    int64_t timeout_ns;
    const struct fetch_ops *fetch; // input/fetch.h
    int stop_fd;                   // readable: stop at once
    const struct clock *clock;
};
// -EINVAL for what is no address.
int top_source_api(const struct top_api_config *c, struct top_source **ret, struct error *err)
    GTAP_CHECK;
// What the API answers, as text, into a snapshot. -EPROTO saying what is missing.
int top_api_costs(struct str json, struct top_snapshot *s, struct report *ret, struct error *err)
    GTAP_CHECK;
int top_api_gpus(struct str json, struct top_snapshot *s, struct error *err) GTAP_CHECK;

// Inputs of this machine, metered in this process and in memory, as `gtap run` does.
struct run_config;
// c: inputs, settings and environment; borrowed, and what it leaves open is filled in here. Begins
// at once, on threads of its own.
int top_source_run(const struct run_config *c, const char *name, struct top_source **ret,
                   struct error *err) GTAP_CHECK;

int top_source_fetch(struct top_source *s, const struct top_ask *ask, struct top_snapshot **ret,
                     struct error *err) GTAP_CHECK;
void top_source_close(struct top_source *s); // accepts NULL
