#include "pipeline/meter.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/time.h"
#include "cost/provisional.h"

enum { OUTBOX_COSTS_MAX = 8192, TRICKLE_RECORDS = 1024 };
#define TICK_NS (200 * NS_PER_MS)
#define LISTENED_MAX_NS TICK_NS // what one wait counts for, at most
#define WISHES_EVERY_NS (2 * NS_PER_S)
#define SETTLE_NS NS_PER_S                 // at a time, while records come
#define SETTLE_STOPPING_NS (10 * NS_PER_S) // at a stop: those who wait for it wait 25 s

// ---- sending parcels to the writer ---------------------------------------------------------

static int send_parcel(struct meter *m, struct parcel *p)
{
    outbox_append(&p->outbox, &m->outbox);
    if (m->now.ns - m->last_wish.ns >= WISHES_EVERY_NS) {
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
    if (p->source) {
        p->source->in_flight += p->batch.n_records > 0;
    }
    m->last_sent = m->now;
    return 0;
}

static void estimate(struct meter *m, struct parcel *p)
{
    for (size_t i = 0; i < p->batch.n_records; i++) {
        struct record *r = &p->batch.records[i];
        r->shard = record_shard(record_host(r), m->n_shards);
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
            records += s->waiting[j]->batch.n_records;
        }
    }
    return records >= TRICKLE_RECORDS;
}

// Passes on what is waiting, in the order of event time.
static int pass_on(struct meter *m)
{
    struct source *s;
    if (!worth_a_commit(m)) {
        return 0;
    }
    while (!m->holding && (s = feeds_next(m))) {
        struct parcel *p = s->waiting[0];
        s->n_waiting--;
        memmove(&s->waiting[0], &s->waiting[1], s->n_waiting * sizeof(s->waiting[0]));
        parcel_make_entries(p);
        estimate(m, p);
        s->passed_ts = MAX(s->passed_ts, p->newest_ts[RECORD_SAMPLE]);
        s->passed_ts = MAX(s->passed_ts, p->newest_ts[RECORD_USAGE]);
        int r = send_parcel(m, p);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

// A parcel of its own for computed rows, when no records come that could carry them.
static int send_outbox(struct meter *m)
{
    return send_parcel(m, parcel_new(NULL));
}

// ---- taking parcels back -------------------------------------------------------------------

static void take_in(struct meter *m, const struct store_record *entry)
{
    const struct record *r = entry->record;
    struct shard *s = &m->shards[r->shard];
    struct run_progress *p = &m->progress;
    p->duplicates += entry->verdict == STORE_DUPLICATE;
    p->conflicts += entry->verdict == STORE_CONFLICT;
    p->expired += entry->verdict == STORE_EXPIRED;
    if (entry->verdict != STORE_NEW) {
        return;
    }
    m->preview_due = true;
    int64_t *seen = r->kind == RECORD_SAMPLE ? &s->state.samples_seen : &s->state.usage_seen;
    *seen = MAX(*seen, r->seq);
    p->records++;
    p->late += engine_add(s->engine, r) == ENGINE_LATE;
    if (r->kind == RECORD_SAMPLE) {
        p->samples++;
        return;
    }
    p->usages++;
    p->tokens += (uint64_t)(r->usage.prompt_tokens + r->usage.completion_tokens);
    p->unplaced += !usage_placed(&r->usage);
}

static void note_states(struct meter *m)
{
    for (uint32_t i = 0; i < m->n_shards; i++) {
        struct shard *s = &m->shards[i];
        s->state.shard = i;
        s->state.frontier = engine_frontier(s->engine);
        s->state.newest = engine_newest(s->engine);
        s->state.oldest_pending = engine_oldest_pending(s->engine);
    }
}

static void advance_engines(struct meter *m, int64_t watermark)
{
    if (m->holding || watermark <= m->advanced_to) {
        return;
    }
    m->advanced_to = watermark;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        struct engine *e = m->shards[i].engine;
        struct engine_sink sink = outbox_sink(&m->outbox);
        m->outbox.shard = i;
        engine_advance(e, engine_settled_until(e, watermark), &sink);
    }
}

// The states go with every commit that follows records: they say how far the engines have read.
static void add_states(struct meter *m)
{
    note_states(m);
    struct outbox states = {0};
    for (uint32_t i = 0; i < m->n_shards; i++) {
        outbox_add_shard(&states, &m->shards[i].state, m->shards[i].engine);
    }
    outbox_append(&m->outbox, &states);
    outbox_done(&states);
}

static void take_prices(struct meter *m, struct parcel *p)
{
    if (!p->reload_prices || p->prices.n == m->prices.n) {
        return;
    }
    struct arena old = m->price_arena;
    m->price_arena = p->price_arena;
    p->price_arena = old;
    m->prices = p->prices;
    m->preview_due = true;
    meter_tell(m, "the price book has changed: the new prices hold for what is not final yet");
}

static int hand_back(struct meter *m, struct parcel *p)
{
    int r = m->halting ? 0 : queue_push(p->source->free_parcels, p);
    return r < 0 ? error_set(&m->err, r, "an input's queue is closed") : 0;
}

static int give_back(struct meter *m, struct parcel *p)
{
    if (!p->source) {
        parcel_free(p);
        return 0;
    }
    input_stored(p->source->input, p->batch.position);
    p->source->came += p->batch.n_records + p->batch.n_dead;
    p->source->done =
        input_info(p->source->input)->total_is_bytes ? p->batch.offset : p->batch.position;
    return hand_back(m, p);
}

static int take_stored(struct meter *m, struct parcel *p)
{
    m->in_flight--;
    if (p->source) {
        p->source->in_flight -= p->batch.n_records > 0;
    }
    if (p->result < 0) {
        int r = p->result;
        m->err = p->err;
        parcel_free(p->source ? NULL : p); // a source frees its own
        return r;
    }
    bool records = p->source && p->batch.n_records > 0;
    for (size_t i = 0; i < p->batch.n_records; i++) {
        take_in(m, &p->entries[i]);
    }
    m->progress.dead_letters += p->batch.n_dead;
    if (records) {
        feeds_note(m, p->source, p);
        advance_engines(m, feeds_watermark(m));
        add_states(m);
    }
    take_prices(m, p);
    return give_back(m, p);
}

static int take_read(struct meter *m, struct parcel *p)
{
    struct source *s = p->source;
    bool empty = p->batch.n_records + p->batch.n_dead == 0;
    if (empty && p->result > 0 && m->now.ns - m->last_wish.ns < WISHES_EVERY_NS) {
        return hand_back(m, p); // there is nothing in it, nor anything to ask the writer for
    }
    if (!empty) {
        s->heard = m->listened;
    }
    s->ended |= p->result <= 0;
    s->waiting[s->n_waiting++] = p;
    int failed = p->result < 0 && !m->halting ? p->result : 0;
    p->result = 0;
    if (failed) {
        m->err = p->err;
    }
    return failed;
}

static int take(struct meter *m, struct parcel *p)
{
    return p->stored ? take_stored(m, p) : take_read(m, p);
}

// ---- the loop ------------------------------------------------------------------------------

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

bool meter_told_to_stop(const struct meter *m)
{
    struct pollfd fd = {.fd = m->config->env.stop_fd, .events = POLLIN};
    return fd.fd >= 0 && poll(&fd, 1, 0) > 0;
}

// What a source was silent for, it was silent for while somebody listened: a long commit or
// settlement, a process that stood still or a machine that slept say nothing about it.
static void pass_time(struct meter *m)
{
    struct mono now = clock_mono(m->config->env.clock);
    m->listened.ns += MIN(now.ns - m->now.ns, LISTENED_MAX_NS);
    m->now = now;
}

// Takes in what has come; waits for something at most until the next thing is due.
static int take_some(struct meter *m)
{
    struct parcel *p = queue_pop(m->inbox, TICK_NS);
    pass_time(m);
    int r = 0;
    while (p && r == 0) {
        r = take(m, p);
        p = r == 0 ? queue_pop(m->inbox, 0) : NULL;
    }
    return r;
}

static int wait_for_writer(struct meter *m)
{
    int r = 0;
    while (m->in_flight > 0 && r == 0) {
        r = take_some(m);
    }
    return r;
}

// Everything found so far is in the store and the writer at rest; the engines stay where they are
// until `holding` is lifted.
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
    return r;
}

