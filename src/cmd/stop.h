// How a signal becomes a file descriptor.
#pragma once

#include <stdbool.h>

#include "base/error.h"

// From now on the first SIGINT or SIGTERM makes *ret_fd readable, for good, and the next one ends
// the process at once. Once a process.
int stop_on_signals(int *ret_fd, struct error *err) GTAP_CHECK;

// The first of them also sends this text to this socket, at the moment that it comes: what is left
// to do then may take a while. Both are borrowed; -1: to none.
void stop_tells(int socket, const char *text);

// Whether a SIGHUP came since this was last asked: files are to be read again.
bool stop_reload_asked(void);
