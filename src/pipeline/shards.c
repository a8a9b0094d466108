#include "pipeline/shards.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/time.h"
#include "pipeline/claim.h"
#include "pipeline/meter.h"
#include "pipeline/rebuild.h"
#include "pipeline/seen.h"

#define AUDIT_NS (60 * NS_PER_S)
#define RETAKE_NS (10 * NS_PER_S)
#define STATES_EVERY_NS NS_PER_S
#define STATES_OWN_EVERY_NS (10 * NS_PER_S)
enum { STATES_OWN_RECORDS = 1024 };

static int64_t window_floor(const struct meter *m, int64_t t)
{
    t = MAX(t, INT64_C(0));
    return time_floor(t, settings_at(&m->settings, t)->window_ns);
}

static int64_t window_ceil(const struct meter *m, int64_t t)
{
    t = MAX(t, INT64_C(0));
    return time_ceil(t, settings_at(&m->settings, t)->window_ns);
}

// ---- engines that go -----------------------------------------------------------------------

static void bury(struct meter *m, struct engine *e)
{
    if (e) {
        ARRAY_RESERVE(m->buried, m->n_buried, m->cap_buried);
        m->buried[m->n_buried++] = (struct buried){e, m->sent};
    }
}

void shards_bury(struct meter *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->n_buried; i++) {
        if (m->returned >= m->buried[i].until) {
            engine_free(m->buried[i].engine);
        } else {
            m->buried[kept++] = m->buried[i];
        }
    }
    m->n_buried = kept;
}

static void forget_audit(struct shard *s)
{
    ranges_done(&s->audit);
    map_done(&s->adopted[RECORD_SAMPLE]);
    map_done(&s->adopted[RECORD_USAGE]);
    s->audit_end = INT64_MIN;
}

static void drop(struct meter *m, struct shard *s)
{
    bury(m, TAKE_PTR(s->engine));
    bury(m, TAKE_PTR(s->parked));
    outbox_drop_shard(&m->outbox, s->state.shard);
    forget_audit(s);
    s->state_due = s->touched = false;
}

void shards_lose(struct meter *m, uint32_t shard)
{
    struct shard *s = &m->shards[shard];
    if (!s->engine) {
        return; // it was told
    }
    char text[160];
    snprintf(text, sizeof(text),
             "shard %u was taken by another process: its costs are computed there%s", shard,
             m->owner ? ", its records are still stored" : "");
    meter_tell(m, text);
    drop(m, s);
    m->lost++;
    s->retake.ns = clock_mono(m->config->env.clock).ns + RETAKE_NS;
}

void shards_close(struct meter *m)
{
    for (uint32_t i = 0; i < m->n_shards; i++) {
        struct shard *s = &m->shards[i];
        engine_free(s->engine);
        engine_free(s->parked);
        forget_audit(s);
    }
    for (size_t i = 0; i < m->n_buried; i++) {
        engine_free(m->buried[i].engine);
    }
    free(m->buried);
    free(m->shards);
}

// ---- taking --------------------------------------------------------------------------------

static void count_late(void *ctx, const struct record *r, int late)
{
    struct meter *m = ctx;
    (void)r;
    m->progress.late += late == ENGINE_LATE;
    upkeep_progress(m, false);
}

static int rebuild(struct meter *m, struct shard *s, const struct shard_hold *hold)
{
    int r;
    uint64_t late = m->progress.late;
    do {
        s->state = hold->state;
        m->progress.late = late;
        r = rebuild_engine(m->store, &m->settings, &m->prices, &s->state, count_late, m, &s->engine,
                           &m->err);
    } while (r < 0 && meter_again(m));
    return r;
}

