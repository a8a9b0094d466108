#include "pipeline/seen.h"

#include <string.h>

#include "base/macros.h"

static int64_t *highest(struct shard_state *s, enum record_kind kind)
{
    return kind == RECORD_SAMPLE ? &s->samples_seen : &s->usage_seen;
}

int64_t seen_highest(const struct shard_state *s, enum record_kind kind)
{
    return kind == RECORD_SAMPLE ? s->samples_seen : s->usage_seen;
}

bool seen_in_gap(const struct shard_state *s, enum record_kind kind, int64_t seq)
{
    const struct shard_gaps *g = &s->gaps[kind];
    for (size_t i = 0; i < g->n; i++) {
        if (seq >= g->v[i].from && seq < g->v[i].to) {
            return true;
        }
    }
    return false;
}

bool seen_has(const struct shard_state *s, enum record_kind kind, int64_t seq)
{
    return seq <= seen_highest(s, kind) && !seen_in_gap(s, kind, seq);
}

void seen_fed(struct shard_state *s, enum record_kind kind, int64_t seq)
{
    int64_t *at = highest(s, kind);
    *at = MAX(*at, seq);
}

void seen_read(struct shard_state *s, enum record_kind kind, int64_t seq)
{
    struct shard_gaps *g = &s->gaps[kind];
    for (size_t i = 0; i < g->n; i++) {
        if (seq >= g->v[i].from && seq < g->v[i].to) {
            g->v[i].from = seq + 1;
        }
    }
    seen_fed(s, kind, seq);
}

void seen_open_gap(struct shard_state *s, enum record_kind kind, int64_t first, int64_t own)
{
    struct shard_gaps *g = &s->gaps[kind];
    int64_t from = MAX(seen_highest(s, kind) + 1, first);
    if (g->n > 0 && g->v[g->n - 1].to > from) { // nothing was read since that one was opened
        from = g->v[--g->n].from;
    }
    if (from >= own) {
        return;
    }
    if (g->n == SHARD_GAPS_MAX) {
        g->n--;
        memmove(&g->v[0], &g->v[1], g->n * sizeof(g->v[0]));
    }
    g->v[g->n].from = from;
    g->v[g->n++].to = own;
}
