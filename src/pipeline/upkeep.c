// What the meter does now and then: settling late time, showing open windows, telling how it goes.
// Each is kept to a small part of the whole by the time it took last.

#include <errno.h>

#include "base/alloc.h"
#include "base/time.h"
#include "pipeline/meter.h"
#include "pipeline/settle.h"

#define SETTLE_EVERY_NS (5 * NS_PER_S)
#define PREVIEW_EVERY_NS (1 * NS_PER_S)
#define PROGRESS_EVERY_NS (1 * NS_PER_S)
// What comes once a second and what is done once a second are done together: a little early, when
// something has come, or a little late.
#define EARLY_NS (100 * NS_PER_MS)
#define LATE_NS (50 * NS_PER_MS)
#define PREVIEW_BRIEF_NS (5 * NS_PER_MS)       // what nobody notices
enum { SETTLE_SHARE = 5, PREVIEW_SHARE = 20 }; // one part in so many of the time, at most
enum { PREVIEW_WORK = 1024 };                  // at a time; less than a millisecond

static struct mono now(const struct meter *m)
{
    return clock_mono(m->config->env.clock);
}

// ---- settlement ----------------------------------------------------------------------------

static bool any_dirty(const struct meter *m)
{
    const struct time_range *ranges;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        const struct engine *e = m->shards[i].engine;
        if (e && engine_dirty(e, &ranges) > 0) {
            return true;
        }
    }
    return false;
}

bool upkeep_settle_due(const struct meter *m)
{
    int64_t wait = MAX(SETTLE_EVERY_NS, m->settle_cost * SETTLE_SHARE);
    return m->now.ns - m->last_settled.ns >= wait && any_dirty(m);
}

static int commit_outbox(struct meter *m, const struct outbox *o, bool *ret_lost)
{
    AUTO_FREE struct window_rows *windows = x_array(o->n_windows + 1, sizeof(*windows));
    struct store_write write = {.lost = ret_lost};
    outbox_fill(o, windows, &write);
    return store_commit(m->store, &write, &m->err);
}

// What records came late for cannot be computed any more: it stays as it is, and that is said.
static void give_slice_up(struct meter *m, struct time_range slice)
{
    struct buf b;
    buf_init(&b, 256);
    buf_cstr(&b, "late records of ");
    time_format_iso(&b, slice.from);
    buf_cstr(&b, " to ");
    time_format_iso(&b, slice.to);
    buf_cstr(&b, " change no cost: records around them were expired");
    if (m->config->notice) {
        m->config->notice(m->config->ctx, b.p);
    }
    buf_done(&b);
}

static void while_deriving(void *ctx, int64_t done)
{
    (void)done;
    upkeep_progress(ctx, false);
}

// Settles one slice and commits it with what is then left to settle.
static int settle_slice_of(struct meter *m, struct shard *shard, struct time_range slice)
{
    struct outbox outbox = {0};
    struct derivation *keep = NULL;
    bool lost = false;
    struct derive_config range = {
        .store = m->store,
        .settings = &m->settings,
        .prices = &m->prices,
        .shard = shard->state.shard,
        .from = slice.from,
        .to = slice.to,
        .frontier = engine_frontier(shard->engine),
        .visitor = {.progress = while_deriving, .ctx = m},
    };
    int r = settle_range(&range, shard->engine, &outbox, &keep, &m->err);
    if (r == -ENODATA) {
        give_slice_up(m, slice);
        r = 0;
    }
    if (r == 0) {
        engine_dirty_remove(shard->engine, slice.from, slice.to);
        shards_add_state(&outbox, shard);
        r = commit_outbox(m, &outbox, &lost);
    }
    if (r < 0) {
        engine_dirty_add(shard->engine, slice.from, slice.to);
    }
    derivation_free(keep);
    outbox_done(&outbox);
    if (lost) {
        shards_lose(m, shard->state.shard);
    }
    return r;
}

// What a settlement wrote before it failed is found equal the next time.
static int settle_slice_trying(struct meter *m, struct shard *shard, struct time_range slice)
{
    int r;
    do {
        r = settle_slice_of(m, shard, slice);
    } while (r < 0 && meter_again(m));
    if (r == 0) {
        meter_well(m);
    }
    return r;
}

static int settle_shard(struct meter *m, struct shard *shard, int64_t slice, struct mono deadline)
{
    const struct time_range *ranges;
    while (shard->engine && engine_dirty(shard->engine, &ranges) > 0) {
        struct time_range next = {ranges[0].from, MIN(ranges[0].to, ranges[0].from + slice)};
        int r = settle_slice_trying(m, shard, next);
        if (r < 0) {
            return r;
        }
        meter_alive(m);
        upkeep_progress(m, false);
        if (now(m).ns >= deadline.ns || (!m->stopping && meter_told_to_stop(m))) {
            return 0; // the rest stays noted as unsettled
        }
    }
    return 0;
}

