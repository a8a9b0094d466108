// Reading raw records with their costs. By time, each shard is a lane in the order of its index,
// and the lanes are merged: the index starts with the shard.
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "output/sqlite/sqlite.h"

static const char sample_select[] =
    "SELECT s.ts, s.event_id, s.seq, s.digest, s.shard, s.position, s.extra, s.device,"
    " s.utilization, s.mem_used_mb, s.mem_total_mb, s.power_w, s.temperature_c, s.sm_clock_mhz,"
    " s.energy_mj, s.price_nusd_hour FROM ";
static const char usage_select[] =
    "SELECT u.start, u.event_id, u.seq, u.digest, u.shard, u.position, u.extra, u.place,"
    " u.consumer, u.latency_ns, u.ttft_ns, u.prompt_tokens, u.completion_tokens,"
    " u.cached_prompt_tokens, u.requests, u.request_id, u.est_in_nusd, u.est_out_nusd,"
    " u.est_method, c.seq, c.priced, c.cost_in_nusd, c.cost_out_nusd, c.unpriced_ns, c.energy_j,"
    " c.final, c.late, c.revision, c.method FROM ";

// Rows that are few are found from the index that holds just them.
static const char *const usage_from[] = {
    [RECORDS_ALL] = "usage u LEFT JOIN usage_cost c ON c.seq = u.seq WHERE true",
    [RECORDS_UNPLACED] = "usage u LEFT JOIN usage_cost c ON c.seq = u.seq WHERE NOT u.placed",
    [RECORDS_UNPRICED] = "usage_cost c INDEXED BY cost_unpriced CROSS JOIN usage u"
                         " ON u.seq = c.seq WHERE c.final AND NOT c.priced AND u.placed",
    [RECORDS_LATE] = "usage_cost c INDEXED BY cost_late CROSS JOIN usage u"
                     " ON u.seq = c.seq WHERE c.late",
    [RECORDS_OPEN] = "usage u LEFT JOIN usage_cost c ON c.seq = u.seq WHERE c.final IS NOT 1",
};

// The order's terms, and the range: ?1, ?2; ?4, the id before which to go on.
static void put_range(struct buf *b, const struct record_query *q)
{
    bool usage = q->kind == RECORD_USAGE;
    bool few = q->filter == RECORDS_UNPRICED || q->filter == RECORDS_LATE;
    const char *key = usage ? "u.start" : "s.ts", *id = usage ? "u.event_id" : "s.event_id";
    if (q->order == RECORDS_BY_SEQ) {
        key = few ? "c.seq" : usage ? "u.seq" : "s.seq";
        buf_printf(b, " AND %s >= ?1 AND %s < ?2 ORDER BY %s", key, key, key);
    } else if (q->order == RECORDS_BY_TIME) {
        buf_printf(b, " AND %s >= ?1 AND %s < ?2 ORDER BY %s, %s", key, key, key, id);
    } else {
        buf_printf(b,
                   " AND %s >= ?1 AND %s <= ?2 AND (%s < ?2 OR %s < ?4)"
                   " ORDER BY %s DESC, %s DESC",
                   key, key, key, id, key, id);
    }
}

// ?3: the shard; ?5 and on: who.
static void put_sql(struct buf *b, const struct record_query *q, bool one_shard)
{
    bool usage = q->kind == RECORD_USAGE;
    buf_cstr(b, usage ? usage_select : sample_select);
    buf_cstr(b, usage ? usage_from[q->filter] : "sample s WHERE true");
    if (one_shard) { // by seq the index on it would be no help, only a way around
        buf_cstr(b, q->order == RECORDS_BY_SEQ ? " AND +" : " AND ");
        buf_cstr(b, usage ? "u.shard = ?3" : "s.shard = ?3");
    }
    if (q->match && q->match->models.n + q->match->tenants.n > 0) {
        sq_put_match(b, "u.consumer", q->match, 5);
    }
    put_range(b, q);
}

static int add_lane(struct sq_cursor *c, const struct record_query *q, int64_t shard,
                    struct error *err)
{
    struct buf sql;
    sqlite3_stmt *stmt = NULL;
    buf_init(&sql, SQ_SQL_MAX);
    put_sql(&sql, q, shard >= 0);
    int r = sq_cursor_prepare(c, buf_view(&sql).p, &stmt, err);
    buf_done(&sql);
    if (r < 0) {
        return r;
    }
    (void)sqlite3_bind_int64(stmt, 1, q->from);
    (void)sqlite3_bind_int64(stmt, 2, q->to);
    if (shard >= 0) {
        (void)sqlite3_bind_int64(stmt, 3, shard);
    }
    if (q->order == RECORDS_NEWEST) { // no id is less than the empty one
        sq_bind_str(stmt, 4, str_present(q->before) ? q->before : STR(""));
    }
    sq_bind_match(stmt, q->match, 5);
    c->lanes = x_realloc_array(c->lanes, c->n_lanes + 1, sizeof(c->lanes[0]));
    c->lanes[c->n_lanes++] = (struct sq_lane){.stmt = stmt};
    return 0;
}

