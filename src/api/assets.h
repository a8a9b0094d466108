// The dashboard: the files of web/, packed into the program when it is built (web/meson.build,
// tools/embed.py), and served as /assets/NAME, index.html also as /. By /assets/VERSION/NAME, as
// the page asks for them, browsers may keep them for ever. Pages get a strict content security
// policy: they load from here alone, and what is inline in them is allowed by its hash.
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
extern const char assets_version[]; // hexadecimal; another one when any of them is
extern const char assets_policy[];  // Content-Security-Policy

// Adds the routes to the main listener.
int assets_add(struct http_server *server, struct error *err) GTAP_CHECK;
