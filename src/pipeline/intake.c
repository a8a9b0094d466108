// What comes to the meter: parcels that a source has read, and those that the writer has stored,
// whose new records the engines take in.
#include <errno.h>

#include "base/alloc.h"
#include "base/time.h"
#include "pipeline/meter.h"
#include "pipeline/seen.h"

static void feed(struct meter *m, struct shard *s, const struct record *r)
{
    seen_fed(&s->state, r->kind, r->seq);
    m->preview_due = s->touched = true;
    m->untold++;
    if (engine_add(s->engine, r) == ENGINE_LATE) {
        m->progress.late++;
        s->state_due = true;
    }
}

static void count_refused(struct meter *m, enum store_verdict verdict)
{
    struct run_progress *p = &m->progress;
    p->duplicates += verdict == STORE_DUPLICATE;
    p->conflicts += verdict == STORE_CONFLICT;
    p->expired += verdict == STORE_EXPIRED;
    p->refused += verdict == STORE_REFUSED;
}

static void take_in(struct meter *m, const struct store_record *entry)
{
    const struct record *r = entry->record;
    struct shard *s = &m->shards[r->shard];
    struct run_progress *p = &m->progress;
    bool new = entry->verdict == STORE_NEW;
    if (s->engine && (new || (entry->verdict == STORE_DUPLICATE && shards_adopt(m, s, r)))) {
        feed(m, s, r);
    }
    if (!new) {
        count_refused(m, entry->verdict);
        return;
    }
    p->records++;
    if (r->kind == RECORD_SAMPLE) {
        p->samples++;
        return;
    }
    p->usages++;
    p->tokens += (uint64_t)(r->usage.prompt_tokens + r->usage.completion_tokens);
    p->unplaced += !usage_placed(&r->usage);
}

// As much as the outbox has room for: one long request has rows in thousands of windows. Whether
// that was not all is in *ret_more; returns whether it computed anything.
static bool advance_engine(struct meter *m, struct shard *s, int64_t watermark, bool *ret_more)
{
    struct engine_sink sink = outbox_sink(&m->outbox);
    int64_t before = engine_frontier(s->engine);
    if (m->outbox.n_rows >= OUTBOX_ROWS_MAX) {
        *ret_more = true;
        return false;
    }
    m->outbox.shard = s->state.shard;
    *ret_more = engine_advance_some(s->engine, engine_settled_until(s->engine, watermark),
                                    OUTBOX_ROWS_MAX - m->outbox.n_rows, &sink);
    bool moved = engine_frontier(s->engine) != before;
    s->state_due |= moved;
    return moved;
}

// Nothing becomes final while others may own these shards by now.
static void advance_owned(struct meter *m, bool all)
{
    m->last_look = m->now;
    m->advance_due = false;
    if (m->holding || !input_is_current(m->owner->input)) {
        return;
    }
    feeds_find_watermarks(m);
    for (uint32_t i = 0; i < m->n_shards && !m->advance_due; i++) {
        struct shard *s = &m->shards[m->advance_next];
        m->advance_next = (m->advance_next + 1) % m->n_shards;
        if (s->engine && s->watermark > s->advanced_to) {
            bool more;
            m->advance_due = advance_engine(m, s, s->watermark, &more) && !all;
            s->advanced_to = more ? s->advanced_to : s->watermark;
        }
    }
}

void intake_advance(struct meter *m, bool all)
{
    if (m->owner) {
        advance_owned(m, all);
        return;
    }
    int64_t watermark = feeds_watermark(m);
    if (m->holding || (watermark <= m->advanced_to && !m->advance_more)) {
        return;
    }
    m->advanced_to = MAX(watermark, m->advanced_to);
    m->advance_more = false;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        bool more;
        (void)advance_engine(m, &m->shards[i], m->advanced_to, &more);
        m->advance_more |= more;
    }
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

int intake_give_back(struct meter *m, struct parcel *p)
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

static void take_feeds(struct meter *m, const struct parcel *p)
{
    if (m->owner) {
        feeds_stored(m, p);
    } else {
        feeds_note(m, p->source, p);
    }
}

// Where there is no other input to say whose shards are whose, this process was out for so long
// that another one took them; what it stored on would be in nobody's costs.
static int take_losses(struct meter *m, const struct parcel *p)
{
    for (size_t i = 0; i < p->n_lost; i++) {
        shards_lose(m, p->lost[i]);
    }
    return p->n_lost == 0 || m->owner
               ? 0
               : error_set(&m->err, -ESTALE,
                           "%s: another process has taken its shards, since this one stood still "
                           "for too long; stop one of the two",
                           store_name(m->store));
}

static int take_stored(struct meter *m, struct parcel *p)
{
    m->in_flight--;
    m->returned++;
    shards_bury(m);
    if (p->source) {
        p->source->in_flight -= p->batch.n_records > 0;
    }
    if (p->result < 0) {
        int r = p->result;
        m->err = p->err;
        parcel_free(p->source ? NULL : p); // a source frees its own
        return r;
    }
    m->preview_cost += p->preview_took;
    m->came_calmly |= p->calm;
    m->preview_out &= !p->preview;
    bool records = p->source && p->batch.n_records > 0;
    for (size_t i = 0; i < p->batch.n_records; i++) {
        take_in(m, &p->entries[i]);
    }
    m->progress.dead_letters += p->batch.n_dead;
    int r = take_losses(m, p);
    if (records) {
        take_feeds(m, p);
        m->advance_due = m->owner != NULL;
        if (!m->owner) {
            intake_advance(m, true);
        }
        shards_add_states(m, false);
    }
    take_prices(m, p);
    int given = intake_give_back(m, p);
    return r < 0 ? r : given;
}

// What an input says of itself, it says within bounds.
static int check_shards(struct meter *m, const struct parcel *p)
{
    for (size_t i = 0; i < p->batch.n_records; i++) {
        uint32_t shard = p->batch.records[i].shard;
        if (shard >= m->n_shards) {
            return error_set(&m->err, -EPROTO, "%s: a record is of shard %u, but there are only %u",
                             input_info(p->source->input)->name, shard, m->n_shards);
        }
    }
    feeds_read(m, p);
    return 0;
}

static int take_read(struct meter *m, struct parcel *p)
{
    struct source *s = p->source;
    bool empty = p->batch.n_records + p->batch.n_dead == 0 && p->batch.change == SHARDS_SAME;
    int r = m->owner ? check_shards(m, p) : 0;
    if (r < 0) {
        return r;
    }
    if (empty && p->result > 0 && m->now.ns - m->last_wish.ns < METER_WISHES_NS) {
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

int intake_take(struct meter *m, struct parcel *p)
{
    return p->stored ? take_stored(m, p) : take_read(m, p);
}
