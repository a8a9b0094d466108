// Retention: what may go is decided in output/retain.h; here it goes, oldest first, shard by shard,
// of the shards that this handle owns and those that nobody has. That something went is said before
// it goes: what a crash leaves behind is then merely not trusted.
#include <errno.h>

#include "output/mongo/documents.h"
#include "output/mongo/driver.h"
#include "output/retain.h"

// What the guards are computed from.
struct guards {
    struct arena arena;
    struct settings_history settings;
    struct unsettled_range *unsettled;
    size_t n_unsettled;
};

static int load_guards(struct mg_store *s, struct guards *g, struct error *err)
{
    int r = mg_settings(&s->base, &g->arena, &g->settings, err);
    return r < 0 ? r : mg_unsettled(&s->base, &g->arena, &g->unsettled, &g->n_unsettled, err);
}

static void write_order(struct mg_query *q, const char *first, const char *second, int32_t way,
                        int64_t limit)
{
    size_t o = mg_begin(&q->opts), sort = MG_DOC(&q->opts, "sort");
    mg_key(&q->opts, '\x10', str_of(first));
    mg_add(&q->opts, &way, sizeof(way));
    if (second) {
        mg_key(&q->opts, '\x10', str_of(second));
        mg_add(&q->opts, &way, sizeof(way));
    }
    mg_end(&q->opts, sort);
    MG_I64(&q->opts, "limit", limit);
    MG_BOOL(&q->opts, "allowDiskUse", true);
    mg_end(&q->opts, o);
}

static void write_bound(struct mg_buf *b, const char *field, const char *op, int64_t value)
{
    mg_key(b, '\x03', str_of(field));
    size_t at = mg_begin(b);
    mg_key(b, '\x12', str_of(op));
    mg_add(b, &value, sizeof(value));
    mg_end(b, at);
}

// The integer `field` of the first document; INT64_MAX: there is none.
static int ask(struct mg_store *s, const char *collection, const struct mg_query *q,
               const char *field, int64_t *ret, struct error *err)
{
    bson_t doc;
    int r = mg_find_one(&s->conn, collection, q, &doc, err);
    *ret = INT64_MAX;
    if (r > 0) {
        r = mg_find_int(&doc, field, ret) ? 0 : mg_fail_corrupt(&s->conn, collection, err);
        bson_destroy(&doc);
    }
    return r;
}

// Sets fields of a shard's document; `op` says how.
static int set_bound(struct mg_store *s, uint32_t shard, const char *op, const char *field,
                     int64_t value, struct error *err)
{
    struct mg_batch m;
    mg_batch_init(&m, "update", "shards");
    size_t one = mg_batch_add(&m), q = MG_DOC(&m.b, "q");
    MG_I32(&m.b, "_id", (int32_t)shard);
    mg_end(&m.b, q);
    size_t u = MG_DOC(&m.b, "u");
    bool gone = value == INT64_MAX || value == INT64_MIN;
    mg_key(&m.b, '\x03', str_of(gone ? "$unset" : op));
    size_t fields = mg_begin(&m.b);
    mg_key(&m.b, '\x12', str_of(field));
    mg_add(&m.b, &value, sizeof(value));
    mg_end(&m.b, fields);
    size_t inc = MG_DOC(&m.b, "$inc");
    MG_I64(&m.b, "version", 1);
    mg_end(&m.b, inc);
    mg_end(&m.b, u);
    mg_end(&m.b, one);
    int r = mg_batch_flush(&s->conn, &m, err);
    mg_batch_done(&m);
    return r;
}

// ---- ids to be deleted ---------------------------------------------------------------------

// Texts as they stand in a BSON array, without their types and names.
struct ids {
    struct mg_buf b;
    size_t *at, n, cap; // where each one begins
};

static void ids_done(struct ids *ids)
{
    mg_buf_done(&ids->b);
    free(ids->at);
}

static void add_id(struct ids *ids, const bson_iter_t *it)
{
    ARRAY_RESERVE(ids->at, ids->n, ids->cap);
    ids->at[ids->n++] = ids->b.n;
    uint32_t n = 0;
    const char *p = bson_iter_utf8(it, &n);
    mg_text(&ids->b, NULL, 0, (struct str){p, n});
}

