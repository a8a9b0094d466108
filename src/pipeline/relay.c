#include "pipeline/relay.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "http/server.h"
#include "output/sink.h"
#include "pipeline/source.h"

#define WAIT_NS (200 * NS_PER_MS)
#define AGAIN_NS (250 * NS_PER_MS) // before what found no room is tried again
#define UNREADY_NS (10 * NS_PER_S) // after there was no room
// Of what is in the spool at the end nothing has been sent for so long: librdkafka takes as much to
// give up a connection, and waits no longer before the next.
#define REST_NS (10 * NS_PER_S)
#define REST_LOOK_MS 50
enum { GATHER_MAX = 64 }; // parcels that go in one write

struct relay {
    const struct run_config *config;
    struct sink_env env;
    struct sink *sink;
    struct queue *inbox;
    struct source *sources;
    struct run_source *states;
    size_t n_sources, n_ended;
    struct record *records; // of several parcels in one write
    size_t cap_records;

    // Parcels of finite inputs that found no room, and those that came after them: in order.
    struct parcel **held;
    size_t n_held;
    struct mono held_at; // when they were tried last

    bool away;              // the sink, as last told
    uint64_t failures;      // likewise
    struct mono no_room_at; // when it had no room last; 0: never
    bool halting;           // the sources are: parcels are not given back
    bool no_room;           // while halting: nothing is tried any more
    bool failed;            // the sink has
    struct run_progress progress;
    struct metric_list metrics;
    struct mono last_progress;
};

bool relay_serves(const char *output)
{
    return sink_known(output);
}

// ---- telling ---------------------------------------------------------------------------------

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

static void measure(struct relay *r)
{
    static const struct metric_def turned_away = {
        "gtap_turned_away_total", "Records that there was no room for, and whose sender was told.",
        METRIC_COUNTER};
    static const struct metric_def dropped = {
        "gtap_dropped_total", "Records that there was no room for, and that are lost.",
        METRIC_COUNTER};
    metric_list_clear(&r->metrics);
    metric_add(&r->metrics, &turned_away, (double)r->progress.turned_away);
    metric_add(&r->metrics, &dropped, (double)r->progress.dropped);
    sink_metrics(r->sink, &r->metrics);
    for (size_t i = 0; i < r->n_sources; i++) {
        input_metrics(r->sources[i].input, &r->metrics);
    }
}

// That what takes the records is away, or back, is told once; so is what was refused for good.
static void tell_health(struct relay *r, const struct sink_health *h)
{
    const char *text = NULL;
    if (h->ok && r->away) {
        text = "kafka takes records again";
    } else if (h->ok ? h->failures != r->failures : !r->away) {
        text = h->error;
    }
    if (text && r->config->notice) {
        r->config->notice(r->config->ctx, text);
    }
    r->away = !h->ok;
    r->failures = h->failures;
}

// A store that is away does not make a run unready as long as the spool takes the records. For want
// of room it is unready for a while, and not until there is room: who is not ready is not asked.
static void take_health(struct relay *r)
{
    struct sink_health h;
    sink_health(r->sink, &h);
    tell_health(r, &h);
    struct run_store *s = &r->progress.store;
    int64_t now = clock_mono(r->config->env.clock).ns;
    bool ok = r->no_room_at.ns == 0 || now - r->no_room_at.ns >= UNREADY_NS;
    if (s->ok != ok || s->since == 0) {
        s->ok = ok;
        s->since = clock_wall(r->config->env.clock);
    }
    s->retries = h.failures;
    memcpy(s->error, h.error, sizeof(s->error));
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
    if (r->sink) {
        take_health(r);
        measure(r);
        r->progress.metrics = &r->metrics;
    }
    r->progress.writer_moves = true;
    r->progress.draining = r->halting;
    r->progress.sources = r->states;
    r->progress.n_sources = r->n_sources;
    r->config->progress(r->config->ctx, &r->progress);
}

// ---- passing on ------------------------------------------------------------------------------

static bool is_finite(const struct parcel *p)
{
    return input_info(p->source->input)->finite;
}

// Nobody keeps these records for later: whoever sent them is told, if somebody did.
static void give_up(struct relay *r, const struct parcel *p)
{
    bool told = input_is_awaited(p->source->input);
    *(told ? &r->progress.turned_away : &r->progress.dropped) += p->batch.n_records;
}

// The parcel is dealt with: hands it back to be filled again.
static int finish(struct relay *r, struct parcel *p, enum input_fate fate, struct error *err)
{
    int result = p->result;
    struct error failure = p->err;
    if (fate == FATE_REFUSED) {
        give_up(r, p);
    } else {
        p->source->came += p->batch.n_records + p->batch.n_dead;
        count(r, p);
    }
    input_settle(p->source->input, p->batch.position, fate);
    r->n_ended += result <= 0;
    if (!r->halting && queue_push(p->source->free_parcels, p) < 0) {
        return error_set(err, -EPIPE, "an input's queue is closed");
    }
    if (result < 0) {
        *err = failure;
    }
    return result < 0 ? result : 0;
}