int upkeep_settle(struct meter *m, int64_t for_ns)
{
    struct mono begin = now(m);
    struct mono deadline = {for_ns < INT64_MAX - begin.ns ? begin.ns + for_ns : INT64_MAX};
    struct store_info info;
    int r;
    do {
        r = store_info(m->store, &info, &m->err);
    } while (r < 0 && meter_again(m));
    if (r < 0) {
        return r;
    }
    int64_t slice = settle_slice(&info, &m->settings.epochs[m->settings.n - 1]);
    slice = time_ceil(slice, NS_PER_HOUR); // whole windows, whatever their length was then
    for (uint32_t i = 0; i < m->n_shards && r == 0; i++) {
        r = settle_shard(m, &m->shards[i], slice, deadline);
    }
    m->last_settled = now(m);
    m->settle_cost = m->last_settled.ns - begin.ns;
    return r;
}

// ---- open windows --------------------------------------------------------------------------

static int64_t preview_at(const struct meter *m)
{
    return m->last_preview.ns + MAX(PREVIEW_EVERY_NS, m->preview_cost * PREVIEW_SHARE);
}

// A step of it; then the next shard's turn comes.
static void preview_some(struct meter *m)
{
    struct engine_sink sink = outbox_sink(&m->outbox);
    struct engine *e = m->shards[m->preview_next].engine;
    size_t before = m->outbox.n_rows;
    m->outbox.shard = m->preview_next;
    bool full = before >= OUTBOX_ROWS_MAX; // the next one goes on there
    m->preview_more = e && !full && engine_preview_changed(e, PREVIEW_WORK, &sink);
    m->preview_due |= e && full;
    m->outbox.preview_rows += m->outbox.n_rows - before;
    m->preview_next += m->preview_more ? 0 : 1;
}

static bool begin_preview(struct meter *m)
{
    if (!m->preview_due || m->preview_out || m->now.ns < preview_at(m) - EARLY_NS) {
        return false;
    }
    m->preview_due = false;
    m->previewing = true;
    m->preview_next = 0;
    m->preview_cost = 0;
    m->last_preview = m->preview_resume = m->now;
    return true;
}

int64_t upkeep_preview_in(const struct meter *m)
{
    return m->previewing ? MAX(m->preview_resume.ns - m->now.ns, (int64_t)0) : INT64_MAX;
}

// Steps that take long are spread over the time that they may take a part of: those who commit
// meanwhile need the processor, too.
void upkeep_preview(struct meter *m)
{
    if (!m->previewing && !begin_preview(m)) {
        return;
    }
    if (upkeep_preview_in(m) > 0) {
        return;
    }
    struct mono begin = now(m);
    do {
        preview_some(m);
    } while (m->preview_more && now(m).ns - begin.ns < PREVIEW_BRIEF_NS);
    m->previewing = m->preview_next < m->n_shards;
    m->preview_resume = now(m);
    int64_t took = m->preview_resume.ns - begin.ns;
    m->preview_cost += took;
    m->preview_resume.ns += took > PREVIEW_BRIEF_NS ? took * (PREVIEW_SHARE - 1) : 0;
}

// ---- progress ------------------------------------------------------------------------------

static void count_inputs(struct meter *m)
{
    struct run_progress *p = &m->progress;
    p->input_done = p->input_total = 0;
    for (size_t i = 0; i < m->n_sources; i++) {
        const struct input_info *info = input_info(m->sources[i].input);
        if (!info->finite) {
            continue;
        }
        p->input_done += m->sources[i].done;
        p->input_total = info->total < 0 || p->input_total < 0 ? -1 : p->input_total + info->total;
    }
}

static void tell_sources(struct meter *m)
{
    for (size_t i = 0; i < m->n_sources; i++) {
        source_state(&m->sources[i], &m->states[i]);
    }
    m->progress.sources = m->states;
    m->progress.n_sources = m->n_sources;
}

static void count_time(struct meter *m)
{
    struct run_progress *p = &m->progress;
    p->frontier = INT64_MAX;
    p->newest = INT64_MIN;
    p->settling = 0;
    p->shards = 0;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        const struct engine *e = m->shards[i].engine;
        const struct time_range *ranges;
        if (!e) {
            continue;
        }
        p->shards++;
        size_t n = engine_dirty(e, &ranges);
        p->newest = MAX(p->newest, engine_newest(e));
        if (engine_newest(e) != INT64_MIN) {
            p->frontier = MIN(p->frontier, engine_frontier(e));
        }
        for (size_t j = 0; j < n; j++) {
            p->settling += ranges[j].to - ranges[j].from;
        }
    }
    if (p->frontier == INT64_MAX) {
        p->frontier = INT64_MIN;
    }
}

void upkeep_progress(struct meter *m, bool at_once)
{
    struct mono at = now(m);
    if (!at_once && at.ns - m->last_progress.ns < PROGRESS_EVERY_NS - EARLY_NS) {
        return;
    }
    m->last_progress = at;
    count_inputs(m);
    count_time(m);
    tell_sources(m);
    patience_state(&m->patience, &m->progress.store);
    m->progress.opening = !m->open;
    m->progress.writer_moves = !m->writer || writer_moves(m->writer);
    gauges_list(m, &m->metrics);
    m->progress.metrics = &m->metrics;
    if (m->config->progress) {
        m->config->progress(m->config->ctx, &m->progress);
    }
}

int64_t upkeep_due(const struct meter *m)
{
    int64_t at = m->last_progress.ns + PROGRESS_EVERY_NS;
    if (m->preview_due && !m->preview_out && !m->previewing) {
        at = MIN(at, preview_at(m));
    }
    return at + LATE_NS - now(m).ns;
}
