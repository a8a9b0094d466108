// Event time over several inputs. A feed is one kind of record from one source; the watermark is
// the lowest newest event time over the feeds, leaving out those that have delivered all they had
// and those that were silent for 3 s of the time in which they were listened to. Sources that run
// ahead in event time wait for the others, so that reading two files side by side makes nothing
// late.
//
// Of an input that owns shards for a time, each shard is a world of its own: its feeds are its two
// kinds. One counts while records of it are on their way, while more of it waits to be read, and
// for 3 s after it was fed, or after the shard was taken. A shard all of whose feeds are silent
// follows the lowest watermark of those that are not: its hosts stopped, time goes on.

#include "pipeline/meter.h"

#define FEED_IDLE_NS (3 * NS_PER_S)
#define AHEAD_NS (60 * NS_PER_S) // how far one source may be ahead of another

static bool silent(const struct meter *m, struct mono since)
{
    return m->listened.ns - since.ns > FEED_IDLE_NS;
}

// Whether others wait for this source: not for one that has nothing to say, only for one that has
// just spoken, or is waiting itself.
static bool holds_others_up(const struct meter *m, const struct source *s)
{
    return s->n_waiting > 0 || (!s->ended && !silent(m, s->heard));
}

static bool may_go(const struct meter *m, const struct source *s)
{
    for (size_t i = 0; i < m->n_sources; i++) {
        const struct source *other = &m->sources[i];
        if (other == s || !holds_others_up(m, other) || s->passed_ts == INT64_MIN) {
            continue;
        }
        if (other->passed_ts == INT64_MIN || other->passed_ts < s->passed_ts - AHEAD_NS) {
            return false;
        }
    }
    return true;
}

struct source *feeds_next(struct meter *m)
{
    struct source *best = NULL;
    for (size_t i = 0; i < m->n_sources; i++) {
        struct source *s = &m->sources[i];
        if (s->n_waiting == 0 || (best && best->passed_ts <= s->passed_ts)) {
            continue;
        }
        if (may_go(m, s)) {
            best = s;
        }
    }
    return best;
}

void feeds_note(struct meter *m, struct source *s, const struct parcel *p)
{
    for (size_t kind = 0; kind < ARRAY_LEN(s->newest); kind++) {
        if (p->newest_ts[kind] == INT64_MIN) {
            continue;
        }
        s->newest[kind] = MAX(s->newest[kind], p->newest_ts[kind]);
        s->fed[kind] = m->listened;
    }
}

// Whether this source, or one of its feeds, may still say something about time before what others
// have said: what it has read and the engines have not is on its way.
static bool speaks(const struct meter *m, const struct source *s, struct mono since)
{
    return s->n_waiting + s->in_flight > 0 || (!s->ended && !silent(m, since));
}

// The time that no shard with records is before.
static int64_t least_watermark(const struct meter *m)
{
    int64_t least = INT64_MAX;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        const struct shard *s = &m->shards[i];
        if (s->engine && engine_newest(s->engine) != INT64_MIN) {
            least = MIN(least, s->watermark);
        }
    }
    return least == INT64_MAX ? INT64_MIN : least;
}

int64_t feeds_watermark(const struct meter *m)
{
    if (m->owner) {
        return least_watermark(m);
    }
    int64_t lowest = INT64_MAX, newest = INT64_MIN;
    for (size_t i = 0; i < m->n_sources; i++) {
        const struct source *s = &m->sources[i];
        bool known = false;
        for (size_t kind = 0; kind < ARRAY_LEN(s->newest); kind++) {
            if (s->newest[kind] == INT64_MIN) {
                continue;
            }
            known = true;
            newest = MAX(newest, s->newest[kind]);
            if (speaks(m, s, s->fed[kind])) {
                lowest = MIN(lowest, s->newest[kind]);
            }
        }
        if (!known && speaks(m, s, s->heard)) {
            return INT64_MIN; // nobody knows yet where it begins
        }
    }
    return lowest == INT64_MAX ? newest : lowest;
}

// ---- shards that are owned for a time ------------------------------------------------------

void feeds_read(struct meter *m, const struct parcel *p)
{
    for (size_t i = 0; i < p->batch.n_records; i++) {
        const struct record *r = &p->batch.records[i];
        m->shards[r->shard].coming[r->kind]++;
    }
}

void feeds_stored(struct meter *m, const struct parcel *p)
{
    for (size_t i = 0; i < p->batch.n_records; i++) {
        const struct record *r = &p->batch.records[i];
        struct shard *s = &m->shards[r->shard];
        s->coming[r->kind]--;
        s->newest[r->kind] = MAX(s->newest[r->kind], record_ts(r));
        s->fed[r->kind] = m->listened;
    }
}

void feeds_begin(const struct meter *m, struct shard *s)
{
    for (size_t kind = 0; kind < ARRAY_LEN(s->newest); kind++) {
        s->newest[kind] = INT64_MIN;
        s->fed[kind] = m->listened;
    }
    s->watermark = s->advanced_to = INT64_MIN;
}

// False: all its feeds are silent. INT64_MIN: one of them has not said yet where it begins.
static bool own_watermark(const struct meter *m, uint32_t shard, int64_t *ret)
{
    const struct shard *s = &m->shards[shard];
    unsigned behind = input_behind(m->owner->input, shard);
    bool any = false;
    *ret = INT64_MAX;
    for (unsigned kind = 0; kind < ARRAY_LEN(s->newest); kind++) {
        if (s->coming[kind] > 0 || (behind >> kind & 1) || !silent(m, s->fed[kind])) {
            any = true;
            *ret = MIN(*ret, s->newest[kind]);
        }
    }
    return any;
}

void feeds_find_watermarks(struct meter *m)
{
    int64_t lowest = INT64_MAX;
    for (uint32_t i = 0; i < m->n_shards; i++) {
        struct shard *s = &m->shards[i];
        if (!s->engine) {
            continue;
        }
        if (own_watermark(m, i, &s->watermark)) {
            lowest = MIN(lowest, s->watermark);
        } else {
            s->watermark = INT64_MAX; // to be found out below
        }
    }
    for (uint32_t i = 0; i < m->n_shards; i++) {
        struct shard *s = &m->shards[i];
        if (s->engine && s->watermark == INT64_MAX) {
            int64_t newest = engine_newest(s->engine);
            s->watermark = lowest == INT64_MAX ? newest : MAX(newest, lowest);
        }
    }
}