// What the former owner may be writing still, or has written last.
static int begin_audit(struct meter *m, struct shard *s, int64_t frontier)
{
    struct store_info info;
    const struct time_range *ranges;
    size_t n = engine_dirty(s->engine, &ranges);
    for (size_t i = 0; i < n; i++) {
        ranges_add(&s->audit, ranges[i].from, ranges[i].to);
    }
    int64_t newest = engine_newest(s->engine);
    if (newest == INT64_MIN) {
        return 0;
    }
    if (frontier == INT64_MIN) { // as far back as there is anything
        int r = store_info(m->store, &info, &m->err);
        if (r < 0) {
            return r;
        }
        frontier = window_floor(m, info.first == INT64_MAX ? newest : info.first);
    }
    s->audit_end = MAX(frontier, window_ceil(m, newest));
    ranges_add(&s->audit, frontier, s->audit_end);
    return 0;
}

static int make_engine(struct meter *m, struct shard *s, const struct shard_hold *hold)
{
    int r = rebuild(m, s, hold);
    if (r < 0) {
        return r;
    }
    forget_audit(s);
    seen_open_gap(&s->state, RECORD_SAMPLE, hold->first_seq, hold->own_seq[RECORD_SAMPLE]);
    seen_open_gap(&s->state, RECORD_USAGE, hold->first_seq, hold->own_seq[RECORD_USAGE]);
    s->state_due = s->touched = true;
    int64_t wait = m->config->audit_ns > 0 ? m->config->audit_ns : AUDIT_NS;
    s->audit_at.ns = clock_mono(m->config->env.clock).ns + wait;
    while (!hold->kept && (r = begin_audit(m, s, hold->state.frontier)) < 0 && meter_again(m)) {
        continue;
    }
    return r;
}

static int took(struct meter *m, struct shard *s, const struct shard_hold *hold)
{
    struct engine *known = s->engine ? s->engine : s->parked;
    bool goes_on = hold->kept && known;
    int r = 0;
    s->parked = NULL;
    s->engine = goes_on ? known : NULL;
    if (!goes_on) { // else what this process stored before is its own, too
        bury(m, known);
        r = make_engine(m, s, hold);
    } else {
        engine_tell_all(known); // others may have written rows of open windows meanwhile
    }
    feeds_begin(m, s);
    m->taken++;
    m->kept += goes_on;
    return r;
}

static int take_over(struct meter *m, uint32_t shard)
{
    struct shard *s = &m->shards[shard];
    struct shard_hold hold;
    int r;
    do {
        r = store_take_shard(m->store, shard, SHARD_TAKEOVER, &hold, &m->err);
    } while (r < 0 && meter_again(m));
    if (r == 0) {
        r = took(m, s, &hold);
    }
    if (r == 0) {
        meter_well(m);
        meter_alive(m);
        upkeep_progress(m, false);
    }
    return r;
}

// Others may have been told other settings since, or new prices.
static int reload(struct meter *m)
{
    int r;
    do {
        r = store_settings(m->store, &m->told, &m->settings, &m->err);
    } while (r < 0 && meter_again(m));
    return r;
}

// ---- what an input says --------------------------------------------------------------------

static bool names(const struct batch *b, uint32_t shard)
{
    for (size_t i = 0; i < b->n_shards; i++) {
        if (b->shards[i] == shard) {
            return true;
        }
    }
    return false;
}

static int take_all(struct meter *m, const struct batch *b)
{
    int r = b->n_shards > 0 ? reload(m) : 0;
    for (size_t i = 0; i < b->n_shards && r == 0; i++) {
        m->shards[b->shards[i]].ours = true;
        r = take_over(m, b->shards[i]);
    }
    // What was left and did not come back is others' now.
    for (uint32_t i = 0; i < m->n_shards; i++) {
        if (!names(b, i)) {
            bury(m, TAKE_PTR(m->shards[i].parked));
        }
    }
    m->owner->joined = true;
    m->preview_due = true;
    return r;
}

static void leave(struct shard *s)
{
    s->ours = false;
    if (s->engine) {
        s->parked = TAKE_PTR(s->engine);
    }
}

static void lose(struct meter *m, struct shard *s)
{
    s->ours = false;
    m->lost += s->engine != NULL;
    drop(m, s);
}

