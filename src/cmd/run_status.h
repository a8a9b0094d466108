// What `gtap run` says while it runs and when it ends. All of it is called on the main thread,
// which is the meter's.
#pragma once

#include "cmd/cli.h"
#include "cmd/run_prices.h"
#include "pipeline/run.h"

// What was said of an input already.
struct input_told {
    bool failing, greeted;
};

struct run_status {
    struct cli *cli;
    const char *output;  // the store's URI; costs of the last minutes are read from it
    struct store *store; // open once there is something to read, until the run ends
    bool store_failing;  // as was told last
    struct run_prices prices;
    struct mono prices_at; // when they were looked at; 0: never
    int64_t prices_wait;   // ns until they are looked at again
    struct mono began;
    struct mono at; // of `last`
    struct run_progress last;
    double records_per_s, tokens_per_s; // smoothed
    struct mono cost_at;                // when the costs below were read; 0: never
    bool has_cost;
    struct input_told *told; // by input
    size_t n_told;
    double usd_per_hour, usd_per_mtok, busy;
};

void run_status_init(struct run_status *s, struct cli *cli, const char *output);
void run_status_done(struct run_status *s);

enum { STATUS_LINE_MAX = 1024 };

// How the run goes: shown as a line that overwrites itself on a terminal, and put into *ret_line.
// An input or the store that begins to fail, or comes back, is told once.
void run_status_progress(struct run_status *s, const struct run_progress *p, struct buf *ret_line);
void run_status_notice(struct run_status *s, const char *text);

// The lines at the end, on cli->err.
void run_status_summary(struct run_status *s, const struct run_progress *p);
// What failed, what is safe, what to do next; the exit status.
int run_status_failure(struct run_status *s, const struct run_progress *p, const struct error *err);

// One line of status as run_status_progress shows it, for tests.
void run_status_line(const struct run_status *s, const struct run_progress *p, struct buf *b);
