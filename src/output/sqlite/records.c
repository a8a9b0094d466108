// Storing raw records: one INSERT a kind and commit. Whose event_id is there already is left out by
// the unique index; only when that happened are the records looked up one by one.
#include <errno.h>

#include "base/alloc.h"
#include "base/time.h"
#include "output/refusal.h"
#include "output/retain.h"
#include "output/sqlite/sqlite.h"

#define SAMPLE_COLUMNS                                                                             \
    "seq, event_id, digest, shard, ts, device, utilization, mem_used_mb, mem_total_mb, power_w,"   \
    " temperature_c, sm_clock_mhz, energy_mj, price_nusd_hour, extra, position"

static void give_real(sqlite3_context *to, const struct gpu_sample *g, uint32_t bit, double value)
{
    if (g->has & bit) {
        sqlite3_result_double(to, value);
    }
}

static void give_integer(sqlite3_context *to, bool has, int64_t value)
{
    if (has) {
        sqlite3_result_int64(to, value);
    }
}

static void sample_column(sqlite3_context *to, const void *row, int column)
{
    const struct sq_new *n = row;
    const struct record *r = n->stored->record;
    const struct gpu_sample *g = &r->sample;
    switch (column) {
    case 0:
        return sqlite3_result_int64(to, n->seq);
    case 1:
        return sq_give_str(to, r->event_id);
    case 2:
        return sqlite3_result_int64(to, (int64_t)r->digest);
    case 3:
        return sqlite3_result_int64(to, r->shard);
    case 4:
        return sqlite3_result_int64(to, g->ts);
    case 5:
        return sqlite3_result_int64(to, n->device);
    case 6:
        return give_real(to, g, SAMPLE_UTILIZATION, g->utilization);
    case 7:
        return give_real(to, g, SAMPLE_MEM_USED, g->mem_used_mb);
    case 8:
        return give_real(to, g, SAMPLE_MEM_TOTAL, g->mem_total_mb);
    case 9:
        return give_real(to, g, SAMPLE_POWER, g->power_w);
    case 10:
        return give_real(to, g, SAMPLE_TEMPERATURE, g->temperature_c);
    case 11:
        return give_real(to, g, SAMPLE_SM_CLOCK, g->sm_clock_mhz);
    case 12:
        return give_integer(to, g->has & SAMPLE_ENERGY, g->energy_mj);
    case 13:
        return give_integer(to, g->has & SAMPLE_PRICE, g->price_nusd_hour);
    case 14:
        return sq_give_str(to, r->extra);
    case 15:
        return sqlite3_result_int64(to, r->position);
    }
}

#define USAGE_COLUMNS                                                                              \
    "seq, event_id, digest, shard, start, latency_ns, ttft_ns, place, placed, consumer,"           \
    " prompt_tokens, completion_tokens, cached_prompt_tokens, requests, request_id, est_in_nusd,"  \
    " est_out_nusd, est_method, extra, position"

static void usage_column(sqlite3_context *to, const void *row, int column)
{
    const struct sq_new *n = row;
    const struct record *r = n->stored->record;
    const struct usage_record *u = &r->usage;
    const struct usage_cost *estimate = n->stored->provisional;
    switch (column) {
    case 0:
        return sqlite3_result_int64(to, n->seq);
    case 1:
        return sq_give_str(to, r->event_id);
    case 2:
        return sqlite3_result_int64(to, (int64_t)r->digest);
    case 3:
        return sqlite3_result_int64(to, r->shard);
    case 4:
        return sqlite3_result_int64(to, usage_start(u));
    case 5:
        return sqlite3_result_int64(to, u->latency_ns);
    case 6:
        return give_integer(to, u->has & USAGE_TTFT, u->ttft_ns);
    case 7:
        return sqlite3_result_int64(to, n->place);
    case 8:
        return sqlite3_result_int(to, usage_placed(u));
    case 9:
        return sqlite3_result_int64(to, n->consumer);
    case 10:
        return sqlite3_result_int64(to, u->prompt_tokens);
    case 11:
        return sqlite3_result_int64(to, u->completion_tokens);
    case 12:
        return give_integer(to, u->has & USAGE_CACHED, u->cached_prompt_tokens);
    case 13:
        return give_integer(to, u->has & USAGE_REQUESTS, u->requests);
    case 14:
        return sq_give_str(to, u->request_id);
    case 15:
        return give_integer(to, estimate && estimate->priced,
                            estimate ? estimate->cost_in_nusd : 0);
    case 16:
        return give_integer(to, estimate && estimate->priced,
                            estimate ? estimate->cost_out_nusd : 0);
    case 17:
        return give_integer(to, estimate, estimate ? (int64_t)estimate->method : 0);
    case 18:
        return sq_give_str(to, r->extra);
    case 19:
        return sqlite3_result_int64(to, r->position);
    }
}

