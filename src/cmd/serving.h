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
    int64_t requests_per_s;
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
                 const struct text_list *inputs, const char *output);
void serving_close(struct serving *s); // the run is over

// As the run goes on: what is served is kept current, files are read again after a SIGHUP.
void serving_progress(struct serving *s, const struct run_progress *p, const char *status);
