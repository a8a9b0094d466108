// How far everything got: the one row of `meta`, shards, inputs, unsettled time; dead letters.
#include <errno.h>

#include "base/alloc.h"
#include "output/sqlite/sqlite.h"

// Whoever reads a store makes as many engines.
static bool shards_sane(int64_t n)
{
    return n >= 1 && n <= STORE_SHARDS_MAX;
}

static int load_meta(struct sq_store *s, struct sq_meta *ret, struct error *err)
{
    static const char sql[] =
        "SELECT n_shards, last_sample_seq, last_usage_seq, samples, usages, first_sample,"
        " first_usage, last_sample, last_usage, dead_letters, longest_usage_ns, raw_from FROM meta";
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, sql, &stmt, err);
    r = r < 0 ? r : sq_row(s->main, stmt, err);
    if (r <= 0) {
        return r < 0 ? r : sq_fail(s->main, SQLITE_CORRUPT, err);
    }
    if (!shards_sane(sq_i64(stmt, 0))) {
        sq_reset(stmt);
        return sq_fail(s->main, SQLITE_CORRUPT, err);
    }
    *ret = (struct sq_meta){
        .n_shards = sq_i64(stmt, 0),
        .last_seq = {sq_i64(stmt, 1), sq_i64(stmt, 2)},
        .stored = {sq_i64(stmt, 3), sq_i64(stmt, 4)},
        .first = {sq_i64(stmt, 5), sq_i64(stmt, 6)},
        .last = {sq_i64(stmt, 7), sq_i64(stmt, 8)},
        .dead_letters = sq_i64(stmt, 9),
        .longest_usage_ns = sq_i64(stmt, 10),
        .raw_from = sq_i64(stmt, 11),
    };
    sq_reset(stmt);
    return 0;
}

int sq_save_meta(struct sq_store *s, struct error *err)
{
    static const char sql[] =
        "UPDATE meta SET commits = commits + 1, n_shards = ?1, last_sample_seq = ?2,"
        " last_usage_seq = ?3, samples = ?4, usages = ?5, first_sample = ?6, first_usage = ?7,"
        " last_sample = ?8, last_usage = ?9, dead_letters = ?10, longest_usage_ns = ?11,"
        " raw_from = ?12";
    const struct sq_meta *m = &s->writer->meta;
    const int64_t values[] = {
        m->n_shards,  m->last_seq[0],  m->last_seq[1],      m->stored[0],
        m->stored[1], m->first[0],     m->first[1],         m->last[0],
        m->last[1],   m->dead_letters, m->longest_usage_ns, m->raw_from,
    };
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, sql, &stmt, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        (void)sqlite3_bind_int64(stmt, (int)i + 1, values[i]);
    }
    return sq_run(s->main, stmt, err);
}

struct sq_shard *sq_shard(struct sq_writer *w, uint32_t shard)
{
    size_t i = 0;
    while (i < w->n_shards && w->shards[i].state.shard < shard) {
        i++;
    }
    if (i < w->n_shards && w->shards[i].state.shard == shard) {
        return &w->shards[i];
    }
    ARRAY_RESERVE(w->shards, w->n_shards, w->cap_shards);
    memmove(&w->shards[i + 1], &w->shards[i], (w->n_shards - i) * sizeof(w->shards[0]));
    w->n_shards++;
    w->shards[i] = (struct sq_shard){
        .state = store_no_state(shard),
        .windows_from = INT64_MIN,
    };
    return &w->shards[i];
}

#define SHARD_COLUMNS                                                                              \
    "shard, frontier, newest, oldest_pending, samples_seen, usage_seen, has_records, windows_from"

static struct sq_shard read_shard(sqlite3_stmt *stmt)
{
    return (struct sq_shard){
        .state =
            {
                .shard = (uint32_t)sq_i64(stmt, 0),
                .frontier = sq_i64(stmt, 1),
                .newest = sq_i64(stmt, 2),
                .oldest_pending = sq_i64(stmt, 3),
                .samples_seen = sq_i64(stmt, 4),
                .usage_seen = sq_i64(stmt, 5),
            },
        .has_records = sq_i64(stmt, 6) != 0,
        .windows_from = sq_i64(stmt, 7),
    };
}

static int load_shards(struct sq_store *s, struct error *err)
{
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, "SELECT " SHARD_COLUMNS " FROM shard", &stmt, err);
    if (r < 0) {
        return r;
    }
    s->writer->n_shards = 0;
    while ((r = sq_row(s->main, stmt, err)) > 0) {
        struct sq_shard shard = read_shard(stmt);
        *sq_shard(s->writer, shard.state.shard) = shard;
    }
    return r;
}

