// A program that is run for what it prints. No shell: the program and its words as they are. It
// runs in a process group of its own with no signal blocked or ignored, so that it dies of being
// told to, and of nobody reading it.
//
// Not thread-safe. Nothing here waits but child_end().
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"

enum { CHILD_SAID_MAX = 200 };

struct child {
    pid_t pid;                 // 0: none
    int out, err;              // pipes from its stdout and stderr, non-blocking
    char said[CHILD_SAID_MAX]; // the last line of its stderr that is not blank
    size_t n_line;             // bytes of the line that is being read
    char line[CHILD_SAID_MAX];
};

// `program` is looked for in PATH unless it has a slash. argv ends with NULL. -ENOENT, -EACCES ...
// with a message that names the program.
int child_start(struct child *c, const char *program, const char *const *argv, struct error *err)
    GTAP_CHECK;

// What it printed, up to n bytes: > 0, 0 at its end, -EAGAIN when there is nothing yet. Also takes
// what it wrote to stderr.
ssize_t child_read(struct child *c, char *p, size_t n);

// Ends it: SIGTERM, SIGKILL after patience_ns. One whose output has come to its end first gets as
// long to end by itself, so that its status is its own. Reaps it and closes the pipes. Returns
// waitpid()'s status. Accepts one that was never started (0).
int child_end(struct child *c, bool finished, int64_t patience_ns);

// "it ended with status 9", "signal 9 ended it".
void child_words(int status, char *ret, size_t n);
