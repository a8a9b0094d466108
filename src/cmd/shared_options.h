// Options that several commands have and mean the same by. T is the command's options struct,
// with members store, since, until, tz and json of the types of option.h.
#pragma once

#include "cmd/command.h"

// clang-format off
#define OPTION_STORE(T, what)                                                                   \
    {.name = "store", .letter = 's', .type = OPTION_TEXT, .offset = offsetof(T, store),         \
     .value = "URI", .help = what, .fallback = STORE_DEFAULT, .key = STORE_KEY, .shared = true,    \
     .secrecy = OPTION_URI_SECRET}
#define OPTION_SINCE(T)                                                                         \
    {.name = "since", .type = OPTION_TIME, .offset = offsetof(T, since), .value = "TIME",       \
     .help = "from this time on, or this long before now: 24h, 7d, 2026-11-23, "                   \
             "2026-11-23T14:00:00Z (default: everything)"}
#define OPTION_UNTIL(T)                                                                         \
    {.name = "until", .type = OPTION_TIME, .offset = offsetof(T, until), .value = "TIME",       \
     .help = "up to this time (default: everything)"}
#define OPTION_TZ(T)                                                                            \
    {.name = "tz", .type = OPTION_TEXT, .offset = offsetof(T, tz), .value = "ZONE",             \
     .help = "time zone of what is shown and of times typed without one: UTC, local, +02:00, "     \
             "Europe/Berlin",                                                                      \
     .fallback = "UTC", .key = "tz", .shared = true}
#define OPTION_JSON(T)                                                                          \
    {.name = "json", .type = OPTION_FLAG, .offset = offsetof(T, json), .help = "as JSON"}
// Of a command that asks a server at URL: in T, `token_file` and `ca_file`.
#define OPTIONS_ASKING(T, about_token)                                                          \
    {.name = "api-token-file", .type = OPTION_TEXT, .offset = offsetof(T, token_file),          \
     .value = "FILE", .help = about_token, .key = "api-token-file",                             \
     .env = "GTAP_API_TOKEN_FILE"},                                                             \
    {.name = "tls-ca", .type = OPTION_TEXT, .offset = offsetof(T, ca_file), .value = "FILE",    \
     .help = "trust the certificate authorities in this file (PEM) for an https URL",           \
     .key = "tls-ca"}
// clang-format on
