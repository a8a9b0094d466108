// Event time over several inputs. A feed is one kind of record from one source; the watermark is
// the lowest newest event time over the feeds, leaving out those that have delivered all they had
// and those that were silent for 3 s of the time in which they were listened to. Sources that run
// ahead in event time wait for the others, so that reading two files side by side makes nothing
// late.

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

int64_t feeds_watermark(const struct meter *m)
{
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
