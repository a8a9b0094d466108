#include "pipeline/meter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/time.h"
#include "cost/provisional.h"

enum { OUTBOX_COSTS_MAX = 8192, TRICKLE_RECORDS = 1024 };
#define TICK_NS (200 * NS_PER_MS)
#define ALIVE_EVERY_NS (2 * NS_PER_S)
#define SETTLE_NS NS_PER_S                 // at a time, while records come
#define SETTLE_STOPPING_NS (10 * NS_PER_S) // at a stop: those who wait for it wait 25 s

// ---- sending parcels to the writer ---------------------------------------------------------

static int send_parcel(struct meter *m, struct parcel *p)
{
    p->preview = m->outbox.preview_rows > 0;
    m->preview_out |= p->preview;
    outbox_append(&p->outbox, &m->outbox);
    if (m->now.ns - m->last_wish.ns >= METER_WISHES_NS) {
        m->last_wish = m->now;
        p->reload_prices = true;
        p->expire_newest = feeds_watermark(m);
        p->expire_now = clock_wall(m->config->env.clock);
    }
    int r = queue_push(m->writer_queue, p);
    if (r < 0) {
        parcel_free(p->source ? NULL : p);
        return error_set(&m->err, r, "the writer's queue is closed");
    }
    m->in_flight++;
    m->sent++;
    if (p->source) {
        p->source->in_flight += p->batch.n_records > 0;
    }
    m->began |= p->batch.n_records > 0;
    if (m->began) { // what a start writes holds the first record up no second
        m->last_sent = m->now;
    }
    return 0;
}

static void estimate(struct meter *m, struct parcel *p)
{
    for (size_t i = 0; i < p->batch.n_records; i++) {
        struct record *r = &p->batch.records[i];
        if (!m->owner) {
            r->shard = record_shard(record_host(r), m->n_shards);
        }
        if (r->kind == RECORD_SAMPLE) {
            provisional_sample(m->provisional, &r->sample);
            continue;
        }
        provisional_usage(m->provisional, settings_at(&m->settings, r->usage.ts), &m->prices,
                          &r->usage, &p->provisional[i]);
        p->entries[i].provisional = &p->provisional[i];
    }
}

// A trickle is collected, so that it takes a commit a second and not one a record: until somebody
// waits for it, there is much of it, its input has nothing left to read into, or time is up.
static bool worth_a_commit(const struct meter *m)
{
    if (m->config->commit_interval_ns == 0 || m->halting ||
        m->now.ns - m->last_sent.ns >= meter_commit_interval(m)) {
        return true;
    }
    size_t records = 0;
    for (size_t i = 0; i < m->n_sources; i++) {
        const struct source *s = &m->sources[i];
        if (s->n_waiting == SOURCE_PARCELS ||
            (s->n_waiting > 0 && (s->ended || input_is_awaited(s->input)))) {
            return true;
        }
        for (size_t j = 0; j < s->n_waiting; j++) {
            if (s->waiting[j]->batch.change != SHARDS_SAME) {
                return true;
            }
            records += s->waiting[j]->batch.n_records;
        }
    }
    return records >= TRICKLE_RECORDS;
}

static bool is_full(const struct outbox *o)
{
    return o->n_costs > OUTBOX_COSTS_MAX || o->n_rows >= OUTBOX_ROWS_MAX;
}

// A parcel of its own for computed rows, when no records come that could carry them.
static int send_outbox(struct meter *m)
{
    return send_parcel(m, parcel_new(NULL));
}

// ---- whether there is more, and time -------------------------------------------------------

static bool finite_ended(const struct meter *m)
{
    bool any_finite = false, all = true;
    for (size_t i = 0; i < m->n_sources; i++) {
        bool finite = input_info(m->sources[i].input)->finite;
        bool ended = m->sources[i].ended && m->sources[i].n_waiting == 0;
        any_finite |= finite;
        if (finite || !m->config->until_end) {
            all &= ended;
        }
    }
    return all && (any_finite || !m->config->until_end);
}

bool meter_told_to_stop(struct meter *m)
{
    return patience_told_to_stop(&m->patience);
}

static void while_waiting(void *ctx)
{
    upkeep_progress(ctx, false);
}

bool meter_again(struct meter *m)
{
    return (m->open || m->config->wait_for_store) &&
           patience_again(&m->patience, &m->attempts, &m->err, while_waiting, m);
}

