// Retention: what may go is decided in output/retain.h; here it goes, oldest first, shard by shard.
#include <stdlib.h>

#include "base/alloc.h"
#include "output/retain.h"
#include "output/sqlite/sqlite.h"

// What the guards are computed from.
struct guards {
    struct arena arena;
    struct settings_history settings;
    struct unsettled_range *unsettled;
    size_t n_unsettled;
};

static int load_guards(struct sq_store *s, struct guards *g, struct error *err)
{
    int r = sq_settings(&s->base, &g->arena, &g->settings, err);
    return r < 0 ? r : sq_unsettled(&s->base, &g->arena, &g->unsettled, &g->n_unsettled, err);
}

// One number from a statement with up to four integer parameters; INT64_MAX for NULL.
static int ask(struct sq_store *s, const char *sql, const int64_t *values, size_t n, int64_t *ret,
               struct error *err)
{
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, sql, &stmt, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < n; i++) {
        (void)sqlite3_bind_int64(stmt, (int)i + 1, values[i]);
    }
    r = sq_row(s->main, stmt, err);
    if (r < 0) {
        return r;
    }
    bool none = r == 0 || sqlite3_column_type(stmt, 0) == SQLITE_NULL;
    *ret = none ? INT64_MAX : sq_i64(stmt, 0);
    sq_reset(stmt);
    return 0;
}

static int change(struct sq_store *s, const char *sql, const int64_t *values, size_t n,
                  size_t *ret_removed, struct error *err)
{
    int64_t ignored;
    int r = ask(s, sql, values, n, &ignored, err);
    *ret_removed += r < 0 ? 0 : (size_t)sqlite3_changes64(s->main->db);
    return r;
}

// Records that end before *ret may go.
static int records_from(struct sq_store *s, const struct guards *g, const struct sq_shard *shard,
                        int64_t *ret, struct error *err)
{
    static const char sql[] = "SELECT min(start) FROM usage WHERE shard = ?1 AND start > ?2"
                              " AND start < ?3 AND start + max(latency_ns, 1000000) > ?3";
    int64_t base = retain_base(&shard->state, g->unsettled, g->n_unsettled);
    int64_t longest = s->writer->meta.longest_usage_ns;
    int64_t earliest = base < INT64_MIN + longest ? INT64_MIN : base - longest;
    const int64_t values[] = {shard->state.shard, earliest - (earliest > INT64_MIN), base};
    int64_t oldest;
    int r = ask(s, sql, values, ARRAY_LEN(values), &oldest, err);
    *ret = r < 0 ? INT64_MIN : retain_records_from(&g->settings, MIN(base, oldest));
    return r;
}

struct doomed {
    int64_t *seqs;
    size_t n, cap;
};

static const char *const doomed_sql[] = {
    [RECORD_SAMPLE] = "SELECT seq, ts FROM sample WHERE shard = ?1 AND ts < ?2"
                      " AND seq <= ?4 ORDER BY ts, event_id LIMIT ?3",
    [RECORD_USAGE] = "SELECT u.seq, u.start + max(u.latency_ns, 1000000) AS ts FROM usage u"
                     " JOIN usage_cost c ON c.seq = u.seq WHERE u.shard = ?1 AND u.start < ?2"
                     " AND ts < ?2 AND u.seq <= ?4 AND c.final ORDER BY u.start, u.event_id"
                     " LIMIT ?3",
};

static int find_doomed(struct sq_store *s, enum record_kind kind, const struct sq_shard *shard,
                       int64_t before, size_t limit, struct doomed *d, struct error *err)
{
    const struct shard_state *state = &shard->state;
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, doomed_sql[kind], &stmt, err);
    if (r < 0) {
        return r;
    }
    (void)sqlite3_bind_int64(stmt, 1, state->shard);
    (void)sqlite3_bind_int64(stmt, 2, before);
    (void)sqlite3_bind_int64(stmt, 3, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
    (void)sqlite3_bind_int64(stmt, 4,
                             kind == RECORD_SAMPLE ? state->samples_seen : state->usage_seen);
    struct sq_meta *m = &s->writer->meta;
    while ((r = sq_row(s->main, stmt, err)) > 0) {
        ARRAY_RESERVE(d->seqs, d->n, d->cap);
        d->seqs[d->n++] = sq_i64(stmt, 0);
        m->raw_from = MAX(m->raw_from, sq_i64(stmt, 1) + 1);
    }
    return r;
}

static int delete_doomed(struct sq_store *s, enum record_kind kind, const struct doomed *d,
                         size_t *ret_removed, struct error *err)
{
    static const char *const sql[] = {
        [RECORD_SAMPLE] = "DELETE FROM sample WHERE seq = ?1",
        [RECORD_USAGE] = "DELETE FROM usage WHERE seq = ?1",
    };
    size_t costs = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < d->n; i++) {
        r = change(s, sql[kind], &d->seqs[i], 1, ret_removed, err);
        if (r == 0 && kind == RECORD_USAGE) {
            r = change(s, "DELETE FROM usage_cost WHERE seq = ?1", &d->seqs[i], 1, &costs, err);
        }
    }
    return r;
}

static const char *const first_sql[] = {
    [RECORD_SAMPLE] = "SELECT min(ts) FROM sample WHERE shard = ?1",
    [RECORD_USAGE] = "SELECT min(start) FROM usage WHERE shard = ?1",
};
static const char *const last_sql[] = {
    [RECORD_SAMPLE] = "SELECT max(ts) FROM sample WHERE shard = ?1",
    [RECORD_USAGE] = "SELECT max(start + max(latency_ns, 1000000)) FROM usage WHERE shard = ?1",
};

