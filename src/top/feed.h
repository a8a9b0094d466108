// A thread that asks a source again and again, so that keys are answered while it takes its time.
#pragma once

#include "top/source.h"

struct feed;

// The source is the feed's from here on.
int feed_start(struct top_source *s, const struct top_ask *ask, int64_t every_ns, struct feed **ret,
               struct error *err) GTAP_CHECK;
// Waits for what it is in the middle of, and closes the source. Accepts NULL.
void feed_stop(struct feed *f);

// Readable when there is something to feed_take().
int feed_fd(const struct feed *f);
// Asks for something else, at once.
void feed_ask(struct feed *f, const struct top_ask *ask);

// What came since the last call: a snapshot, now the caller's, or NULL. *ret_error is what the last
// attempt failed with; code 0: it went well.
struct top_snapshot *feed_take(struct feed *f, struct error *ret_error);