// The records of all of them, in one piece.
static const struct record *together(struct relay *r, struct parcel *const *v, size_t n,
                                     size_t *ret_n)
{
    *ret_n = 0;
    for (size_t i = 0; i < n; i++) {
        *ret_n += v[i]->batch.n_records;
    }
    if (n == 1) {
        return v[0]->batch.records;
    }
    if (r->cap_records < *ret_n) {
        r->records = x_realloc_array(r->records, *ret_n, sizeof(r->records[0]));
        r->cap_records = *ret_n;
    }
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        size_t some = v[i]->batch.n_records;
        if (some > 0) {
            memcpy(&r->records[at], v[i]->batch.records, some * sizeof(r->records[0]));
        }
        at += some;
    }
    return r->records;
}

// 0 and their fate; 1: there is no room for them now.
static int write_out(struct relay *r, struct parcel *const *v, size_t n, enum input_fate *ret,
                     struct error *err)
{
    static const enum input_fate fates[] = {
        [SINK_PASSED] = FATE_STORED,
        [SINK_KAFKA] = FATE_KAFKA,
        [SINK_SPOOL] = FATE_SPOOL,
    };
    size_t n_records;
    enum sink_place place = SINK_PASSED;
    const struct record *records = together(r, v, n, &n_records);
    if (r->no_room && n_records > 0) {
        return 1;
    }
    int written = sink_write(r->sink, records, n_records, &place, err);
    *ret = fates[place];
    bool full = written == -EAGAIN;
    r->no_room = r->halting && full;
    r->no_room_at = full ? clock_mono(r->config->env.clock) : r->no_room_at;
    r->failed = written < 0 && written != -EAGAIN;
    return full ? 1 : written;
}

static int finish_all(struct relay *r, struct parcel *const *v, size_t n, bool taken,
                      enum input_fate fate, struct error *err)
{
    int result = 0;
    for (size_t i = 0; i < n; i++) {
        struct error own;
        int one = 0;
        if (!taken && is_finite(v[i]) && !r->halting) {
            r->held[r->n_held++] = v[i];
        } else {
            one = finish(r, v[i], taken ? fate : FATE_REFUSED, &own);
        }
        if (one < 0 && result == 0) {
            result = one;
            *err = own;
        }
    }
    return result;
}

static int pass(struct relay *r, struct parcel *const *v, size_t n, struct error *err)
{
    enum input_fate fate;
    int full = write_out(r, v, n, &fate, err);
    return full < 0 ? full : finish_all(r, v, n, full == 0, fate, err);
}

// ---- what waits for room ---------------------------------------------------------------------

static bool is_held(const struct relay *r, const struct source *s)
{
    for (size_t i = 0; i < r->n_held; i++) {
        if (r->held[i]->source == s) {
            return true;
        }
    }
    return false;
}

// One after the other, as far as there is room.
static int pass_held(struct relay *r, struct error *err)
{
    struct mono now = clock_mono(r->config->env.clock);
    int full = 0;
    if (!r->halting && now.ns - r->held_at.ns < AGAIN_NS) {
        return 0;
    }
    while (full == 0 && r->n_held > 0) {
        enum input_fate fate;
        struct parcel *first = r->held[0];
        full = write_out(r, &first, 1, &fate, err);
        if (full < 0) {
            return full;
        }
        if (full == 0 || r->halting) {
            ARRAY_DROP_FRONT(r->held, r->n_held, 1);
            int result = finish(r, first, full == 0 ? fate : FATE_REFUSED, err);
            if (result < 0) {
                return result;
            }
            full = 0;
        }
    }
    r->held_at = clock_mono(r->config->env.clock);
    return 0;
}

// ---- the loop --------------------------------------------------------------------------------

static bool told_to_stop_within(const struct relay *r, int ms)
{
    struct pollfd fd = {.fd = r->config->env.stop_fd, .events = POLLIN};
    return poll(&fd, 1, ms) > 0; // a negative one is passed over
}

static bool told_to_stop(const struct relay *r)
{
    return told_to_stop_within(r, 0);
}

// How much longer others may come to join a parcel: nobody waits for samples of a live input, so
// that a few of them can go together. A source is left one parcel to read into.
static int64_t may_wait(struct relay *r, const struct parcel *p, struct mono since, size_t n)
{
    bool urgent = is_finite(p) || input_is_awaited(p->source->input) || p->result != INPUT_MORE;
    if (urgent || n >= SOURCE_PARCELS - 1) {
        return 0;
    }
    int64_t passed = clock_mono(r->config->env.clock).ns - since.ns;
    return MAX(r->config->gather_ns - passed, (int64_t)0);
}

