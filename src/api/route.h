// The routes of /api/v1: what one is, and the answering of it. A route is a table's line; its
// parameters are read on the server's thread, and what needs the store is answered by a few threads
// of the API's own, so that a long answer holds up neither records nor other clients. Internal to
// src/api.
#pragma once

#include "api/params.h"
#include "base/time.h"
#include "http/server.h"
#include "report/request_json.h"

enum { API_ANSWER_MAX = 64 << 20 }; // bytes

struct api;
struct api_route;

// One request. Everything in it lives until answer() returns.
struct api_task {
    struct api *api;
    const struct api_route *route;
    struct http_exchange *x; // answer it exactly once, by the functions below or http_answer()
    void *params;            // as the route's table says
    struct str rest;         // of the path, behind "/*"
    struct arena arena;
    struct store *store; // to read; NULL where the route needs none
    bool store_failed;   // set it (api_fail() does) when the store's handle is not to be used again
    int64_t now;         // wall time of the request
    uint64_t hash;       // of path and query
};

struct api_route {
    const char *method, *path; // "/api/v1/costs", or "/api/v1/requests/*"
    const char *open_path; // as OpenAPI has it, where that differs: "/api/v1/requests/{event_id}"
    const char *name;      // operationId
    const char *summary;   // a sentence
    const struct param *params; // NULL: none
    size_t size;                // of the struct that they are read into
    size_t body_max;            // bytes of the request's; 0: none
    const char *body;           // JSON Schema of the request's body; NULL: none
    // Of an answer 200: media type (NULL: application/json) and JSON Schema, which may refer to
    // those of openapi.c ("#/components/schemas/Money").
    const char *type, *schema;
    unsigned flags; // of the HTTP route; 0: HTTP_READING | HTTP_CORS
    bool at_once;   // needs no store: answered on the server's thread
    bool created;   // may answer 201 as well, with the same schema
    bool missing;   // may answer 404
    void (*answer)(struct api_task *t);
};

// What there is: openapi.c lists it, api.c adds it to the server.
extern const struct api_route *const api_routes[];
extern const size_t n_api_routes;
extern const struct api_route route_costs, route_gpus, route_dead_letters, route_status,
    route_requests, route_request, route_prices, route_add_price, route_events, route_stream,
    route_openapi;

// ---- answering -------------------------------------------------------------------------------

// 200 with what was written; too much is refused, saying so. Frees it.
void api_send(struct api_task *t, struct buf *body);
// The error as problem details: 400 for what was asked (-EINVAL, -E2BIG), 404 for -ENODATA, else
// 503.
void api_fail(struct api_task *t, const struct error *err);
// Tags the answer by the store's state, path and query, and `more`: what else it depends on (time).
// True: it is answered, by 304 or for an error.
bool api_unchanged(struct api_task *t, uint64_t more);

// [since, until) as instants. False: refused, naming the parameter. At most `most` ns.
bool api_range(struct api_task *t, const struct time_spec *since, const struct time_spec *until,
               const struct zone *zone, int64_t most, int64_t *ret_from, int64_t *ret_to);
