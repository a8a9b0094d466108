// Records as the tests write them to files.
#pragma once

#include "base/buf.h"

#define USAGE_LINE(request)                                                                        \
    "{\"ts\":\"2026-11-23T13:00:00Z\",\"model\":\"m\",\"prompt_tokens\":10,"                       \
    "\"completion_tokens\":2,\"latency_ms\":5,\"request_id\":\"" request "\"}"
#define SAMPLE_LINE(host)                                                                          \
    "{\"ts\":\"2026-11-23T13:00:00Z\",\"host\":\"" host "\",\"gpu_index\":0,\"utilization\":0.5}"

// n usage records with request ids from `first` on, one a line.
static inline void add_usage_lines(struct buf *b, int first, int n)
{
    for (int i = first; i < first + n; i++) {
        buf_printf(b, USAGE_LINE("r%d") "\n", i);
    }
}
