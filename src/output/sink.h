// Outputs that keep nothing: without an engine, records pass through in the order they came.
//
//   stdout:  one JSON object a line, as in schemas/
//   null:    nowhere; for measuring inputs
//
// A sink belongs to one thread. Kafka will join here.
#pragma once

#include "base/error.h"
#include "model/record.h"

struct sink;

// Whether text ("stdout:") names a sink, rather than a store or nothing at all.
bool sink_known(const char *text);

int sink_open(const char *text, struct sink **ret, struct error *err) GTAP_CHECK;
void sink_close(struct sink *s); // accepts NULL

// Hands the records over: on return the operating system has them all. After a failure some of
// them may have gone out. -EPIPE: nobody reads any more (the caller ignores SIGPIPE); -ENOSPC.
int sink_write(struct sink *s, const struct record *records, size_t n, struct error *err)
    GTAP_CHECK;

// For those who write a sink: a driver is one const struct and one line in sink.c's array.
struct sink_driver {
    const char *scheme;
    int (*write)(struct sink *s, const struct record *records, size_t n, struct error *err);
};
