// Event time over several inputs. A feed is one kind of record from one source; the watermark is
// the lowest newest event time over the feeds, leaving out those that ended or have been silent for
// 3 s of monotonic time. Sources that run ahead in event time wait for the others, so that reading
// two files side by side makes nothing late.

#include "pipeline/meter.h"

#define FEED_IDLE_NS (3 * NS_PER_S)
#define AHEAD_NS (60 * NS_PER_S) // how far one source may be ahead of another

static bool silent(const struct meter *m, struct mono since)
{
    return m->now.ns - since.ns > FEED_IDLE_NS;
}

// Whether others wait for this source.
static bool holds_others_up(const struct meter *m, const struct source *s)
{
    return !s->ended && !silent(m, s->heard);
}

static bool may_go(const struct meter *m, const struct source *s)
{
    for (size_t i = 0; i < m->n_sources; i++) {
        const struct source *other = &m->sources[i];
        if (other == s || !holds_others_up(m, other) || s->passed_ts == INT64_MIN)
            continue;
        if (other->passed_ts == INT64_MIN || other->passed_ts < s->passed_ts - AHEAD_NS)
            return false;
    }
    return true;
}

struct source *feeds_next(struct meter *m)
{
    struct source *best = NULL;
    for (size_t i = 0; i < m->n_sources; i++) {
        struct source *s = &m->sources[i];
        if (s->n_waiting == 0 || (best && best->passed_ts <= s->passed_ts))
            continue;
        if (may_go(m, s))
            best = s;
    }
    return best;
}

void feeds_note(struct meter *m, struct source *s, const struct parcel *p)
{
    for (size_t kind = 0; kind < ARRAY_LEN(s->newest); kind++) {
        if (p->newest_ts[kind] == INT64_MIN)
            continue;
        s->newest[kind] = MAX(s->newest[kind], p->newest_ts[kind]);
        s->fed[kind] = m->now;
    }
}

int64_t feeds_watermark(const struct meter *m)
{
    int64_t lowest = INT64_MAX, newest = INT64_MIN;
    for (size_t i = 0; i < m->n_sources; i++) {
        const struct source *s = &m->sources[i];
        for (size_t kind = 0; kind < ARRAY_LEN(s->newest); kind++) {
            if (s->newest[kind] == INT64_MIN)
                continue;
            newest = MAX(newest, s->newest[kind]);
            if (!s->ended && !silent(m, s->fed[kind]))
                lowest = MIN(lowest, s->newest[kind]);
        }
    }
    return lowest == INT64_MAX ? newest : lowest;
}
