// The dashboard: the files of web/, packed into the program when it is built (web/meson.build,
// tools/embed.py), and served as /assets/NAME, index.html also as /. Pages get a strict content
// security policy: they load from here alone, and nothing in them is inline.
#pragma once

#include "http/server.h"

struct asset {
    const char *name;            // "app.js"
    const char *type;            // its Content-Type
    const char *digest;          // of its plain content, in hexadecimal: a strong validator
    const unsigned char *packed; // one gzip member
    size_t n_packed, n_plain;
};
extern const struct asset assets[]; // by name; made by tools/embed.py
extern const size_t n_assets;

// Adds the routes to the main listener.
int assets_add(struct http_server *server, struct error *err) GTAP_CHECK;