const struct sq_feed sq_sample_feed = {
    .name = "new_samples",
    .columns = SAMPLE_COLUMNS,
    .column = sample_column,
    .size = sizeof(struct sq_new),
};
const struct sq_feed sq_usage_feed = {
    .name = "new_usages",
    .columns = USAGE_COLUMNS,
    .column = usage_column,
    .size = sizeof(struct sq_new),
};

static const char *const insert_sql[] = {
    [RECORD_SAMPLE] = "INSERT INTO sample(" SAMPLE_COLUMNS ") SELECT " SAMPLE_COLUMNS
                      " FROM new_samples WHERE true ON CONFLICT(event_id) DO NOTHING",
    [RECORD_USAGE] = "INSERT INTO usage(" USAGE_COLUMNS ") SELECT " USAGE_COLUMNS
                     " FROM new_usages WHERE true ON CONFLICT(event_id) DO NOTHING",
};
static const char *const find_sql[] = {
    [RECORD_SAMPLE] = "SELECT seq, digest FROM sample WHERE event_id = ?1",
    [RECORD_USAGE] = "SELECT seq, digest FROM usage WHERE event_id = ?1",
};

static int find_dims(struct sq_store *s, struct sq_new *n, struct error *err)
{
    const struct record *r = n->stored->record;
    if (r->kind == RECORD_SAMPLE) {
        return sq_device_id(s, &r->sample, &n->device, err);
    }
    int e = sq_usage_place_id(s, &r->usage, &n->place, err);
    return e < 0 ? e : sq_consumer_id(s, r->usage.model, r->usage.tenant, &n->consumer, err);
}

// Records that begin before *ret come too late.
static int find_open_from(struct sq_store *s, int64_t *ret, struct error *err)
{
    struct arena a = {0};
    struct settings_history h = {0};
    int r = 0;
    *ret = INT64_MIN;
    if (s->writer->meta.raw_from != INT64_MIN) {
        r = sq_settings(&s->base, &a, &h, err);
        *ret = retain_open_from(&h, s->writer->meta.raw_from);
    }
    arena_done(&a);
    return r;
}

static int collect(struct sq_store *s, struct store_write *w, struct error *err)
{
    struct sq_writer *writer = s->writer;
    int64_t open_from;
    int e = find_open_from(s, &open_from, err);
    if (e < 0) {
        return e;
    }
    writer->fresh[RECORD_SAMPLE].n = writer->fresh[RECORD_USAGE].n = 0;
    for (size_t i = 0; i < w->n_records; i++) {
        struct store_record *sr = &w->records[i];
        enum record_kind kind = sr->record->kind;
        if (sr->record->shard >= writer->meta.n_shards) {
            return error_set(err, -EINVAL, "%s: a record is of shard %u, but there are only %u",
                             s->name, sr->record->shard, (unsigned)writer->meta.n_shards);
        }
        if (record_too_late(sr->record, open_from)) {
            sr->verdict = STORE_EXPIRED; // unless it is there: see judge_late
            sr->record->seq = writer->meta.last_seq[kind];
            continue;
        }
        struct sq_new_list *list = &writer->fresh[kind];
        ARRAY_RESERVE(list->v, list->n, list->cap);
        struct sq_new *n = &list->v[list->n++];
        *n = (struct sq_new){.stored = sr, .seq = ++writer->meta.last_seq[kind]};
        int r = find_dims(s, n, err);
        if (r < 0) {
            return r;
        }
        sr->record->seq = n->seq;
        sr->verdict = STORE_NEW;
    }
    return 0;
}

// The stored record with this event_id: *ret_seq 0 when there is none.
static int find_stored(struct sq_store *s, const struct record *record, int64_t *ret_seq,
                       bool *ret_same, struct error *err)
{
    sqlite3_stmt *stmt;
    int r = sq_statement(s->main, find_sql[record->kind], &stmt, err);
    if (r < 0) {
        return r;
    }
    sq_bind_str(stmt, 1, record->event_id);
    r = sq_row(s->main, stmt, err);
    *ret_seq = r > 0 ? sq_i64(stmt, 0) : 0;
    *ret_same = r > 0 && (uint64_t)sq_i64(stmt, 1) == record->digest;
    sq_reset(stmt);
    return MIN(r, 0);
}