void meter_well(struct meter *m)
{
    patience_well(&m->patience, &m->attempts);
}

void meter_alive(struct meter *m)
{
    struct mono now = clock_mono(m->config->env.clock);
    struct error err;
    if (store_is_shared(m->store) && now.ns - m->last_alive.ns >= ALIVE_EVERY_NS) {
        m->last_alive = now;
        patience_note(&m->patience, store_alive(m->store, &err) < 0 ? &err : NULL);
    }
}

// What a source was silent for, it was silent for while somebody listened: a long commit or
// settlement, a process that stood still or a machine that slept say nothing about it.
static void pass_time(struct meter *m, int64_t waited)
{
    struct mono now = clock_mono(m->config->env.clock);
    m->listened.ns += MIN(now.ns - m->now.ns, waited);
    m->now = now;
}

// How long nothing is due unless something comes: each time it wakes up costs as much as the few
// records that come a second where little happens. A clock that is not the system's does not go on
// while this waits.
static int64_t next_due(const struct meter *m)
{
    int64_t shard = m->advance_due ? 0 : upkeep_preview_in(m); // the next one's turn
    if (shard == 0 || m->owner || m->config->env.clock != &clock_system) {
        return MIN(TICK_NS, shard);
    }
    int64_t wait = MIN(upkeep_due(m), shard);
    bool waiting = !outbox_empty(&m->outbox);
    for (size_t i = 0; i < m->n_sources; i++) {
        waiting |= m->sources[i].n_waiting > 0;
    }
    if (waiting) {
        wait = MIN(wait, m->last_sent.ns + meter_commit_interval(m) - clock_mono(&clock_system).ns);
    }
    return wait > 0 ? wait : TICK_NS; // what is due and not done waits for something else
}

// For how long what has time need not wake it up: until the next commit is due, it would only wait
// here. Where nothing was sent for longer than that, the next record is stored at once.
static int64_t rest_of(const struct meter *m, int64_t wait)
{
    bool collects = m->config->commit_interval_ns > 0 && m->began && !m->holding;
    if (m->owner || !collects || m->config->env.clock != &clock_system) {
        return 0;
    }
    int64_t due = m->last_sent.ns + meter_commit_interval(m) - clock_mono(&clock_system).ns;
    return MAX(MIN(wait, due), (int64_t)0);
}

// Takes in what has come, up to what is worth being passed on first: the writer has something to do
// while the engines are fed. Waits for something at most so long, of which it rests at first.
static int take_some(struct meter *m, int64_t rest, int64_t wait)
{
    gauges_spent(&m->gauges, STAGE_METER, &m->since);
    struct parcel *p = queue_pop_rested(m->inbox, rest, wait);
    gauges_spent(&m->gauges, STAGE_WAIT, &m->since);
    pass_time(m, MAX(wait, TICK_NS));
    int r = 0;
    while (p && r == 0) {
        bool much = !p->stored && p->batch.n_records >= TRICKLE_RECORDS;
        r = intake_take(m, p);
        p = r == 0 && !much ? queue_pop(m->inbox, 0) : NULL;
    }
    return r;
}

// Until no more than so many parcels are with the writer.
static int let_writer_catch_up(struct meter *m, size_t most)
{
    int r = 0;
    while (m->in_flight > most && r == 0) {
        r = take_some(m, 0, TICK_NS);
        upkeep_progress(m, false);
    }
    return r;
}

static int wait_for_writer(struct meter *m)
{
    return let_writer_catch_up(m, 0);
}

// Everything found so far is in the store and the writer at rest, so that the meter may use it; the
// engines stay where they are until go_on().
static int come_to_rest(struct meter *m)
{
    m->holding = true;
    int r = wait_for_writer(m);
    if (r == 0 && !outbox_empty(&m->outbox)) {
        r = send_outbox(m);
    }
    if (r == 0) {
        r = wait_for_writer(m);
    }
    pthread_mutex_lock(&m->patience.use);
    gauges_spent(&m->gauges, STAGE_METER, &m->since);
    return r;
}

static void go_on(struct meter *m)
{
    gauges_spent(&m->gauges, STAGE_SETTLE, &m->since);
    pthread_mutex_unlock(&m->patience.use);
    m->holding = false;
}

static int settle(struct meter *m, int64_t for_ns)
{
    int r = come_to_rest(m);
    if (r == 0) {
        r = upkeep_settle(m, for_ns);
    }
    go_on(m);
    return r;
}