static int delete_some(struct mg_store *s, const char *collection, const struct ids *ids,
                       size_t from, size_t to, size_t *ret_removed, struct error *err)
{
    struct mg_batch m;
    mg_batch_init(&m, "delete", collection);
    m.kind = MG_UPDATE;
    size_t one = mg_batch_add(&m), q = MG_DOC(&m.b, "q"), id = MG_DOC(&m.b, "_id");
    size_t list = MG_ARRAY(&m.b, "$in");
    for (size_t i = from; i < to; i++) {
        size_t end = i + 1 < ids->n ? ids->at[i + 1] : ids->b.n;
        mg_index(&m.b, '\x02', i - from);
        mg_add(&m.b, ids->b.p + ids->at[i], end - ids->at[i]);
    }
    mg_end(&m.b, list);
    mg_end(&m.b, id);
    mg_end(&m.b, q);
    MG_I32(&m.b, "limit", 0);
    mg_end(&m.b, one);
    int r = mg_batch_flush(&s->conn, &m, err);
    *ret_removed += (size_t)m.matched;
    mg_batch_done(&m);
    return r;
}

static int delete_ids(struct mg_store *s, const char *collection, const struct ids *ids,
                      size_t *ret_removed, struct error *err)
{
    int r = 0;
    for (size_t at = 0; r == 0 && at < ids->n; at += MG_BATCH_MAX) {
        size_t to = MIN(ids->n, at + (size_t)MG_BATCH_MAX);
        r = delete_some(s, collection, ids, at, to, ret_removed, err);
    }
    return r;
}

// The ids of what a query finds; *ret_newest: the highest of `field`, or untouched.
static int find_ids(struct mg_store *s, const char *collection, const struct mg_query *q,
                    const char *field, struct ids *ids, int64_t *ret_newest, struct error *err)
{
    mongoc_cursor_t *cursor = NULL;
    const bson_t *doc;
    int r = mg_find(&s->conn, collection, q, &cursor, err);
    while (r >= 0 && (r = mg_next(&s->conn, cursor, &doc, err)) > 0) {
        bson_iter_t it;
        int64_t t;
        if (bson_iter_init_find(&it, doc, "_id") && BSON_ITER_HOLDS_UTF8(&it)) {
            add_id(ids, &it);
        }
        if (field && mg_find_int(doc, field, &t)) {
            *ret_newest = MAX(*ret_newest, t);
        }
    }
    mongoc_cursor_destroy(cursor);
    return r;
}

// ---- records -------------------------------------------------------------------------------

static const char *time_field(enum record_kind kind)
{
    return kind == RECORD_SAMPLE ? "ts_ns" : "start_ns";
}

// The start of the oldest request that runs at `base`; INT64_MAX: none does.
static int oldest_running(struct mg_store *s, const struct mg_shard *shard, int64_t base,
                          int64_t *ret, struct error *err)
{
    struct mg_query q = {0};
    int64_t longest = shard->bounds.longest_usage_ns;
    int64_t earliest = base < INT64_MIN + longest ? INT64_MIN : base - longest;
    size_t f = mg_begin(&q.filter);
    MG_I32(&q.filter, "partition", (int32_t)shard->shard);
    size_t range = MG_DOC(&q.filter, "start_ns");
    MG_I64(&q.filter, "$gte", earliest);
    MG_I64(&q.filter, "$lt", base);
    mg_end(&q.filter, range);
    write_bound(&q.filter, "ts_ns", "$gt", base);
    mg_end(&q.filter, f);
    write_order(&q, "start_ns", NULL, 1, 1);
    int r = ask(s, mg_record_collection[RECORD_USAGE], &q, "start_ns", ret, err);
    mg_query_done(&q);
    return r;
}

// Records that end before *ret may go.
static int records_from(struct mg_store *s, const struct guards *g, const struct mg_shard *shard,
                        int64_t *ret, struct error *err)
{
    int64_t base = retain_base(&shard->state, g->unsettled, g->n_unsettled), oldest;
    int r = oldest_running(s, shard, base, &oldest, err);
    *ret = r < 0 ? INT64_MIN : retain_records_from(&g->settings, MIN(base, oldest));
    return r;
}

// Adds a projection to the options.
static void project(struct mg_query *q, const char *field)
{
    const int32_t yes = 1;
    q->opts.n--; // the closing byte
    size_t fields = MG_DOC(&q->opts, "projection");
    mg_key(&q->opts, '\x10', str_of(field));
    mg_add(&q->opts, &yes, sizeof(yes));
    mg_end(&q->opts, fields);
    mg_end(&q->opts, 0);
}