int shards_change(struct meter *m, const struct batch *b)
{
    for (size_t i = 0; i < b->n_shards; i++) {
        if (b->shards[i] >= m->n_shards) {
            return error_set(&m->err, -EPROTO, "%s: speaks of shard %u, but there are only %u",
                             input_info(m->owner->input)->name, b->shards[i], m->n_shards);
        }
    }
    if (b->change == SHARDS_TAKEN) {
        return m->halting ? 0 : take_all(m, b); // at the end nobody computes any more
    }
    for (size_t i = 0; i < b->n_shards; i++) {
        struct shard *s = &m->shards[b->shards[i]];
        if (b->change == SHARDS_LEFT) {
            leave(s);
        } else {
            lose(m, s);
        }
    }
    return 0;
}

static bool retake_due(const struct meter *m, const struct shard *s)
{
    return m->owner && s->ours && !s->engine && m->now.ns >= s->retake.ns &&
           input_is_current(m->owner->input);
}

bool shards_retake_due(const struct meter *m)
{
    for (uint32_t i = 0; i < m->n_shards; i++) {
        if (retake_due(m, &m->shards[i])) {
            return true;
        }
    }
    return false;
}

int shards_retake(struct meter *m)
{
    int r = 0;
    for (uint32_t i = 0; i < m->n_shards && r == 0; i++) {
        if (retake_due(m, &m->shards[i])) {
            r = take_over(m, i);
        }
    }
    return r;
}

// ---- what former owners leave behind -------------------------------------------------------

bool shards_adopt(struct meter *m, struct shard *s, const struct record *r)
{
    struct map *adopted = &s->adopted[r->kind];
    if (!seen_in_gap(&s->state, r->kind, r->seq) || map_get(adopted, r->seq)) {
        return false;
    }
    map_put(adopted, r->seq, s);
    int64_t begin = r->kind == RECORD_USAGE ? usage_start(&r->usage) : r->sample.ts;
    int64_t from = window_floor(m, begin), to = window_ceil(m, record_ts(r) + 1);
    ranges_add(&s->audit, s->audit_end == INT64_MIN ? from : MIN(from, s->audit_end), to);
    s->audit_end = MAX(s->audit_end, to);
    s->state_due = true;
    m->adopted++;
    return true;
}

static void audit_shard(struct shard *s)
{
    int64_t frontier = engine_frontier(s->engine);
    while (s->audit.n > 0 && s->audit.v[0].from < frontier) {
        struct time_range part = s->audit.v[0];
        part.to = MIN(part.to, frontier);
        engine_dirty_add(s->engine, part.from, part.to);
        ranges_remove(&s->audit, part.from, part.to);
    }
}

void shards_audit(struct meter *m, bool all)
{
    for (uint32_t i = 0; i < m->n_shards; i++) {
        struct shard *s = &m->shards[i];
        if (s->engine && s->audit.n > 0 && (all || m->now.ns >= s->audit_at.ns)) {
            engine_tell_all(s->engine);
            audit_shard(s);
        }
    }
}

// ---- states --------------------------------------------------------------------------------