static int judge(struct sq_store *s, struct sq_new *n, struct error *err)
{
    struct record *record = n->stored->record;
    bool same;
    int r = find_stored(s, record, &record->seq, &same, err);
    if (r < 0 || record->seq == 0) {
        return r < 0 ? r : sq_fail(s->main, SQLITE_CORRUPT, err);
    }
    if (record->seq != n->seq) {
        n->stored->verdict = same ? STORE_DUPLICATE : STORE_CONFLICT;
    }
    return 0;
}

// Of what comes too late, that which is stored, or came before it in the same write. Its seq is the
// highest that was given by then.
static int judge_late(struct sq_store *s, struct store_write *w, struct error *err)
{
    for (size_t i = 0; i < w->n_records; i++) {
        struct store_record *sr = &w->records[i];
        int64_t before = sr->record->seq, seq;
        bool same;
        if (sr->verdict != STORE_EXPIRED) {
            continue;
        }
        int r = find_stored(s, sr->record, &seq, &same, err);
        if (r < 0) {
            return r;
        }
        bool there = seq > 0 && seq <= before;
        sr->record->seq = there ? seq : 0;
        sr->verdict = !there ? STORE_EXPIRED : same ? STORE_DUPLICATE : STORE_CONFLICT;
    }
    return 0;
}

// Of the list only the new ones stay.
static int judge_all(struct sq_store *s, struct sq_new_list *list, struct error *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->n; i++) {
        int r = judge(s, &list->v[i], err);
        if (r < 0) {
            return r;
        }
        if (list->v[i].stored->verdict == STORE_NEW) {
            list->v[kept++] = list->v[i];
        }
    }
    list->n = kept;
    return 0;
}

static int insert(struct sq_store *s, enum record_kind kind, struct error *err)
{
    struct sq_new_list *list = &s->writer->fresh[kind];
    struct sq_feed *feed = kind == RECORD_SAMPLE ? &s->writer->samples : &s->writer->usages;
    if (list->n == 0) {
        return 0;
    }
    int r = sq_feed_run(s->main, feed, list->v, list->n, insert_sql[kind], err);
    if (r < 0 || (size_t)sqlite3_changes64(s->main->db) == list->n) {
        return r;
    }
    return judge_all(s, list, err);
}

static int put_refusal(struct sq_store *s, const struct store_record *sr, struct error *err)
{
    struct buf room;
    struct dead_letter d = refusal_letter(sr, clock_wall(&clock_system), &room);
    int r = sq_put_letter(s, &d, err);
    buf_done(&room);
    return r;
}

// In the order in which the records came, whatever their kind.
static int put_refusals(struct sq_store *s, const struct store_write *w, struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->n_records; i++) {
        if (verdict_refuses(w->records[i].verdict)) {
            r = put_refusal(s, &w->records[i], err);
        }
    }
    return r;
}

static void count(struct sq_writer *writer, enum record_kind kind)
{
    const struct sq_new_list *list = &writer->fresh[kind];
    struct sq_meta *m = &writer->meta;
    m->stored[kind] += (int64_t)list->n;
    for (size_t i = 0; i < list->n; i++) {
        const struct record *r = list->v[i].stored->record;
        int64_t last = record_ts(r);
        int64_t first = kind == RECORD_USAGE ? usage_start(&r->usage) : last;
        m->first[kind] = MIN(m->first[kind], first);
        m->last[kind] = MAX(m->last[kind], last);
        if (kind == RECORD_USAGE) {
            m->longest_usage_ns = MAX(m->longest_usage_ns, last - first);
        }
    }
}

static int mark_shards(struct sq_store *s, const struct sq_new_list *list, struct error *err)
{
    for (size_t i = 0; i < list->n; i++) {
        struct sq_shard *shard = sq_shard(s->writer, list->v[i].stored->record->shard);
        if (shard->has_records) {
            continue;
        }
        shard->has_records = true;
        int r = sq_save_shard(s, shard, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int sq_put_records(struct sq_store *s, struct store_write *w, struct error *err)
{
    int r = collect(s, w, err);
    for (enum record_kind kind = RECORD_SAMPLE; r == 0 && kind <= RECORD_USAGE; kind++) {
        r = insert(s, kind, err);
        if (r == 0) {
            count(s->writer, kind);
            r = mark_shards(s, &s->writer->fresh[kind], err);
        }
    }
    r = r < 0 ? r : judge_late(s, w, err);
    r = r < 0 ? r : put_refusals(s, w, err);
    return r < 0 ? r : sq_put_gpus(s, &s->writer->fresh[RECORD_SAMPLE], err);
}