static void write_doomed(struct mg_query *q, enum record_kind kind, const struct mg_shard *shard,
                         int64_t before, size_t limit)
{
    struct mg_buf *b = &q->filter;
    int64_t seen = kind == RECORD_SAMPLE ? shard->state.samples_seen : shard->state.usage_seen;
    size_t f = mg_begin(b);
    MG_I32(b, "partition", (int32_t)shard->shard);
    write_bound(b, time_field(kind), "$lt", before);
    if (kind == RECORD_USAGE) {
        write_bound(b, "ts_ns", "$lt", before);
        MG_BOOL(b, "final", true);
    }
    write_bound(b, "seq", "$lte", seen);
    mg_end(b, f);
    write_order(q, time_field(kind), "_id", 1, (int64_t)MIN(limit, (size_t)INT32_MAX));
    project(q, "ts_ns");
}

// One end of the times that are left; `way` 1: the first, -1: the last.
static int remaining(struct mg_store *s, const struct mg_shard *shard, enum record_kind kind,
                     const char *field, int32_t way, int64_t *ret, struct error *err)
{
    struct mg_query q = {0};
    size_t f = mg_begin(&q.filter);
    MG_I32(&q.filter, "partition", (int32_t)shard->shard);
    mg_end(&q.filter, f);
    write_order(&q, field, NULL, way, 1);
    int r = ask(s, mg_record_collection[kind], &q, field, ret, err);
    mg_query_done(&q);
    return r;
}

// The last instant is looked for only where it may have gone: that reads all that is left.
static int update_times(struct mg_store *s, struct mg_shard *shard, enum record_kind kind,
                        struct error *err)
{
    static const char *const first_field[] = {"first_sample_ns", "first_usage_ns"};
    static const char *const last_field[] = {"last_sample_ns", "last_usage_ns"};
    struct mg_bounds *b = &shard->bounds;
    int64_t t;
    int r = remaining(s, shard, kind, time_field(kind), 1, &t, err);
    r = r < 0 ? r : set_bound(s, shard->shard, "$set", first_field[kind], t, err);
    if (r < 0) {
        return r;
    }
    b->first[kind] = t;
    if (b->raw_from <= b->last[kind]) {
        return 0;
    }
    r = remaining(s, shard, kind, "ts_ns", -1, &t, err);
    t = t == INT64_MAX ? INT64_MIN : t;
    r = r < 0 ? r : set_bound(s, shard->shard, "$set", last_field[kind], t, err);
    b->last[kind] = r < 0 ? b->last[kind] : t;
    return r;
}

static int expire_shard(struct mg_store *s, const struct guards *g, struct mg_shard *shard,
                        enum record_kind kind, int64_t before, size_t limit, size_t *ret_removed,
                        struct error *err)
{
    struct mg_query q = {0};
    struct ids ids = {0};
    int64_t from, newest = INT64_MIN;
    int r = records_from(s, g, shard, &from, err);
    if (r < 0) {
        return r;
    }
    write_doomed(&q, kind, shard, MIN(from, before), limit);
    r = find_ids(s, mg_record_collection[kind], &q, "ts_ns", &ids, &newest, err);
    if (r == 0 && ids.n > 0) {
        int64_t raw_from = MAX(shard->bounds.raw_from, newest + 1);
        r = set_bound(s, shard->shard, "$max", "raw_from_ns", raw_from, err);
        if (r == 0) {
            shard->bounds.raw_from = raw_from;
            s->writer->raw_from = MAX(s->writer->raw_from, raw_from);
            r = delete_ids(s, mg_record_collection[kind], &ids, ret_removed, err);
        }
        r = r < 0 ? r : update_times(s, shard, kind, err);
    }
    ids_done(&ids);
    mg_query_done(&q);
    return r;
}

// ---- windows -------------------------------------------------------------------------------

static int expire_rows(struct mg_store *s, struct mg_shard *shard, int64_t before, size_t limit,
                       size_t *ret_removed, struct error *err)
{
    struct mg_query q = {0};
    struct ids ids = {0};
    int64_t newest = INT64_MIN;
    size_t f = mg_begin(&q.filter);
    MG_I32(&q.filter, "partition", (int32_t)shard->shard);
    size_t id = MG_DOC(&q.filter, "_id");
    mg_add(&q.filter, MG_KEY("\x02", "$lt"));
    mg_write_start_id(&q.filter, before);
    mg_end(&q.filter, id);
    mg_end(&q.filter, f);
    write_order(&q, "_id", NULL, 1, (int64_t)MIN(limit, (size_t)INT32_MAX));
    project(&q, "window_start_ns");
    int r =
        find_ids(s, mg_level_collection[LEVEL_WINDOW], &q, "window_start_ns", &ids, &newest, err);
    if (r == 0 && ids.n > 0) {
        int64_t from = MAX(shard->bounds.windows_from, newest + 1);
        r = set_bound(s, shard->shard, "$max", "windows_from_ns", from, err);
        if (r == 0) {
            shard->bounds.windows_from = from;
            mg_windows_forget(shard);
            r = delete_ids(s, mg_level_collection[LEVEL_WINDOW], &ids, ret_removed, err);
        }
    }
    ids_done(&ids);
    mg_query_done(&q);
    return r;
}

