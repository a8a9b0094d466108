// What a run serves over HTTP, and what it tells its service manager.
#pragma once

#include "api/api.h"
#include "cmd/cli.h"
#include "cmd/notify.h"

#define LISTEN_DEFAULT "127.0.0.1:8080"

// As options say it; texts borrowed.
struct serving_options {
    const char *listen; // NULL: only when an input is sent to
    const char *token_file, *cert_file, *key_file;
    const char *cors_origins;
    int64_t requests_per_s;
    bool only; // there is no run: the store alone is served
};

struct serving {
    struct cli *cli;
    struct http_server *server; // for input_env.http
    struct api *api;            // NULL: nothing is served unless an input has routes
    struct notifier notifier;
    bool announced; // where it serves
};

// 0, or the exit status after saying why not.
int serving_open(struct serving *s, struct cli *cli, const struct serving_options *o,
                 const char *const *inputs, size_t n_inputs, const char *output);
// Begins to serve and says where, ahead of a run that may wait long before it begins: whoever
// watches sees that it lives. Only where no input has routes. 0, or the exit status after saying
// why not.
int serving_start(struct serving *s);
void serving_close(struct serving *s); // the run is over

// As the run goes on: what is served is kept current, files are read again after a SIGHUP.
void serving_progress(struct serving *s, const struct run_progress *p, const char *status);

// clang-format off
#define OPTIONS_SERVING(T, what)                                                                   \
    {.name = "listen",                                                                             \
     .type = OPTION_TEXT,                                                                          \
     .offset = offsetof(T, serving.listen),                                                        \
     .value = "ADDRESS:PORT",                                                                      \
     .help = what,                                                                                 \
     .key = "listen"},                                                                             \
    {.name = "api-token-file",                                                                     \
     .type = OPTION_TEXT,                                                                          \
     .offset = offsetof(T, serving.token_file),                                                    \
     .value = "FILE",                                                                              \
     .help = "ask for the bearer token in this file who sends records in, reads the API or writes " \
             "prices; without one everybody reads, and only this host writes",                                                                      \
     .key = "api-token-file",                                                                      \
     .env = "GTAP_API_TOKEN_FILE"},                                                                \
    {.name = "tls-cert",                                                                           \
     .type = OPTION_TEXT,                                                                          \
     .offset = offsetof(T, serving.cert_file),                                                     \
     .value = "FILE",                                                                              \
     .help = "serve TLS with this certificate chain (PEM)",                                        \
     .key = "tls-cert"},                                                                           \
    {.name = "tls-key",                                                                            \
     .type = OPTION_TEXT,                                                                          \
     .offset = offsetof(T, serving.key_file),                                                      \
     .value = "FILE",                                                                              \
     .help = "and its key",                                                                        \
     .key = "tls-key"},                                                                            \
    {.name = "cors-origin",                                                                        \
     .type = OPTION_TEXT,                                                                          \
     .offset = offsetof(T, serving.cors_origins),                                                  \
     .value = "ORIGINS",                                                                           \
     .help = "let web pages of these origins read the API: https://a.example, separated by "       \
             "commas; none without being told",                                                    \
     .key = "cors-origin"},                                                                        \
    {.name = "request-rate",                                                                       \
     .type = OPTION_INT,                                                                           \
     .offset = offsetof(T, serving.requests_per_s),                                                \
     .value = "N",                                                                                 \
     .help = "POSTs a second that one address may make; 0: no limit",                              \
     .fallback = "0",                                                                              \
     .key = "request-rate",                                                                        \
     .most = 1000000}
// clang-format on
