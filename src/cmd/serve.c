#include <poll.h>
#include <unistd.h>

#include "cmd/cli.h"
#include "cmd/serving.h"
#include "cmd/shared_options.h"
#include "cmd/stop.h"

enum { LOOK_EVERY_MS = 2000 };

struct options {
    struct common common;
    const char *store;
    struct serving_options serving;
};

#define AT(member) offsetof(struct options, member)

static const struct option options[] = {
    OPTION_STORE(struct options, "the store to serve"),
    OPTIONS_SERVING(struct options, "where to listen; 127.0.0.1:8080 without being told"),
    {0},
};

// What a run would tell of itself, as far as the store says it. A shared store's handle is kept: it
// has connections. A file's is not: it might be replaced.
static void look(struct run_progress *p, const char *uri, struct store **kept, int64_t now)
{
    struct store *store = TAKE_PTR(*kept);
    struct store_info info;
    struct error err = {0};
    int r = store ? 0 : store_open(uri, STORE_READ, &store, &err);
    r = r < 0 ? r : store_info(store, &info, &err);
    if (r == 0 && store_is_shared(store)) {
        *kept = TAKE_PTR(store);
    }
    store_close(store);
    if (p->store.ok != (r == 0)) {
        p->store.ok = r == 0;
        p->store.since = now;
    }
    if (r < 0) {
        p->store.retries++;
        snprintf(p->store.error, sizeof(p->store.error), "%s", err.msg);
        return;
    }
    p->newest = info.last;
    p->frontier = info.final_until;
}

static void serve_until_stopped(struct serving *s, const char *uri, int stop_fd)
{
    struct run_progress p = {.newest = INT64_MIN, .frontier = INT64_MIN, .writer_moves = true};
    struct pollfd stop = {.fd = stop_fd, .events = POLLIN};
    struct store *kept = NULL;
    p.store.ok = true;
    p.store.since = cli_now(s->cli);
    do {
        look(&p, uri, &kept, cli_now(s->cli));
        serving_progress(s, &p, p.store.ok ? "serving" : p.store.error);
    } while (poll(&stop, 1, LOOK_EVERY_MS) <= 0);
    store_close(kept);
}

static int run(struct cli *cli, const void *given)
{
    const struct options *o = given;
    struct serving_options serving_options = o->serving;
    struct serving serving;
    struct store *store = NULL;
    struct error err;
    int stop_fd, status = cli_open(cli, o->store, STORE_READ, &store);
    store_close(store); // it is there; each answer opens its own
    if (status != 0) {
        return status;
    }
    if (stop_on_signals(&stop_fd, &err) < 0) {
        return cli_fail(cli, &err);
    }
    serving_options.listen = o->serving.listen ? o->serving.listen : LISTEN_DEFAULT;
    serving_options.only = true;
    status = serving_open(&serving, cli, &serving_options, NULL, 0, o->store);
    if (status == 0) {
        status = serving_start(&serving);
        if (status == 0) {
            serve_until_stopped(&serving, o->store, stop_fd);
        }
        serving_close(&serving);
    }
    close(stop_fd);
    return status;
}

const struct command command_serve = {
    .name = "serve",
    .args = "",
    .summary = "the dashboard and the API over a store, without a run",
    .about =
        "Serves the dashboard (/), the API (/api/v1, described by /openapi.json) and /metrics of "
        "a store that\nothers write, or nobody any more. It reads only, so any number of them may "
        "run beside a run. Who\nmay read: everybody who reaches it, or with --api-token-file those "
        "who send the token.",
    .examples =
        "gtap serve --store sqlite:gtap.db\n"
        "gtap serve --store mongodb://db/gtap --listen :8443 --tls-cert cert.pem --tls-key key.pem "
        "--api-token-file token",
    .options = options,
    .size = sizeof(struct options),
    .run = run,
};