static int add_lane_each(struct sq_cursor *c, const struct record_query *q, struct error *err)
{
    sqlite3_stmt *shards;
    int r = sq_statement(c->conn, "SELECT shard FROM shard WHERE has_records", &shards, err);
    while (r >= 0 && (r = sq_row(c->conn, shards, err)) > 0) {
        r = add_lane(c, q, sq_i64(shards, 0), err);
        if (r < 0) {
            sq_reset(shards);
        }
    }
    return r;
}

static int advance(struct sq_cursor *c, struct sq_lane *lane, struct error *err)
{
    int rc = sqlite3_step(lane->stmt);
    lane->has_row = rc == SQLITE_ROW;
    if (rc != SQLITE_ROW) {
        return rc == SQLITE_DONE ? 0 : sq_fail(c->conn, rc, err);
    }
    lane->key = sq_i64(lane->stmt, 0);
    lane->event_id = sq_str(lane->stmt, 1);
    return 0;
}

static int start_lanes(struct sq_cursor *c, const struct record_query *q, struct error *err)
{
    bool few = q->filter == RECORDS_UNPRICED || q->filter == RECORDS_LATE;
    bool merge = q->order != RECORDS_BY_SEQ && q->shard < 0 && !few;
    int r = merge ? add_lane_each(c, q, err) : add_lane(c, q, q->shard, err);
    for (size_t i = 0; r == 0 && i < c->n_lanes; i++) {
        r = advance(c, &c->lanes[i], err);
    }
    return r;
}

int sq_records(struct store *base, const struct record_query *q, struct store_cursor **ret,
               struct error *err)
{
    struct sq_cursor *c = NULL;
    int r = sq_cursor_open(sq_of(base), &c, err);
    if (r < 0) {
        return r;
    }
    c->kind = q->kind;
    c->newest_first = q->order == RECORDS_NEWEST;
    r = start_lanes(c, q, err);
    if (r < 0) {
        sq_cursor_close(&c->base);
        return r;
    }
    *ret = &c->base;
    return 0;
}

static bool has(sqlite3_stmt *stmt, int column)
{
    return sqlite3_column_type(stmt, column) != SQLITE_NULL;
}

static void read_origin(sqlite3_stmt *stmt, struct record *r)
{
    r->event_id = sq_str(stmt, 1);
    r->seq = sq_i64(stmt, 2);
    r->digest = (uint64_t)sq_i64(stmt, 3);
    r->shard = (uint32_t)sq_i64(stmt, 4);
    r->position = sq_i64(stmt, 5);
    r->extra = sq_str(stmt, 6);
}

static void read_real(sqlite3_stmt *stmt, int column, struct gpu_sample *g, uint32_t bit,
                      double *ret)
{
    if (has(stmt, column)) {
        *ret = sqlite3_column_double(stmt, column);
        g->has |= bit;
    }
}

void sq_read_measures(sqlite3_stmt *stmt, int from, struct gpu_sample *g)
{
    read_real(stmt, from, g, SAMPLE_UTILIZATION, &g->utilization);
    read_real(stmt, from + 1, g, SAMPLE_MEM_USED, &g->mem_used_mb);
    read_real(stmt, from + 2, g, SAMPLE_MEM_TOTAL, &g->mem_total_mb);
    read_real(stmt, from + 3, g, SAMPLE_POWER, &g->power_w);
    read_real(stmt, from + 4, g, SAMPLE_TEMPERATURE, &g->temperature_c);
    read_real(stmt, from + 5, g, SAMPLE_SM_CLOCK, &g->sm_clock_mhz);
    if (has(stmt, from + 6)) {
        g->energy_mj = sq_i64(stmt, from + 6);
        g->has |= SAMPLE_ENERGY;
    }
    if (has(stmt, from + 7)) {
        g->price_nusd_hour = sq_i64(stmt, from + 7);
        g->has |= SAMPLE_PRICE;
    }
}

void sq_set_device(struct gpu_sample *g, const struct sq_device *d)
{
    g->gpu = d->gpu;
    g->name = d->name;
    g->uuid = d->uuid;
    g->mig_profile = d->mig_profile;
    g->source = d->source;
    g->site = d->site;
}

static int read_sample(struct sq_conn *c, sqlite3_stmt *stmt, struct record *r, struct error *err)
{
    const struct sq_device *d;
    int e = sq_device(c, sq_i64(stmt, 7), &d, err);
    if (e < 0) {
        return e;
    }
    r->sample.ts = sq_i64(stmt, 0);
    sq_set_device(&r->sample, d);
    sq_read_measures(stmt, 8, &r->sample);
    return 0;
}

