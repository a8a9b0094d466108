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

// And the process ends by itself, with status 0, so many seconds after the first of them, saying
// this line on stderr: for those who lose nothing by that, as whatever calls they are in may take
// longer. Borrowed. 0: it takes what it takes.
void stop_within(unsigned seconds, const char *line);

// Whether a SIGHUP came since this was last asked: files are to be read again.
bool stop_reload_asked(void);
