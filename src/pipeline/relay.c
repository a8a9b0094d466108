#include "pipeline/relay.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "http/server.h"
#include "output/sink.h"
#include "pipeline/source.h"

struct relay {
    const struct run_config *config;
    struct sink *sink;
    struct queue *inbox;
    struct source *sources;
    struct run_source *states;
    size_t n_sources, n_ended;
    bool halting; // the sources are: parcels are not given back
    bool failed;  // the sink has
    struct run_progress progress;
    struct mono last_progress;
};

bool relay_serves(const char *output)
{
    return sink_known(output);
}

static void count(struct relay *r, const struct parcel *p)
{
    r->progress.dead_letters += p->batch.n_dead;
    for (size_t i = 0; i < p->batch.n_records; i++) {
        const struct record *record = &p->batch.records[i];
        r->progress.records++;
        r->progress.newest = MAX(r->progress.newest, record_ts(record));
        if (record->kind == RECORD_SAMPLE) {
            r->progress.samples++;
            continue;
        }
        r->progress.usages++;
        r->progress.unplaced += !usage_placed(&record->usage);
        r->progress.tokens +=
            (uint64_t)(record->usage.prompt_tokens + record->usage.completion_tokens);
    }
}

static void tell(struct relay *r, bool last)
{
    struct mono now = clock_mono(r->config->env.clock);
    if (!r->config->progress || (!last && now.ns - r->last_progress.ns < NS_PER_S)) {
        return;
    }
    r->last_progress = now;
    r->progress.input_total = -1;
    for (size_t i = 0; i < r->n_sources; i++) {
        source_state(&r->sources[i], &r->states[i]);
    }
    r->progress.sources = r->states;
    r->progress.n_sources = r->n_sources;
    r->config->progress(r->config->ctx, &r->progress);
}

// Passes one parcel's records through and hands it back to be filled again.
static int pass(struct relay *r, struct parcel *p, struct error *err)
{
    int result = p->result;
    struct error failure = p->err;
    int written = sink_write(r->sink, p->batch.records, p->batch.n_records, err);
    if (written < 0) {
        r->failed = true;
        return written;
    }
    input_stored(p->source->input, p->batch.position);
    p->source->came += p->batch.n_records + p->batch.n_dead;
    count(r, p);
    r->n_ended += result <= 0;
    if (!r->halting && queue_push(p->source->free_parcels, p) < 0) {
        return error_set(err, -EPIPE, "an input's queue is closed");
    }
    if (result < 0) {
        *err = failure;
    }
    return result < 0 ? result : 0;
}

static bool told_to_stop(const struct relay *r)
{
    struct pollfd fd = {.fd = r->config->env.stop_fd, .events = POLLIN};
    return fd.fd >= 0 && poll(&fd, 1, 0) > 0;
}

static int loop(struct relay *r, struct error *err)
{
    int result = 0;
    while (result == 0 && r->n_ended < r->n_sources && !told_to_stop(r)) {
        struct parcel *p = queue_pop(r->inbox, 50 * NS_PER_MS);
        if (p) {
            result = pass(r, p, err);
        }
        tell(r, false);
    }
    return result;
}

// What was read before a stop, or before another input failed, is passed on.
static int drain(struct relay *r, struct error *err)
{
    r->halting = true;
    for (size_t i = 0; i < r->n_sources; i++) {
        source_halt(&r->sources[i]);
    }
    int result = 0;
    struct parcel *p;
    while (result == 0 && (p = queue_pop(r->inbox, 0))) {
        p->result = MAX(p->result, 0); // the first failure was told
        result = pass(r, p, err);
    }
    return result;
}

static int start(struct relay *r, struct error *err)
{
    const struct run_config *c = r->config;
    r->sources = x_array(c->n_inputs, sizeof(r->sources[0]));
    r->states = x_array(c->n_inputs, sizeof(r->states[0]));
    for (size_t i = 0; i < c->n_inputs; i++) {
        struct source *s = &r->sources[i];
        int result = source_open(s, c->inputs[i], &c->env, r->inbox, err);
        if (result < 0) {
            source_close(s);
            return result;
        }
        r->n_sources++;
        result = source_start(s, err);
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

static int run(struct relay *r, struct error *err)
{
    struct error first = {0};
    int result = loop(r, &first);
    int drained = r->failed ? 0 : drain(r, err);
    if (result < 0) {
        *err = first;
    }
    return result < 0 ? result : drained;
}

int relay_run(const struct run_config *c, struct run_progress *ret, struct error *err)
{
    struct relay r = {.config = c, .inbox = queue_new(c->n_inputs * SOURCE_PARCELS)};
    r.progress.newest = r.progress.frontier = INT64_MIN;
    int result = sink_open(c->output, &r.sink, err);
    if (result == 0) {
        result = start(&r, err);
    }
    if (result == 0 && c->env.http) {
        result = http_server_start(c->env.http, err);
    }
    if (result == 0) {
        result = run(&r, err);
    }
    if (c->env.http) {
        http_server_stop(c->env.http, 0); // nothing more is passed on
    }
    tell(&r, true);
    queue_close(r.inbox);
    for (size_t i = 0; i < r.n_sources; i++) {
        source_close(&r.sources[i]);
    }
    while (queue_pop(r.inbox, 0)) { // a source's parcels were freed with it
        continue;
    }
    queue_free(r.inbox);
    sink_close(r.sink);
    free(r.sources);
    free(r.states);
    if (ret) {
        *ret = r.progress;
        ret->sources = NULL;
        ret->n_sources = 0;
    }
    return result;
}