int sq_load_writer(struct sq_store *s, struct error *err)
{
    int r = load_meta(s, &s->writer->meta, err);
    r = r < 0 ? r : load_shards(s, err);
    s->writer->loaded = r == 0;
    return r;
}

int sq_save_shard(struct sq_store *s, const struct sq_shard *shard, struct error *err)
{
    static const char sql[] = "INSERT OR REPLACE INTO shard(" SHARD_COLUMNS ")"
                              " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    const struct shard_state *state = &shard->state;
    const int64_t values[] = {
        state->shard,        state->frontier,   state->newest,      state->oldest_pending,
        state->samples_seen, state->usage_seen, shard->has_records, shard->windows_from,
    };
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, sql, &stmt, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        (void)sqlite3_bind_int64(stmt, (int)i + 1, values[i]);
    }
    return sq_run(s->main, stmt, err);
}

static int drop_unsettled(struct sq_store *s, uint32_t shard, struct error *err)
{
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, "DELETE FROM unsettled WHERE shard = ?1", &stmt, err);
    if (r < 0) {
        return r;
    }
    (void)sqlite3_bind_int64(stmt, 1, shard);
    return sq_run(s->main, stmt, err);
}

static int add_unsettled(struct sq_store *s, const struct unsettled_range *u, struct error *err)
{
    sqlite3_stmt *stmt;
    int r =
        sq_statement(s->main, "INSERT OR IGNORE INTO unsettled VALUES (?1, ?2, ?3)", &stmt, err);
    if (r < 0) {
        return r;
    }
    (void)sqlite3_bind_int64(stmt, 1, u->shard);
    (void)sqlite3_bind_int64(stmt, 2, u->from);
    (void)sqlite3_bind_int64(stmt, 3, u->to);
    return sq_run(s->main, stmt, err);
}

static int put_state(struct sq_store *s, const struct shard_state *state, int64_t *ret_old,
                     struct error *err)
{
    struct sq_shard *shard = sq_shard(s->writer, state->shard);
    *ret_old = shard->state.frontier;
    shard->state = *state;
    int r = sq_save_shard(s, shard, err);
    return r < 0 ? r : drop_unsettled(s, state->shard, err);
}

int sq_put_progress(struct sq_store *s, const struct store_write *w, struct error *err)
{
    int64_t *old AUTO_FREE = x_array(w->n_shards, sizeof(*old));
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->n_shards; i++) {
        r = put_state(s, &w->shards[i], &old[i], err);
    }
    for (size_t i = 0; r == 0 && i < w->n_unsettled; i++) {
        r = add_unsettled(s, &w->unsettled[i], err);
    }
    return r < 0 ? r : sq_roll_up(s, w, old, err);
}

int sq_put_letter(struct sq_store *s, const struct dead_letter *d, struct error *err)
{
    static const char sql[] = "INSERT INTO dead_letter(at, origin, position, reason, payload)"
                              " VALUES (?1, ?2, ?3, ?4, ?5)";
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, sql, &stmt, err);
    if (r < 0) {
        return r;
    }
    (void)sqlite3_bind_int64(stmt, 1, d->at);
    sq_bind_str(stmt, 2, d->origin);
    (void)sqlite3_bind_int64(stmt, 3, d->position);
    sq_bind_str(stmt, 4, d->reason);
    if (str_present(d->payload)) {
        (void)sqlite3_bind_blob64(stmt, 5, d->payload.p, d->payload.n, SQLITE_STATIC);
    }
    s->writer->meta.dead_letters++;
    return sq_run(s->main, stmt, err);
}

static int put_position(struct sq_store *s, const struct input_position *p, struct error *err)
{
    sqlite3_stmt *stmt;
    int r =
        sq_statement(s->main, "INSERT OR REPLACE INTO input VALUES (?1, ?2, ?3, ?4)", &stmt, err);
    if (r < 0) {
        return r;
    }
    sq_bind_str(stmt, 1, p->input);
    (void)sqlite3_bind_int64(stmt, 2, p->records);
    (void)sqlite3_bind_int64(stmt, 3, p->offset);
    (void)sqlite3_bind_int64(stmt, 4, (int64_t)p->fingerprint);
    return sq_run(s->main, stmt, err);
}

