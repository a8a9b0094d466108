// The threads that answer what needs the store, and its handles. Internal to src/api.
#pragma once

#include "api/route.h"

struct api_tasks;

// Adds api_routes[] to the server. -EEXIST etc. as http_server_add().
int tasks_new(struct api *a, struct http_server *server, struct api_tasks **ret, struct error *err)
    GTAP_CHECK;
// Answers what still waits (503) and ends the threads. The server has been stopped. Accepts NULL.
void tasks_free(struct api_tasks *t);

// A handle to read the store: one that was used before, where the store is shared (MongoDB), so
// that not every answer needs connections of its own; else a new one. Give it back by tasks_give().
int tasks_take(struct api_tasks *t, struct store **ret, struct error *err) GTAP_CHECK;
void tasks_give(struct api_tasks *t, struct store *s, bool good); // accepts NULL