// The last instant is looked for only where it may have gone: that reads all that is left.
static int update_times(struct sq_store *s, enum record_kind kind, struct error *err)
{
    struct sq_meta *m = &s->writer->meta;
    bool lost_last = m->raw_from > m->last[kind];
    int r = 0;
    m->first[kind] = INT64_MAX;
    m->last[kind] = lost_last ? INT64_MIN : m->last[kind];
    for (size_t i = 0; r == 0 && i < s->writer->n_shards; i++) {
        int64_t shard = s->writer->shards[i].state.shard, t;
        r = ask(s, first_sql[kind], &shard, 1, &t, err);
        m->first[kind] = r < 0 ? m->first[kind] : MIN(m->first[kind], t);
        if (r == 0 && lost_last) {
            r = ask(s, last_sql[kind], &shard, 1, &t, err);
            m->last[kind] = r < 0 || t == INT64_MAX ? m->last[kind] : MAX(m->last[kind], t);
        }
    }
    return r;
}

static int expire_records(struct sq_store *s, enum record_kind kind, int64_t before, size_t limit,
                          size_t *ret_removed, struct error *err)
{
    struct guards g = {0};
    struct doomed d = {0};
    int r = load_guards(s, &g, err);
    for (size_t i = 0; r == 0 && i < s->writer->n_shards && d.n < limit; i++) {
        const struct sq_shard *shard = &s->writer->shards[i];
        int64_t from;
        r = records_from(s, &g, shard, &from, err);
        if (r == 0) {
            from = MIN(from, before);
            r = find_doomed(s, kind, shard, from, limit - d.n, &d, err);
        }
    }
    r = r < 0 ? r : delete_doomed(s, kind, &d, ret_removed, err);
    s->writer->meta.stored[kind] -= (int64_t)*ret_removed;
    r = r < 0 || d.n == 0 ? r : update_times(s, kind, err);
    free(d.seqs);
    arena_done(&g.arena);
    return r;
}

static int expire_shard_windows(struct sq_store *s, struct sq_shard *shard, int64_t before,
                                size_t limit, size_t *ret_removed, struct error *err)
{
    static const char next_sql[] = "SELECT window_start FROM cost_window WHERE shard = ?1"
                                   " AND window_start < ?2 ORDER BY window_start LIMIT 1";
    static const char delete_sql[] =
        "DELETE FROM cost_window WHERE window_start = ?1 AND shard = ?2 AND n IN (SELECT n FROM"
        " cost_window WHERE window_start = ?1 AND shard = ?2 ORDER BY n LIMIT ?3)";
    while (*ret_removed < limit) {
        const int64_t key[] = {shard->state.shard, before};
        int64_t start;
        int r = ask(s, next_sql, key, ARRAY_LEN(key), &start, err);
        if (r < 0 || start == INT64_MAX) {
            return r;
        }
        size_t left = limit - *ret_removed;
        const int64_t values[] = {start, shard->state.shard, (int64_t)MIN(left, (size_t)INT32_MAX)};
        shard->windows_from = MAX(shard->windows_from, start + 1);
        r = change(s, delete_sql, values, ARRAY_LEN(values), ret_removed, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int expire_windows(struct sq_store *s, int64_t before, size_t limit, size_t *ret_removed,
                          struct error *err)
{
    struct guards g = {0};
    int r = load_guards(s, &g, err);
    for (size_t i = 0; r == 0 && i < s->writer->n_shards && *ret_removed < limit; i++) {
        struct sq_shard *shard = &s->writer->shards[i];
        int64_t from = retain_windows_from(&shard->state, g.unsettled, g.n_unsettled);
        r = expire_shard_windows(s, shard, MIN(from, before), limit, ret_removed, err);
        r = r < 0 ? r : sq_save_shard(s, shard, err);
    }
    arena_done(&g.arena);
    return r;
}

static int expire_letters(struct sq_store *s, int64_t before, size_t limit, size_t *ret_removed,
                          struct error *err)
{
    static const char sql[] = "DELETE FROM dead_letter WHERE id IN (SELECT id FROM dead_letter"
                              " WHERE at < ?1 ORDER BY id LIMIT ?2)";
    const int64_t values[] = {before, (int64_t)MIN(limit, (size_t)INT64_MAX)};
    int r = change(s, sql, values, ARRAY_LEN(values), ret_removed, err);
    s->writer->meta.dead_letters -= (int64_t)*ret_removed;
    return r;
}

static int expire(struct sq_store *s, enum store_collection c, int64_t before, size_t limit,
                  size_t *ret_removed, struct error *err)
{
    switch (c) {
    case STORE_GPU_METRICS:
        return expire_records(s, RECORD_SAMPLE, before, limit, ret_removed, err);
    case STORE_TOKEN_USAGE:
        return expire_records(s, RECORD_USAGE, before, limit, ret_removed, err);
    case STORE_COST_WINDOWS:
        return expire_windows(s, before, limit, ret_removed, err);
    case STORE_DEAD_LETTERS:
        return expire_letters(s, before, limit, ret_removed, err);
    }
    return 0;
}

int sq_expire(struct store *base, enum store_collection c, int64_t before, size_t limit,
              size_t *ret_removed, struct error *err)
{
    struct sq_store *s = sq_of(base);
    int r = sq_begin(s, err);
    if (r < 0) {
        return r;
    }
    r = expire(s, c, before, limit, ret_removed, err);
    if (r == 0 && *ret_removed > 0) {
        r = sq_save_meta(s, err);
    }
    r = sq_end(s, r, err);
    *ret_removed = r < 0 ? 0 : *ret_removed;
    return r;
}
