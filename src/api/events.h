// /api/v1/events: what is going on now, once a second, as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html). It is found out once for all
// who listen, on a thread of its own, and only while somebody does. Internal to src/api.
#pragma once

#include "api/api_impl.h"

struct api_events;

// Before the server starts.
int events_new(struct api *a, struct http_server *server, struct api_events **ret,
               struct error *err) GTAP_CHECK;
void events_free(struct api_events *e); // the server has been stopped; accepts NULL

// Since the server started, but for `listeners`, who are there now. Thread-safe.
struct events_stats {
    uint64_t listeners, joined;
    uint64_t sent; // once for each who listened, without what those who join get first
    uint64_t cut;  // listeners, for reading too slowly
};
struct events_stats events_stats(const struct api_events *e);
