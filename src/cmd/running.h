// Running a pipeline as a command: what it serves, what it says while it runs and when it ends.
#pragma once

#include "cmd/cli.h"
#include "cmd/serving.h"
#include "pipeline/run.h"

struct run_options {
    const struct serving_options *serving;
    bool json; // at the end, print what was done
};

// Fills in who listens and what a signal stops, runs, and reports. Returns the exit status.
int run_and_report(struct cli *cli, struct run_config *c, const struct run_options *o) GTAP_CHECK;
