#include "pipeline/run.h"

#include <errno.h>

#include "http/server.h"
#include "pipeline/meter.h"
#include "pipeline/patience.h"
#include "pipeline/relay.h"

// A store that is waited for before there is a meter.
struct absence {
    const struct run_config *config;
    struct patience patience;
    struct mono told;
};

static void tell_absence(void *ctx)
{
    struct absence *a = ctx;
    const struct run_config *c = a->config;
    struct mono now = clock_mono(c->env.clock);
    if (!c->progress || now.ns - a->told.ns < NS_PER_S) {
        return;
    }
    struct run_progress p = {.newest = INT64_MIN,
                             .frontier = INT64_MIN,
                             .input_total = -1,
                             .opening = true,
                             .writer_moves = true};
    patience_state(&a->patience, &p.store);
    a->told = now;
    c->progress(c->ctx, &p);
}

// A store that may be away at the start is waited for. *ret stays NULL when the run is told to stop
// meanwhile: nothing was read, so nothing is lost.
static int open_store(const struct run_config *c, struct store **ret, struct error *err)
{
    struct absence away = {.config = c, .told = {INT64_MIN / 2}};
    struct attempts attempts;
    int r;
    patience_init(&away.patience, c);
    attempts_init(&attempts, (uint64_t)clock_mono(c->env.clock).ns);
    while ((r = store_open(c->output, STORE_WRITE, ret, err)) < 0 && c->wait_for_store &&
           err->retryable) {
        if (patience_told_to_stop(&away.patience) ||
            !patience_again(&away.patience, &attempts, err, tell_absence, &away)) {
            r = 0;
            break;
        }
    }
    patience_done(&away.patience);
    return r;
}

static int run_meter(const struct run_config *c, struct run_progress *ret, struct error *err)
{
    struct store *store = NULL;
    struct meter meter;
    int r = open_store(c, &store, err);
    if (!store) {
        if (ret) {
            *ret = (struct run_progress){.newest = INT64_MIN, .frontier = INT64_MIN};
        }
        return r;
    }
    r = meter_open(&meter, c, store, err);
    if (r == 0 && c->env.http) {
        r = http_server_start(c->env.http, err);
    }
    if (r == 0) {
        r = meter_run(&meter, err);
    }
    if (c->env.http) { // whose records are durable is answered; nothing more becomes so
        http_server_stop(c->env.http, 0);
    }
    if (ret) {
        *ret = meter.progress;
        ret->sources = NULL;
        ret->n_sources = 0;
        ret->metrics = NULL;
    }
    meter_close(&meter);
    store_close(store);
    return r;
}

int run_pipeline(const struct run_config *c, struct run_progress *ret, struct error *err)
{
    if (c->n_inputs == 0) {
        return error_set(err, -EINVAL, "no input was given");
    }
    if (relay_serves(c->output)) {
        return relay_run(c, ret, err);
    }
    return run_meter(c, ret, err);
}
