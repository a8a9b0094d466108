// What gtap says over HTTP: of itself while it runs (/health, /ready, /metrics, /gpu/info), and of
// what its store holds (/api/v1, /openapi.json, the dashboard). Routes run on the server's threads
// and on a few of the API's own; api_progress() on the pipeline's. Thread-safe.
#pragma once

#include "http/server.h"
#include "pipeline/run.h"

struct api;

struct api_config {
    const char *store; // the output's URI: costs and GPUs are read from it. A sink has none
    bool serving_only; // there is no run, only the store
    const char *version;
    const struct clock *clock;
};

// Adds the routes to the server, which must outlive api_free(): that stops it.
int api_new(const struct api_config *c, struct http_server *server, struct api **ret,
            struct error *err) GTAP_CHECK;
void api_free(struct api *a); // accepts NULL

// How the run goes; copied.
void api_progress(struct api *a, const struct run_progress *p);
