// Opens inputs on temporary files with a clock of the test's own, and writes down what they give.
#pragma once

#include "base/buf.h"
#include "input/input_impl.h"
#include "test.h"

enum { HARNESS_BATCHES_MAX = 1 << 20 };

struct fake_clock {
    struct clock base;
    int64_t wall, mono; // ns
};

struct harness {
    char dir[64];
    struct arena arena;
    struct fake_clock clock;
    struct input_env env;    // stop_fd is readable at once: nothing in a test ever waits
    const char *const *vars; // "NAME", "value", ..., NULL
};

void harness_init(struct harness *h);
void harness_done(struct harness *h); // removes the directory and what is in it
void harness_set_vars(struct harness *h, const char *const *vars);
void harness_advance(struct harness *h, int64_t ns); // both clocks

// "<dir>/<name>", living as long as the harness.
const char *harness_path(struct harness *h, const char *name);
// "<scheme>:<dir>/<name><options>", likewise.
const char *harness_uri(struct harness *h, const char *scheme, const char *name,
                        const char *options);
void harness_write(struct harness *h, const char *name, struct str content);
void harness_append(struct harness *h, const char *name, struct str content);

enum harness_pack { AS_IS, AS_GZIP, AS_ZSTD };
void harness_pack(struct buf *b, enum harness_pack how, struct str content); // one member or frame

// Fails the test when it does not open.
struct input *harness_open(struct harness *h, const char *fmt, ...) GTAP_PRINTF(2, 3);
int harness_try(struct harness *h, const char *uri, struct input **ret, struct error *err);

// One line a record: "<position> <event_id> <what>", dead letters as "<position> ! <reason>";
// `what` is record_encode()'s text.
void harness_note(struct buf *out, const struct batch *b);

// Calls input_next() until INPUT_END, an error, or an empty batch; its result.
int harness_drain(struct input *in, struct buf *out, struct error *err);

// The same for a finite input, through empty batches to INPUT_END or an error.
int harness_drain_to_end(struct input *in, struct buf *out, struct error *err);

// Everything of a finite input; the test fails on an error.
void harness_read_all(struct harness *h, struct buf *out, const char *uri);

// Reads a finite input whole, then seeks to 0, step, 2 * step, ... and the end of it: what is left
// must be the same each time, ids included. Beyond the end must be refused.
void harness_check_resume(struct harness *h, const char *uri, int64_t step);

// How many lines of a note contain this text.
int harness_count(const struct buf *notes, const char *text);