// What is left to audit of final time is not settled, should the next owner ask.
void shards_add_state(struct outbox *o, struct shard *s)
{
    struct ranges unsettled = {0};
    const struct time_range *dirty;
    size_t n = engine_dirty(s->engine, &dirty);
    s->state.frontier = engine_frontier(s->engine);
    s->state.newest = engine_newest(s->engine);
    s->state.oldest_pending = engine_oldest_pending(s->engine);
    s->state_due = s->touched = false;
    if (s->audit.n == 0) {
        outbox_add_shard(o, &s->state, dirty, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        ranges_add(&unsettled, dirty[i].from, dirty[i].to);
    }
    for (size_t i = 0; i < s->audit.n; i++) {
        ranges_add(&unsettled, s->audit.v[i].from, MIN(s->audit.v[i].to, s->state.frontier));
    }
    outbox_add_shard(o, &s->state, unsettled.v, unsettled.n);
    ranges_done(&unsettled);
}

// A state goes when it says something that others cannot find out; else it may lag, since what is
// stored behind it is fed again as new: where each is a write of its own, by a second, and where a
// trickle would write its page with every commit, by a few records.
static bool states_due(const struct meter *m)
{
    int64_t passed = m->now.ns - m->last_states.ns;
    bool shared = store_is_shared(m->store) || m->owner;
    return shared ? passed >= STATES_EVERY_NS
                  : passed >= STATES_OWN_EVERY_NS || m->untold >= STATES_OWN_RECORDS;
}

void shards_add_states(struct meter *m, bool all)
{
    struct outbox states = {0};
    bool due = all || states_due(m);
    for (uint32_t i = 0; i < m->n_shards; i++) {
        struct shard *s = &m->shards[i];
        if (s->engine && (s->state_due || (s->touched && due))) {
            shards_add_state(&states, s);
        }
    }
    m->last_states = due ? m->now : m->last_states;
    m->untold = due ? 0 : m->untold;
    outbox_append(&m->outbox, &states);
    outbox_done(&states);
}

// ---- at the beginning ----------------------------------------------------------------------

static int find_owner(struct meter *m, struct error *err)
{
    for (size_t i = 0; i < m->n_sources; i++) {
        const struct input_info *info = input_info(m->sources[i].input);
        if (info->n_shards == 0) {
            continue;
        }
        if (m->n_sources > 1) {
            return error_set(err, -EINVAL,
                             "%s: says itself which records this process meters, so it must be the "
                             "only input of a run: start one more for the others",
                             info->name);
        }
        m->owner = &m->sources[i];
    }
    return 0;
}

// The store's number of shards is what was asked for, or what the input has.
static int agree_on_shards(struct meter *m, struct error *err)
{
    struct store_info info;
    int r = store_info(m->store, &info, err);
    const char *name = m->owner ? input_info(m->owner->input)->name : "";
    uint32_t asked = m->config->shards,
             n = m->owner ? input_info(m->owner->input)->n_shards : asked;
    if (r < 0) {
        return r;
    }
    if (m->owner && asked > 0 && asked != n) {
        return error_set(err, -EINVAL, "%s has %u shards (partitions), so --shards cannot be %u",
                         name, n, asked);
    }
    if (n > 0 && n != info.n_shards) {
        r = store_set_shards(m->store, n, err);
    }
    if (r == -EBUSY) {
        err->retryable = false;
    }
    if (r == -EBUSY && m->owner) {
        return error_set(err, -EINVAL,
                         "%s has %u shards (partitions), but the records in %s are in %u: give it "
                         "a store of its own, or topics of as many partitions",
                         name, n, store_name(m->store), info.n_shards);
    }
    m->n_shards = n > 0 ? n : info.n_shards;
    return r;
}

static void tell(void *ctx, const char *text)
{
    meter_tell(ctx, text);
}

static int claim(struct meter *m, struct shard *s)
{
    struct shard_hold hold;
    struct claimant c = {m->store, m->config->claim_ns, &m->patience, tell, m};
    int r;
    do {
        r = claim_shard(&c, s->state.shard, &hold, &m->err);
    } while (r < 0 && r != -EBUSY && meter_again(m));
    s->ours = true;
    return r < 0 ? r : took(m, s, &hold);
}

int shards_open(struct meter *m)
{
    int r = find_owner(m, &m->err);
    if (r == 0) {
        do {
            r = agree_on_shards(m, &m->err);
        } while (r < 0 && meter_again(m));
    }
    if (r < 0) {
        m->n_shards = 0;
        return r;
    }
    m->shards = x_array(m->n_shards, sizeof(m->shards[0]));
    for (uint32_t i = 0; i < m->n_shards; i++) {
        m->shards[i] = (struct shard){.audit_end = INT64_MIN, .state.shard = i};
        feeds_begin(m, &m->shards[i]);
    }
    for (uint32_t i = 0; i < m->n_shards && r == 0 && !m->owner; i++) {
        r = claim(m, &m->shards[i]);
    }
    return r;
}
