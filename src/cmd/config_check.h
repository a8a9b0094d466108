// Whether a configuration file says anything that nobody would ever read.
#pragma once

#include "cmd/config_file.h"

// -EINVAL "PATH:LINE: unknown ..., did you mean ...?" for the first section or key that no command
// has. Values are checked by the commands that use them.
int config_check(const struct config_file *f, struct arena *a, struct error *err) GTAP_CHECK;
