#include "pipeline/run.h"

#include <errno.h>

#include "http/server.h"
#include "pipeline/meter.h"
#include "pipeline/relay.h"

static int run_meter(const struct run_config *c, struct run_progress *ret, struct error *err)
{
    struct store *store = NULL;
    struct meter meter;
    int r = store_open(c->output, STORE_WRITE, &store, err);
    if (r < 0) {
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