// What has come in by now, up to about a full batch: small ones share the way.
static size_t gather(struct relay *r, struct parcel *v[GATHER_MAX])
{
    size_t n = 0, records = 0;
    struct parcel *p = queue_pop(r->inbox, WAIT_NS);
    struct mono since = clock_mono(r->config->env.clock);
    while (p) {
        const struct parcel *newest = p;
        if (r->n_held > 0 && is_held(r, p->source)) {
            r->held[r->n_held++] = p;
        } else {
            v[n++] = p;
            records += p->batch.n_records;
        }
        bool more = n < GATHER_MAX && records < BATCH_RECORDS && p->result == INPUT_MORE;
        p = more ? queue_pop(r->inbox, may_wait(r, newest, since, n)) : NULL;
    }
    return n;
}

static int loop(struct relay *r, struct error *err)
{
    struct parcel *v[GATHER_MAX];
    int result = 0;
    while (result == 0 && r->n_ended < r->n_sources && !told_to_stop(r)) {
        size_t n = gather(r, v);
        if (n > 0) {
            result = pass(r, v, n, err);
        }
        if (result == 0 && r->n_held > 0) {
            result = pass_held(r, err);
        }
        tell(r, false);
    }
    return result;
}

// What was read before a stop, or before another input failed, is passed on.
static int drain(struct relay *r, struct error *err)
{
    r->halting = r->progress.draining = true;
    tell(r, true);
    for (size_t i = 0; i < r->n_sources; i++) {
        source_halt(&r->sources[i]);
    }
    int result = pass_held(r, err);
    struct parcel *p;
    while (result == 0 && (p = queue_pop(r->inbox, 0))) {
        p->result = MAX(p->result, 0); // the first failure was told
        result = pass(r, &p, 1, err);
    }
    return result;
}

// Every input is at its end: what went into the spool is sent, too, as long as it gets less. A run
// that ended before that would have stored it, but nobody might start the one that sends it.
static void send_the_rest(struct relay *r)
{
    struct mono since = clock_mono(r->config->env.clock);
    int64_t before = INT64_MAX, left;
    while ((left = sink_waiting(r->sink)) > 0 && !told_to_stop_within(r, REST_LOOK_MS)) {
        struct mono now = clock_mono(r->config->env.clock);
        if (left < before) {
            before = left;
            since = now;
        } else if (now.ns - since.ns >= REST_NS) {
            return;
        }
        tell(r, false);
    }
}

static void tell_rest(struct relay *r)
{
    int64_t left = r->sink ? sink_waiting(r->sink) : 0;
    if (left > 0 && r->config->notice) {
        AUTO_FREE char *text =
            x_asprintf("%" PRId64 " bytes of records wait in the spool %s: the next start with it "
                       "sends them",
                       left, r->config->spool_dir);
        r->config->notice(r->config->ctx, text);
    }
}

// ---- all of it -------------------------------------------------------------------------------

static int start(struct relay *r, struct error *err)
{
    const struct run_config *c = r->config;
    r->sources = x_array(c->n_inputs, sizeof(r->sources[0]));
    r->states = x_array(c->n_inputs, sizeof(r->states[0]));
    r->held = x_array(c->n_inputs * SOURCE_PARCELS, sizeof(struct parcel *));
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
    if (result == 0 && drained == 0) {
        send_the_rest(r);
    }
    if (result < 0) {
        *err = first;
    }
    return result < 0 ? result : drained;
}

static void done(struct relay *r)
{
    queue_close(r->inbox);
    for (size_t i = 0; i < r->n_sources; i++) {
        source_close(&r->sources[i]);
    }
    while (queue_pop(r->inbox, 0)) { // a source's parcels were freed with it
        continue;
    }
    queue_free(r->inbox);
    sink_close(r->sink);
    metric_list_done(&r->metrics);
    free(r->records);
    free(r->held);
    free(r->sources);
    free(r->states);
}

int relay_run(const struct run_config *c, struct run_progress *ret, struct error *err)
{
    struct relay r = {.config = c, .inbox = queue_new(c->n_inputs * SOURCE_PARCELS)};
    r.env = (struct sink_env){
        .clock = c->env.clock,
        .kafka = c->env.kafka,
        .spool_dir = c->spool_dir,
        .spool_limit = c->spool_limit,
    };
    r.progress.newest = r.progress.frontier = INT64_MIN;
    r.progress.store.ok = r.progress.writer_moves = true; // there is neither
    int result = sink_open(c->output, &r.env, &r.sink, err);
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
    tell_rest(&r);
    done(&r);
    if (ret) {
        *ret = r.progress;
        ret->sources = NULL;
        ret->n_sources = 0;
        ret->metrics = NULL;
    }
    return result;
}