static void read_numbers(sqlite3_stmt *stmt, struct usage_record *u)
{
    u->latency_ns = sq_i64(stmt, 9);
    (void)__builtin_add_overflow(sq_i64(stmt, 0), MAX(u->latency_ns, USAGE_MIN_NS), &u->ts);
    if (has(stmt, 10)) {
        u->ttft_ns = sq_i64(stmt, 10);
        u->has |= USAGE_TTFT;
    }
    u->prompt_tokens = sq_i64(stmt, 11);
    u->completion_tokens = sq_i64(stmt, 12);
    if (has(stmt, 13)) {
        u->cached_prompt_tokens = sq_i64(stmt, 13);
        u->has |= USAGE_CACHED;
    }
    u->requests = 1;
    if (has(stmt, 14)) {
        u->requests = sq_i64(stmt, 14);
        u->has |= USAGE_REQUESTS;
    }
    u->request_id = sq_str(stmt, 15);
}

static int read_usage(struct sq_conn *c, sqlite3_stmt *stmt, struct record *r, struct error *err)
{
    const struct sq_place *place;
    const struct sq_consumer *consumer;
    int e = sq_place(c, sq_i64(stmt, 7), &place, err);
    e = e < 0 ? e : sq_consumer(c, sq_i64(stmt, 8), &consumer, err);
    if (e < 0) {
        return e;
    }
    struct usage_record *u = &r->usage;
    read_numbers(stmt, u);
    u->model = consumer->model;
    u->tenant = consumer->tenant;
    u->host = place->host;
    u->site = place->site;
    u->gpus = place->gpus;
    u->n_gpus = place->n_gpus;
    u->gpu_instance = place->instance;
    return 0;
}

// The columns of usage_cost from `at` on.
static int read_cost(struct sq_conn *c, sqlite3_stmt *stmt, int at, struct usage_cost *ret,
                     struct error *err)
{
    int64_t method = sq_i64(stmt, at + 9);
    if (method < METHOD_WEIGHTED || method > METHOD_EQUAL) {
        return sq_fail(c, SQLITE_CORRUPT, err);
    }
    ret->seq = sq_i64(stmt, at);
    ret->priced = sq_i64(stmt, at + 1) != 0;
    ret->cost_in_nusd = sq_i64(stmt, at + 2);
    ret->cost_out_nusd = sq_i64(stmt, at + 3);
    if (__builtin_add_overflow(ret->cost_in_nusd, ret->cost_out_nusd, &ret->cost_nusd)) {
        return sq_fail(c, SQLITE_CORRUPT, err);
    }
    ret->unpriced_ns = sq_i64(stmt, at + 4);
    ret->has_energy = has(stmt, at + 5);
    ret->energy_j = ret->has_energy ? sqlite3_column_double(stmt, at + 5) : 0;
    ret->final = sq_i64(stmt, at + 6) != 0;
    ret->late = sq_i64(stmt, at + 7) != 0;
    ret->revision = sqlite3_column_int(stmt, at + 8);
    ret->method = (enum cost_method)method;
    return 0;
}

static void read_estimate(sqlite3_stmt *stmt, struct usage_cost *ret)
{
    ret->seq = sq_i64(stmt, 2);
    ret->priced = has(stmt, 16);
    ret->cost_in_nusd = sq_i64(stmt, 16);
    ret->cost_out_nusd = sq_i64(stmt, 17);
    (void)__builtin_add_overflow(ret->cost_in_nusd, ret->cost_out_nusd, &ret->cost_nusd);
    ret->method = sq_i64(stmt, 18) == METHOD_EQUAL ? METHOD_EQUAL : METHOD_WEIGHTED;
}

static int read_cost_of(struct sq_conn *c, sqlite3_stmt *stmt, struct stored_record *ret,
                        struct error *err)
{
    enum { COST_FROM = 19, ESTIMATE_METHOD = 18 };
    int r = 0;
    if (has(stmt, COST_FROM)) {
        r = read_cost(c, stmt, COST_FROM, &ret->cost, err);
    } else if (has(stmt, ESTIMATE_METHOD)) {
        read_estimate(stmt, &ret->cost);
    } else {
        return 0;
    }
    ret->cost.event_id = ret->record.event_id;
    ret->cost.ts = ret->record.usage.ts;
    return r;
}

// Lanes are few; the first one's text stays where it is until that lane moves on.
static struct sq_lane *first_lane(struct sq_cursor *c)
{
    struct sq_lane *first = NULL;
    for (size_t i = 0; i < c->n_lanes; i++) {
        struct sq_lane *lane = &c->lanes[i];
        if (!lane->has_row) {
            continue;
        }
        bool before = first == NULL || lane->key < first->key ||
                      (lane->key == first->key && str_cmp(lane->event_id, first->event_id) < 0);
        first = first == NULL || before != c->newest_first ? lane : first; // no two are equal
    }
    return first;
}

