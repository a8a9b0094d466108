// Outputs without an engine (null:, stdout:): records pass through, in the order they come.
#pragma once

#include "pipeline/run.h"

bool relay_serves(const char *output); // whether it is such an output
int relay_run(const struct run_config *c, struct run_progress *ret, struct error *err) GTAP_CHECK;