// ---- the shards ----------------------------------------------------------------------------

// Those of this handle, and those that nobody has, which it takes for that.
static int claim_for_expiry(struct mg_store *s, uint32_t shard, bool *ret, struct error *err)
{
    int r = mg_claim(s, shard, err);
    *ret = r == 0 && mg_owns(s, shard);
    return r == -EBUSY ? 0 : r;
}

struct list {
    uint32_t *v;
    size_t n, cap;
};

static int list_shards(struct mg_store *s, struct list *list, struct error *err)
{
    struct mg_query q = {0};
    mongoc_cursor_t *cursor = NULL;
    const bson_t *doc;
    write_order(&q, "_id", NULL, 1, STORE_SHARDS_MAX);
    int r = mg_find(&s->conn, "shards", &q, &cursor, err);
    while (r >= 0 && (r = mg_next(&s->conn, cursor, &doc, err)) > 0) {
        int64_t shard;
        if (mg_find_int(doc, "_id", &shard) && shard >= 0 && shard < STORE_SHARDS_MAX) {
            ARRAY_RESERVE(list->v, list->n, list->cap);
            list->v[list->n++] = (uint32_t)shard;
        }
    }
    mongoc_cursor_destroy(cursor);
    mg_query_done(&q);
    return r;
}

static int expire_in(struct mg_store *s, const struct guards *g, struct mg_shard *shard,
                     enum store_collection c, int64_t before, size_t limit, size_t *ret_removed,
                     struct error *err)
{
    if (c != STORE_COST_WINDOWS) {
        enum record_kind kind = c == STORE_GPU_METRICS ? RECORD_SAMPLE : RECORD_USAGE;
        return expire_shard(s, g, shard, kind, before, limit, ret_removed, err);
    }
    int64_t from = retain_windows_from(&shard->state, g->unsettled, g->n_unsettled);
    return expire_rows(s, shard, MIN(from, before), limit, ret_removed, err);
}

static int expire_shards(struct mg_store *s, enum store_collection c, int64_t before, size_t limit,
                         size_t *ret_removed, struct error *err)
{
    struct guards g = {0};
    struct list shards = {0};
    int r = load_guards(s, &g, err);
    r = r < 0 ? r : list_shards(s, &shards, err);
    for (size_t i = 0; r == 0 && i < shards.n && *ret_removed < limit; i++) {
        bool ours = false;
        r = claim_for_expiry(s, shards.v[i], &ours, err);
        if (r == 0 && ours) {
            r = expire_in(s, &g, mg_shard(s->writer, shards.v[i]), c, before, limit - *ret_removed,
                          ret_removed, err);
        }
    }
    free(shards.v);
    arena_done(&g.arena);
    return r;
}

static int expire_letters(struct mg_store *s, int64_t before, size_t limit, size_t *ret_removed,
                          struct error *err)
{
    struct mg_query q = {0};
    struct ids ids = {0};
    size_t f = mg_begin(&q.filter);
    write_bound(&q.filter, "at_ns", "$lt", before);
    mg_end(&q.filter, f);
    write_order(&q, "arrived", "_id", 1, (int64_t)MIN(limit, (size_t)INT32_MAX));
    int r = find_ids(s, "dead_letters", &q, NULL, &ids, NULL, err);
    r = r < 0 ? r : delete_ids(s, "dead_letters", &ids, ret_removed, err);
    r = r < 0 || ids.n == 0 ? r : mg_bump_version(s, err);
    ids_done(&ids);
    mg_query_done(&q);
    return r;
}

int mg_expire(struct store *base, enum store_collection c, int64_t before, size_t limit,
              size_t *ret_removed, struct error *err)
{
    struct mg_store *s = mg_of(base);
    return c == STORE_DEAD_LETTERS ? expire_letters(s, before, limit, ret_removed, err)
                                   : expire_shards(s, c, before, limit, ret_removed, err);
}