// ---- passing on ----------------------------------------------------------------------------

static int change_at_rest(struct meter *m, const struct batch *b)
{
    shards_add_states(m, true);
    int r = come_to_rest(m);
    if (r == 0) {
        r = shards_change(m, b);
    }
    go_on(m);
    return r;
}

// Shards come or go, at the place in the stream where their input says so.
static int change_shards(struct meter *m, struct parcel *p)
{
    bool lost = p->batch.change == SHARDS_LOST;
    int r = lost ? shards_change(m, &p->batch) : change_at_rest(m, &p->batch);
    if (lost && r == 0) { // nothing is written any more, but the answer is about all before it
        r = wait_for_writer(m);
    }
    return r < 0 ? r : intake_give_back(m, p);
}

static int pass_parcel(struct meter *m, struct source *s, struct parcel *p)
{
    parcel_make_entries(p);
    estimate(m, p);
    s->passed_ts = MAX(s->passed_ts, p->newest_ts[RECORD_SAMPLE]);
    s->passed_ts = MAX(s->passed_ts, p->newest_ts[RECORD_USAGE]);
    return send_parcel(m, p);
}

// Passes on what is waiting, in the order of event time.
static int pass_on(struct meter *m)
{
    struct source *s;
    int r = 0;
    if (!worth_a_commit(m)) {
        return 0;
    }
    while (r == 0 && !m->holding && (s = feeds_next(m))) {
        struct parcel *p = s->waiting[0];
        s->n_waiting--;
        memmove(&s->waiting[0], &s->waiting[1], s->n_waiting * sizeof(s->waiting[0]));
        bool change = p->batch.change != SHARDS_SAME;
        r = change ? change_shards(m, p) : pass_parcel(m, s, p);
    }
    return r;
}

// ---- the loop ------------------------------------------------------------------------------

static int retake(struct meter *m)
{
    int r = come_to_rest(m);
    if (r == 0) {
        r = shards_retake(m);
    }
    go_on(m);
    return r;
}

// Time passes for shards of which nothing comes, too.
static int look_at_shards(struct meter *m)
{
    if (m->advance_due || m->now.ns - m->last_look.ns >= TICK_NS) {
        intake_advance(m, false);
        shards_audit(m, false);
        shards_add_states(m, false);
    }
    return shards_retake_due(m) ? retake(m) : 0;
}

static int keep_up(struct meter *m)
{
    int r = m->owner ? look_at_shards(m) : 0;
    if (r < 0) {
        return r;
    }
    upkeep_preview(m);
    upkeep_progress(m, false);
    if (upkeep_settle_due(m)) {
        return settle(m, SETTLE_NS);
    }
    if (m->advance_more && m->in_flight == 0) {
        intake_advance(m, false);
        shards_add_states(m, false);
    }
    bool due = m->now.ns - m->last_sent.ns >= meter_commit_interval(m) || is_full(&m->outbox);
    return due && m->in_flight == 0 && !outbox_empty(&m->outbox) ? send_outbox(m) : 0;
}

static int loop(struct meter *m)
{
    while (!m->stopping && !finite_ended(m)) {
        int64_t wait = next_due(m);
        int r = take_some(m, rest_of(m, wait), wait);
        if (m->came_calmly) { // what it changed goes with the commit that is due
            upkeep_preview(m);
            m->came_calmly = false;
        }
        if (r == 0) {
            r = pass_on(m);
        }
        if (r == 0) {
            r = keep_up(m);
        }
        if (r < 0) {
            return r;
        }
        m->stopping = meter_told_to_stop(m);
    }
    return 0;
}

// Nothing more is read; what was read is stored and taken in.
static int drain(struct meter *m)
{
    m->halting = true;
    for (size_t i = 0; i < m->n_sources; i++) {
        source_halt(&m->sources[i]);
    }
    int r = 0;
    struct parcel *p;
    while (r == 0 && (p = queue_pop(m->inbox, 0))) {
        r = intake_take(m, p);
    }
    for (size_t i = 0; i < m->n_sources; i++) {
        m->sources[i].ended = true; // so that none waits for another
    }
    if (r == 0) {
        r = pass_on(m);
    }
    if (r == 0) {
        r = wait_for_writer(m);
    }
    if (r == 0 && m->owner) {
        intake_advance(m, true);
    }
    return r;
}