// SQLite notices a page that is no page, but not one whose numbers are others. The raw records are
// the evidence for everything else, so each is read as it was stored or not at all.
static int check_digest(const struct sq_cursor *c, const struct record *r, struct error *err)
{
    if (record_digest(r) == r->digest) {
        return 0;
    }
    return error_set(err, -EBADMSG,
                     "%s: record %lld of %s is not as it was stored: the file is damaged, or was "
                     "changed by another program. Put a copy of it in its place",
                     c->store->name, (long long)r->seq,
                     r->kind == RECORD_SAMPLE ? "gpu_metrics" : "token_usage");
}

int sq_records_next(struct store_cursor *base, struct stored_record *ret, struct error *err)
{
    struct sq_cursor *c = (struct sq_cursor *)base;
    int r = c->last ? advance(c, c->last, err) : 0;
    c->last = r < 0 ? NULL : first_lane(c);
    if (c->last == NULL) {
        return r;
    }
    sq_cursor_trim(c);
    *ret = (struct stored_record){.record.kind = c->kind};
    read_origin(c->last->stmt, &ret->record);
    r = c->kind == RECORD_SAMPLE ? read_sample(c->conn, c->last->stmt, &ret->record, err)
                                 : read_usage(c->conn, c->last->stmt, &ret->record, err);
    r = r < 0 ? r : check_digest(c, &ret->record, err);
    if (r == 0 && c->kind == RECORD_USAGE) {
        r = read_cost_of(c->conn, c->last->stmt, ret, err);
    }
    return r < 0 ? r : 1;
}

// By the unique index.
static int find_lane(struct sq_cursor *c, enum record_kind kind, struct str event_id,
                     struct error *err)
{
    struct buf sql;
    sqlite3_stmt *stmt = NULL;
    buf_init(&sql, SQ_SQL_MAX);
    buf_cstr(&sql, kind == RECORD_USAGE ? usage_select : sample_select);
    buf_cstr(&sql, kind == RECORD_USAGE ? usage_from[RECORDS_ALL] : "sample s WHERE true");
    buf_cstr(&sql, " AND event_id = ?1");
    int r = sq_cursor_prepare(c, buf_view(&sql).p, &stmt, err);
    buf_done(&sql);
    if (r < 0) {
        return r;
    }
    sq_bind_str(stmt, 1, event_id);
    c->kind = kind;
    c->lanes = x_zalloc(sizeof(c->lanes[0]));
    c->lanes[c->n_lanes++].stmt = stmt;
    return advance(c, &c->lanes[0], err);
}

int sq_record(struct store *base, enum record_kind kind, struct str event_id, struct arena *a,
              struct stored_record *ret, struct error *err)
{
    struct sq_cursor *c = NULL;
    struct stored_record found;
    int r = sq_cursor_open(sq_of(base), &c, err);
    if (r < 0) {
        return r;
    }
    r = find_lane(c, kind, event_id, err);
    r = r < 0 ? r : sq_records_next(&c->base, &found, err);
    if (r > 0) {
        *ret = found;
        ret->record = store_copy_record(a, &found.record);
        ret->cost.event_id = found.cost.seq ? ret->record.event_id : STR_NONE;
    }
    sq_cursor_close(&c->base);
    return r == 0 ? store_no_record(base, kind, event_id, err) : MIN(r, 0);
}

int sq_cost(struct store *base, int64_t seq, struct usage_cost *ret, struct error *err)
{
    static const char sql[] =
        "SELECT c.seq, c.priced, c.cost_in_nusd, c.cost_out_nusd, c.unpriced_ns, c.energy_j,"
        " c.final, c.late, c.revision, c.method, u.event_id, u.start + max(u.latency_ns, 1000000)"
        " FROM usage_cost c JOIN usage u ON u.seq = c.seq WHERE c.seq = ?1";
    struct sq_store *s = sq_of(base);
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, sql, &stmt, err);
    if (r < 0) {
        return r;
    }
    (void)sqlite3_bind_int64(stmt, 1, seq);
    r = sq_row(s->main, stmt, err);
    if (r == 0) {
        return error_set(err, -ENOENT, "%s: the request has no computed cost", s->name);
    }
    if (r > 0) {
        *ret = (struct usage_cost){0};
        r = read_cost(s->main, stmt, 0, ret, err);
        buf_clear(&s->cost_id);
        buf_str(&s->cost_id, sq_str(stmt, 10));
        ret->event_id = buf_view(&s->cost_id);
        ret->ts = sq_i64(stmt, 11);
        sq_reset(stmt);
    }
    return MIN(r, 0);
}