static int settle(struct meter *m, int64_t for_ns)
{
    int r = come_to_rest(m);
    note_states(m);
    if (r == 0) {
        r = upkeep_settle(m, for_ns);
    }
    m->holding = false;
    return r;
}

static int keep_up(struct meter *m)
{
    upkeep_preview(m);
    upkeep_progress(m, false);
    if (upkeep_settle_due(m)) {
        return settle(m, SETTLE_NS);
    }
    bool due = m->now.ns - m->last_sent.ns >= meter_commit_interval(m) ||
               m->outbox.n_costs > OUTBOX_COSTS_MAX;
    return due && m->in_flight == 0 && !outbox_empty(&m->outbox) ? send_outbox(m) : 0;
}

static int loop(struct meter *m)
{
    while (!m->stopping && !finite_ended(m)) {
        int r = take_some(m);
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
        r = take(m, p);
    }
    for (size_t i = 0; i < m->n_sources; i++) {
        m->sources[i].ended = true; // so that none waits for another
    }
    if (r == 0) {
        r = pass_on(m);
    }
    return r == 0 ? wait_for_writer(m) : r;
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

// After the last record: windows up to the newest evidence become final, late ones are settled.
static int finish(struct meter *m)
{
    int64_t newest = INT64_MIN;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        newest = MAX(newest, engine_newest(m->shards[i].engine));
    }
    if (newest == INT64_MIN) {
        return 0;
    }
    int64_t end = newest - 1 + settings_at(&m->settings, newest)->window_ns;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        struct engine_sink sink = outbox_sink(&m->outbox);
        m->outbox.shard = i;
        engine_advance(m->shards[i].engine, end, &sink);
    }
    add_states(m);
    int r = settle(m, INT64_MAX);
    return r == 0 ? expire_at_end(m, newest) : r;
}

static int run(struct meter *m)
{
    int r = writer_start(m->store, m->inbox, m->config->retain_ns, &m->writer, &m->writer_queue,
                         &m->err);
    for (size_t i = 0; i < m->n_sources && r == 0; i++) {
        m->sources[i].heard = m->listened;
        r = source_start(&m->sources[i], &m->err);
    }
    if (r < 0) {
        return r;
    }
    add_states(m);
    upkeep_progress(m, true); // who listens knows that it runs
    r = loop(m);
    struct error first = m->err; // a failed input does not cost what the others have read
    m->progress.ending = r == 0 && !m->stopping;
    int left = drain(m);
    if (left == 0) {
        left = m->progress.ending ? finish(m) : settle(m, SETTLE_STOPPING_NS);
    }
    if (left == 0) {
        left = come_to_rest(m);
    }
    if (r < 0 && left == 0) {
        m->err = first;
    }
    return left < 0 ? left : r;
}

int meter_run(struct meter *m, struct error *err)
{
    int r = run(m);
    upkeep_progress(m, true);
    if (r < 0) {
        *err = m->err;
        err->code = r;
    }
    return r;
}
