// What gtap says about itself over HTTP while it runs: /health, /ready, /metrics, /gpu/info. Routes
// run on the server's threads; api_progress() on the pipeline's. Thread-safe.
#pragma once

#include "http/server.h"
#include "pipeline/run.h"

struct api;

struct api_config {
    const char *store; // the output's URI: costs and GPUs are read from it. A sink has none
    const char *version;
    const struct clock *clock;
};

// Adds the routes to the server, which must be stopped before api_free().
int api_new(const struct api_config *c, struct http_server *server, struct api **ret,
            struct error *err) GTAP_CHECK;
void api_free(struct api *a); // accepts NULL

// How the run goes; copied.
void api_progress(struct api *a, const struct run_progress *p);