int sq_put_positions(struct sq_store *s, const struct store_write *w, struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->n_positions; i++) {
        r = put_position(s, &w->positions[i], err);
    }
    return r;
}

int sq_info(struct store *base, struct store_info *ret, struct error *err)
{
    static const char sql[] =
        "SELECT (SELECT user_version FROM pragma_user_version), n_shards, samples, usages,"
        " dead_letters, raw_from, longest_usage_ns, min(first_sample, first_usage),"
        " max(last_sample, last_usage), coalesce((SELECT min(frontier) FROM shard"
        " WHERE has_records), -9223372036854775808), commits,"
        " coalesce((SELECT max(windows_from) FROM shard), -9223372036854775808) FROM meta";
    struct sq_store *s = sq_of(base);
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, sql, &stmt, err);
    r = r < 0 ? r : sq_row(s->main, stmt, err);
    if (r <= 0) {
        return r < 0 ? r : sq_fail(s->main, SQLITE_CORRUPT, err);
    }
    if (!shards_sane(sq_i64(stmt, 1))) {
        sq_reset(stmt);
        return sq_fail(s->main, SQLITE_CORRUPT, err);
    }
    *ret = (struct store_info){
        .schema_version = (int)sq_i64(stmt, 0),
        .migrated_from = s->migrated_from,
        .n_shards = (uint32_t)sq_i64(stmt, 1),
        .samples = sq_i64(stmt, 2),
        .usages = sq_i64(stmt, 3),
        .dead_letters = sq_i64(stmt, 4),
        .raw_from = sq_i64(stmt, 5),
        .longest_usage_ns = sq_i64(stmt, 6),
        .first = sq_i64(stmt, 7),
        .last = sq_i64(stmt, 8),
        .final_until = sq_i64(stmt, 9),
        .data_version = (uint64_t)sq_i64(stmt, 10),
        .windows_from = sq_i64(stmt, 11),
    };
    sq_reset(stmt);
    return 0;
}

int sq_position(struct store *base, struct str input, struct input_position *ret, struct error *err)
{
    struct sq_store *s = sq_of(base);
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, "SELECT records, offset, fingerprint FROM input WHERE name = ?1",
                         &stmt, err);
    if (r < 0) {
        return r;
    }
    sq_bind_str(stmt, 1, input);
    r = sq_row(s->main, stmt, err);
    if (r == 0) {
        return error_set(err, -ENOENT, "%s: nothing was ever read from this input", s->name);
    }
    if (r > 0) {
        *ret = (struct input_position){
            .input = input,
            .records = sq_i64(stmt, 0),
            .offset = sq_i64(stmt, 1),
            .fingerprint = (uint64_t)sq_i64(stmt, 2),
        };
        sq_reset(stmt);
    }
    return MIN(r, 0);
}

int sq_shard_state(struct store *base, uint32_t shard, struct shard_state *ret, struct error *err)
{
    struct sq_store *s = sq_of(base);
    sqlite3_stmt *stmt;
    int r =
        sq_statement(s->main, "SELECT " SHARD_COLUMNS " FROM shard WHERE shard = ?1", &stmt, err);
    if (r < 0) {
        return r;
    }
    (void)sqlite3_bind_int64(stmt, 1, shard);
    r = sq_row(s->main, stmt, err);
    *ret = r > 0 ? read_shard(stmt).state : store_no_state(shard);
    sq_reset(stmt);
    return MIN(r, 0);
}

int sq_unsettled(struct store *base, struct arena *a, struct unsettled_range **ret, size_t *ret_n,
                 struct error *err)
{
    struct sq_store *s = sq_of(base);
    struct unsettled_range *ranges AUTO_FREE = NULL;
    size_t n = 0, cap = 0;
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main,
                         "SELECT shard, range_from, range_to FROM unsettled"
                         " ORDER BY shard, range_from, range_to",
                         &stmt, err);
    while (r >= 0 && (r = sq_row(s->main, stmt, err)) > 0) {
        ARRAY_RESERVE(ranges, n, cap);
        ranges[n++] = (struct unsettled_range){
            .shard = (uint32_t)sq_i64(stmt, 0),
            .from = sq_i64(stmt, 1),
            .to = sq_i64(stmt, 2),
        };
    }
    if (r < 0) {
        return r;
    }
    *ret = arena_alloc(a, n * sizeof(**ret));
    if (n > 0) {
        memcpy(*ret, ranges, n * sizeof(**ret));
    }
    *ret_n = n;
    return 0;
}
