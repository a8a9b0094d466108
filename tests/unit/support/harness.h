// Starts a server of tests/support, tells it things, and talks to the fake mongod by libmongoc.
//
// Everything waits for at most TEST_PATIENCE_MS and fails the test when that is over.
#pragma once

#include <mongoc/mongoc.h> // before base/macros.h, whose MIN and MAX its inline functions would use
#include <sys/types.h>

#include "test.h"

struct fake {
    pid_t pid;
    int in, out;     // of the process: its stdin and stdout
    FILE *lines;     // over out
    int port;        // of the fake mongod
    int control;     // a connection to its control channel
    FILE *answers;   // over control
    char ready[256]; // the first line
};

// path: of the program; options: words, NULL at the end, at most 8.
void fake_start(struct fake *f, const char *path, const char *const *options);
void fake_dial(struct fake *f); // the control channel of a fake mongod
void fake_stop(struct fake *f); // its stdin ends, and it must end, well

// One line and its answer, good until the next; both without newlines.
const char *fake_tell(struct fake *f, const char *fmt, ...) GTAP_PRINTF(2, 3); // control channel
const char *fake_say(struct fake *f, const char *fmt, ...) GTAP_PRINTF(2, 3);  // stdin
void fake_must(struct fake *f, const char *line); // tells it; the answer begins with "ok"

int64_t fake_stat(struct fake *f, const char *name); // one of the numbers of `stats`

// A new client; options as in a URI, without the question mark.
mongoc_client_t *fake_client(const struct fake *f, const char *options);
bson_t *from_json(const char *json);

// A connection to loopback, and whether something comes on it: how many bytes, 0 for its end, -1
// for a reset, -2 for silence of so many milliseconds.
int loopback_connect(int port);
ssize_t hear(int fd, void *to, size_t room, int ms);
