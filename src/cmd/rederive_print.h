// What verify and recompute share: their range, their progress, and how they say what differs. p is
// the ctx of rederive_config's callbacks; buffers are the caller's to print and free.
#pragma once

#include "cmd/cli.h"
#include "pipeline/rederive.h"

// First members of both commands' options.
struct rederive_options {
    struct common common;
    const char *store, *tz;
    struct time_spec since, until;
    int64_t show;
    bool json;
};

struct rederive_print {
    struct cli *cli;
    const struct rederive_options *options;
    const char *verb; // "verifying"
    struct zone zone;
    struct mono began, shown; // shown: of the progress line; 0: not yet
    struct buf differences;   // as text or JSON objects, in the order they came
    size_t n;
    bool ledger; // the result says something of it
};

// Sets p, and c but for what only the caller knows. 0 or an exit status.
int rederive_begin(struct rederive_print *p, struct cli *cli, const struct rederive_options *o,
                   const char *verb, struct rederive_config *c);
void rederive_end(struct rederive_print *p);

// "22 Nov 00:00 to 23 Nov 13:54 UTC: 512,034 requests, 8 GPUs, 2,274 windows"
void rederive_put_range(const struct rederive_print *p, const struct rederive_result *r,
                        struct buf *b);
// The bill, its parts and what is left over.
void rederive_put_money(const struct rederive_result *r, struct buf *b);
// "2 packed hours or days are not what the rows say"
void rederive_put_packs(const struct rederive_result *r, struct buf *b);
// The whole result as JSON, the differences in it.
void rederive_put_json(struct rederive_print *p, const struct rederive_result *r, struct buf *b);
