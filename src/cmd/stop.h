// How a signal becomes a file descriptor.
#pragma once

#include <stdbool.h>

#include "base/error.h"

// From now on the first SIGINT or SIGTERM makes *ret_fd readable, for good, and the next one ends
// the process at once. Once a process.
int stop_on_signals(int *ret_fd, struct error *err) GTAP_CHECK;

// Whether a SIGHUP came since this was last asked: files are to be read again.
bool stop_reload_asked(void);
