#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/sort.h"
#include "output/memory/memory.h"
#include "output/retain.h"

// The start of the oldest request that runs at `base`, or base.
static int64_t oldest_running(const struct mem_db *db, uint32_t shard, int64_t base)
{
    const struct mem_table *t = &db->tables[RECORD_USAGE];
    int64_t oldest = base;
    for (size_t i = 0; i < t->n; i++) {
        const struct mem_record *m = t->rows[i];
        if (m != NULL && m->record.shard == shard && m->record.usage.ts > base) {
            oldest = MIN(oldest, usage_start(&m->record.usage));
        }
    }
    return oldest;
}

static int64_t records_from(const struct mem_db *db, const struct mem_shard *shard)
{
    int64_t base = retain_base(&shard->state, db->unsettled.v, db->unsettled.n);
    const struct settings_history h = {db->settings.v, db->settings.n};
    return retain_records_from(&h, oldest_running(db, shard->state.shard, base));
}

static bool by_time(struct mem_record *const *a, struct mem_record *const *b)
{
    const struct record *x = &(*a)->record, *y = &(*b)->record;
    int64_t xt = x->kind == RECORD_SAMPLE ? x->sample.ts : usage_start(&x->usage);
    int64_t yt = y->kind == RECORD_SAMPLE ? y->sample.ts : usage_start(&y->usage);
    return xt != yt ? xt < yt : str_cmp(x->event_id, y->event_id) < 0;
}
DEFINE_SORT(sort_records, struct mem_record *, by_time);

static void forget(struct mem_db *db, struct mem_table *t, const struct mem_record *m)
{
    db->raw_from = MAX(db->raw_from, record_ts(&m->record) + 1);
    t->seq_of_id[intern_id(t->ids, m->record.event_id)] = 0;
    t->rows[m->record.seq - 1] = NULL;
    t->stored--;
}

static size_t expire_shard(struct mem_db *db, struct mem_table *t, const struct mem_shard *shard,
                           int64_t before, size_t limit)
{
    struct mem_record **old AUTO_FREE = x_array(2 * t->n, sizeof(struct mem_record *));
    size_t n = 0;
    before = MIN(before, records_from(db, shard));
    for (size_t i = 0; i < t->n; i++) {
        struct mem_record *m = t->rows[i];
        if (m == NULL || m->record.shard != shard->state.shard || record_ts(&m->record) >= before) {
            continue;
        }
        bool sample = m->record.kind == RECORD_SAMPLE;
        int64_t seen = sample ? shard->state.samples_seen : shard->state.usage_seen;
        if (m->record.seq <= seen && (sample || (m->has_cost && m->cost.final))) {
            old[n++] = m;
        }
    }
    sort_records(old, n, old + n);
    n = MIN(n, limit);
    for (size_t i = 0; i < n; i++) {
        forget(db, t, old[i]);
    }
    return n;
}

static size_t expire_records(struct mem_db *db, enum record_kind kind, int64_t before, size_t limit)
{
    size_t removed = 0;
    for (size_t i = 0; i < db->shards.n && removed < limit; i++) {
        struct mem_table *t = &db->tables[kind];
        removed += expire_shard(db, t, &db->shards.v[i], before, limit - removed);
    }
    return removed;
}

static size_t drop_rows(struct mem_span *span, size_t limit)
{
    size_t n = MIN(limit, span->n);
    memmove(span->rows, span->rows + n, (span->n - n) * sizeof(span->rows[0]));
    span->n -= n;
    return n;
}

static void drop_empty_spans(struct mem_level *level)
{
    size_t kept = 0;
    for (size_t i = 0; i < level->n; i++) {
        if (level->spans[i].n > 0) {
            level->spans[kept++] = level->spans[i];
        } else {
            free(level->spans[i].rows);
        }
    }
    level->n = kept;
}

static size_t expire_windows(struct mem_db *db, int64_t before, size_t limit)
{
    struct mem_level *level = &db->levels[LEVEL_WINDOW];
    size_t removed = 0;
    for (size_t i = 0; i < db->shards.n; i++) {
        struct mem_shard *shard = &db->shards.v[i];
        int64_t from = retain_windows_from(&shard->state, db->unsettled.v, db->unsettled.n);
        from = MIN(from, before);
        for (size_t k = 0; k < level->n && removed < limit; k++) {
            struct mem_span *span = &level->spans[k];
            if (span->shard == shard->state.shard && span->start < from) {
                removed += drop_rows(span, limit - removed);
                shard->windows_from = MAX(shard->windows_from, span->start + 1);
            }
        }
    }
    drop_empty_spans(level);
    return removed;
}

static size_t expire_letters(struct mem_db *db, int64_t before, size_t limit)
{
    size_t kept = 0, removed = 0;
    for (size_t i = 0; i < db->dead_letters.n; i++) {
        if (removed < limit && db->dead_letters.v[i].at < before) {
            removed++;
        } else {
            db->dead_letters.v[kept++] = db->dead_letters.v[i];
        }
    }
    db->dead_letters.n = kept;
    return removed;
}

static size_t expire(struct mem_db *db, enum store_collection c, int64_t before, size_t limit)
{
    switch (c) {
    case STORE_GPU_METRICS:
        return expire_records(db, RECORD_SAMPLE, before, limit);
    case STORE_TOKEN_USAGE:
        return expire_records(db, RECORD_USAGE, before, limit);
    case STORE_COST_WINDOWS:
        return expire_windows(db, before, limit);
    case STORE_DEAD_LETTERS:
        return expire_letters(db, before, limit);
    }
    return 0;
}

int mem_expire(struct store *s, enum store_collection c, int64_t before, size_t limit,
               size_t *ret_removed, struct error *err)
{
    (void)err;
    struct mem_db *db = mem_lock(s);
    *ret_removed = expire(db, c, before, limit);
    db->version += *ret_removed > 0;
    mem_unlock(db);
    return 0;
}