// A run that is over before the first wish was due keeps no more than a long one does.
static int expire_at_end(struct meter *m, int64_t newest)
{
    struct parcel *p = parcel_new(NULL);
    p->expire_newest = newest;
    p->expire_now = clock_wall(m->config->env.clock);
    m->last_wish = m->now;
    int r = send_parcel(m, p);
    return r < 0 ? r : wait_for_writer(m);
}

static int finish_shard(struct meter *m, struct shard *s, int64_t end)
{
    struct engine_sink sink = outbox_sink(&m->outbox);
    bool more = true;
    int r = 0;
    while (more && r == 0) {
        m->outbox.shard = s->state.shard;
        more = engine_advance_some(s->engine, end, OUTBOX_ROWS_MAX, &sink);
        s->state_due = true;
        if (is_full(&m->outbox)) {
            shards_add_states(m, false);
            r = send_outbox(m); // is written while the next is computed, and no more than that
            r = r < 0 ? r : let_writer_catch_up(m, 1);
        }
    }
    return r;
}

// After the last record: windows up to the newest evidence become final, late ones are settled.
static int finish(struct meter *m)
{
    int64_t newest = INT64_MIN;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        const struct engine *e = m->shards[i].engine;
        newest = e ? MAX(newest, engine_newest(e)) : newest;
    }
    if (newest == INT64_MIN) {
        return 0;
    }
    int64_t end = newest - 1 + settings_at(&m->settings, newest)->window_ns;
    int r = 0;
    for (uint32_t i = 0; i < m->n_shards && r == 0; i++) {
        r = m->shards[i].engine ? finish_shard(m, &m->shards[i], end) : 0;
    }
    if (r < 0) {
        return r;
    }
    shards_audit(m, true); // there is no later
    shards_add_states(m, true);
    r = settle(m, INT64_MAX);
    return r == 0 ? expire_at_end(m, newest) : r;
}

static int start(struct meter *m)
{
    struct writer_config c = {m->store, m->inbox, m->config, &m->patience, &m->gauges};
    int r = writer_start(&c, &m->writer, &m->writer_queue, &m->err);
    for (size_t i = 0; i < m->n_sources && r == 0; i++) {
        m->sources[i].heard = m->listened;
        r = source_start(&m->sources[i], &m->err);
    }
    return r;
}

// What has been read is stored, computed as far as it is final, and settled as far as there is
// time; a run whose inputs have ended takes what time it needs.
static int end(struct meter *m)
{
    int r = drain(m);
    if (r == 0 && m->progress.ending) {
        r = finish(m);
    } else if (r == 0) {
        shards_add_states(m, true);
        r = settle(m, MIN(SETTLE_STOPPING_NS, patience_left(&m->patience) / 2));
    }
    if (r == 0) {
        r = come_to_rest(m);
        go_on(m);
    }
    return r;
}

static int run(struct meter *m)
{
    int r = start(m);
    if (r < 0) {
        return r;
    }
    shards_add_states(m, true);
    upkeep_progress(m, true); // who listens knows that it runs
    r = loop(m);
    struct error first = m->err; // a failed input does not cost what the others have read
    m->progress.ending = r == 0 && !m->stopping;
    m->progress.draining = !m->progress.ending;
    if (!m->progress.ending) {
        patience_stop(&m->patience);
        upkeep_progress(m, true);
    }
    int left = end(m);
    if (r < 0 && left == 0) {
        m->err = first;
    }
    return left < 0 ? left : r;
}

// Told to stop while the store was away: what was not stored is where it came from.
static bool comes_again(const struct meter *m)
{
    for (size_t i = 0; i < m->n_sources; i++) {
        if (!input_info(m->sources[i].input)->keeps_position) {
            return false;
        }
    }
    return atomic_load(&m->patience.gave_up);
}

static void tell_given_up(const struct meter *m)
{
    AUTO_FREE char *text =
        x_asprintf("stopped while the store could not be written: %s; what was read and not stored "
                   "was not acknowledged, and comes again",
                   m->err.msg);
    meter_tell(m, text);
}

int meter_run(struct meter *m, struct error *err)
{
    int r = run(m);
    upkeep_progress(m, true);
    if (r < 0 && comes_again(m)) {
        tell_given_up(m);
        r = 0;
    }
    if (r < 0) {
        *err = m->err;
        err->code = r;
    }
    return r;
}
