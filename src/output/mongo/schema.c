// The database as a whole: whether it is ours, its version, and the indexes that our own queries
// need. Opening creates what is missing; several processes may do so at the same time.
#include <errno.h>

#include "output/mongo/documents.h"
#include "output/mongo/driver.h"

const char *const mg_record_collection[2] = {
    [RECORD_SAMPLE] = "gpu_metrics",
    [RECORD_USAGE] = "token_usage",
};
const char *const mg_level_collection[3] = {
    [LEVEL_WINDOW] = "cost_windows",
    [LEVEL_HOUR] = "cost_hours",
    [LEVEL_DAY] = "cost_days",
};

// Ascending in each field. By time within a shard, and, by $in, over all of them; by seq, which
// begins with the shard; few rows among many.
struct index {
    const char *collection, *name, *fields[3];
    const char *only; // a field that the index holds the documents of ...
    bool only_value;  // ... that have this value
    int32_t ttl_s;    // 0: none
};
static const struct index indexes[] = {
    {"gpu_metrics", "partition_ts", {"partition", "ts_ns", "_id"}, NULL, false, 0},
    {"gpu_metrics", "seq", {"seq"}, NULL, false, 0},
    {"token_usage", "partition_start", {"partition", "start_ns", "_id"}, NULL, false, 0},
    {"token_usage", "seq", {"seq"}, NULL, false, 0},
    {"token_usage", "unplaced", {"start_ns", "_id"}, "placed", false, 0},
    {"token_usage", "unpriced", {"start_ns", "_id"}, "priced", false, 0},
    {"token_usage", "late", {"start_ns", "_id"}, "late", true, 0},
    {"cost_windows", "partition_id", {"partition", "_id"}, NULL, false, 0},
    {"cost_hours", "partition_id", {"partition", "_id"}, NULL, false, 0},
    {"cost_days", "partition_id", {"partition", "_id"}, NULL, false, 0},
    {"dead_letters", "at", {"at_ns"}, NULL, false, 0},
    {"owners", "seen", {"seen"}, NULL, false, 86400}, // of processes that were killed
};

static void write_index(struct mg_buf *b, const struct index *x)
{
    size_t key = MG_DOC(b, "key");
    const int32_t ascending = 1;
    for (size_t i = 0; i < ARRAY_LEN(x->fields) && x->fields[i]; i++) {
        mg_key(b, '\x10', str_of(x->fields[i]));
        mg_add(b, &ascending, sizeof(ascending));
    }
    mg_end(b, key);
    MG_STR(b, "name", str_of(x->name));
    if (x->only) {
        size_t only = MG_DOC(b, "partialFilterExpression");
        mg_key(b, '\x08', str_of(x->only));
        mg_add(b, x->only_value ? "\1" : "\0", 1);
        mg_end(b, only);
    }
    if (x->ttl_s > 0) {
        MG_I32(b, "expireAfterSeconds", x->ttl_s);
    }
}

// The indexes of the collection of indexes[from]; *ret_next: the first of the next one's.
static int create_indexes(struct mg_store *s, size_t from, size_t *ret_next, struct error *err)
{
    struct mg_buf b = {0};
    size_t i = from, at = mg_begin(&b);
    MG_STR(&b, "createIndexes", str_of(indexes[from].collection));
    size_t list = MG_ARRAY(&b, "indexes");
    for (; i < ARRAY_LEN(indexes) && indexes[i].collection == indexes[from].collection; i++) {
        mg_index(&b, '\x03', i - from);
        size_t one = mg_begin(&b);
        write_index(&b, &indexes[i]);
        mg_end(&b, one);
    }
    mg_end(&b, list);
    mg_end(&b, at);
    *ret_next = i;
    int r = mg_do(&s->conn, MG_UPDATE, &b, at, err);
    mg_buf_done(&b);
    return r;
}

// Another process that does the same at the same time can be in the way for a moment.
static int create_all_indexes(struct mg_store *s, struct error *err)
{
    enum { ATTEMPTS = 5 };
    struct error ignored;
    for (size_t i = 0, next = 0; i < ARRAY_LEN(indexes); i = next) {
        int r = -EAGAIN;
        for (int attempt = 0; r == -EAGAIN && attempt < ATTEMPTS; attempt++) {
            r = create_indexes(s, i, &next, err ? err : &ignored);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static struct mg_query meta_query(void)
{
    struct mg_query q = {0};
    size_t f = mg_begin(&q.filter);
    MG_STR(&q.filter, "_id", STR("gtap"));
    mg_end(&q.filter, f);
    return q;
}

static int read_meta(struct mg_store *s, const bson_t *doc, struct error *err)
{
    int64_t schema = 0, n_shards = 0;
    if (!mg_find_int(doc, "schema", &schema) || !mg_find_int(doc, "n_shards", &n_shards) ||
        n_shards < 1 || n_shards > STORE_SHARDS_MAX) {
        return mg_fail_corrupt(&s->conn, "meta", err);
    }
    if (schema > MG_SCHEMA) {
        return error_set(err, -EPROTONOSUPPORT,
                         "%s: is of a newer gtap (schema %d, this one knows %d): use that one",
                         s->conn.name, (int)schema, MG_SCHEMA);
    }
    s->n_shards = (uint32_t)n_shards;
    return 0;
}

// 1: there is one, 0: none.
static int load_meta(struct mg_store *s, struct error *err)
{
    struct mg_query q = meta_query();
    bson_t doc;
    int r = mg_find_one(&s->conn, "meta", &q, &doc, err);
    mg_query_done(&q);
    if (r > 0) {
        r = read_meta(s, &doc, err);
        bson_destroy(&doc);
        return r < 0 ? r : 1;
    }
    return r;
}

int mg_load_shards(struct mg_store *s, struct error *err)
{
    int r = load_meta(s, err);
    return r == 0 ? mg_fail_corrupt(&s->conn, "meta", err) : MIN(r, 0);
}

// A collection of a name of ours in a database without our mark is somebody else's.
static int check_foreign(struct mg_store *s, struct error *err)
{
    static const char *const ours[] = {
        "gpu_metrics", "token_usage", "cost_windows", "cost_hours",   "cost_days", "gpus",
        "price_book",  "settings",    "shards",       "dead_letters", "inputs",    "meta",
    };
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        const struct mg_query any = {0};
        bson_t doc;
        int r = mg_find_one(&s->conn, ours[i], &any, &doc, err);
        if (r < 0) {
            return r;
        }
        if (r > 0) {
            bson_destroy(&doc);
            return error_set(err, -EMEDIUMTYPE,
                             "%s: has a collection %s that is not gtap's; it was left as it is: "
                             "name another database in the URI",
                             s->conn.name, ours[i]);
        }
    }
    return 0;
}

static int create_meta(struct mg_store *s, struct error *err)
{
    struct mg_batch m;
    mg_batch_init(&m, "update", "meta");
    size_t one = mg_batch_add(&m), q = MG_DOC(&m.b, "q");
    MG_STR(&m.b, "_id", STR("gtap"));
    mg_end(&m.b, q);
    size_t u = MG_DOC(&m.b, "u"), set = MG_DOC(&m.b, "$setOnInsert");
    MG_I32(&m.b, "schema", MG_SCHEMA);
    MG_I32(&m.b, "n_shards", 1);
    MG_DATE(&m.b, "created", clock_wall(&clock_system));
    MG_I64(&m.b, "version", 1);
    MG_I64(&m.b, "last_price_id", 0);
    mg_end(&m.b, set);
    mg_end(&m.b, u);
    MG_BOOL(&m.b, "upsert", true);
    mg_end(&m.b, one);
    int r = mg_batch_flush(&s->conn, &m, err);
    r = r == -EAGAIN ? 0 : r; // another process was faster: what it wrote is read next
    mg_batch_done(&m);
    return r;
}

// A database without our mark: ours to begin, or somebody else's. What another process of ours
// began a moment ago looks foreign, too; but its mark comes before anything else, so it is there
// now.
static int begin(struct mg_store *s, struct error *err)
{
    struct error foreign, *why = err ? err : &foreign;
    int r = check_foreign(s, why);
    if (r == -EMEDIUMTYPE) {
        struct error unread;
        int marked = load_meta(s, &unread);
        if (marked < 0) {
            *why = unread;
            return marked;
        }
        return marked > 0 ? 0 : r;
    }
    if (r == 0 && s->base.access == STORE_READ) {
        return error_set(err, -ENOENT, "%s: there is no such store", s->conn.name);
    }
    r = r < 0 ? r : create_meta(s, err);
    return r < 0 ? r : mg_load_shards(s, err);
}

int mg_check_schema(struct mg_store *s, struct error *err)
{
    int r = load_meta(s, err);
    if (r < 0) {
        return r;
    }
    if (r == 0) {
        r = begin(s, err);
    }
    return r < 0 || s->base.access == STORE_READ ? MIN(r, 0) : create_all_indexes(s, err);
}

// Changes meta by {op: fields} of an update.
static int update_meta(struct mg_store *s, struct mg_batch *m, size_t one, struct error *err)
{
    mg_end(&m->b, one);
    int r = mg_batch_flush(&s->conn, m, err);
    mg_batch_done(m);
    return r;
}

static size_t begin_meta(struct mg_batch *m)
{
    mg_batch_init(m, "update", "meta");
    size_t one = mg_batch_add(m), q = MG_DOC(&m->b, "q");
    MG_STR(&m->b, "_id", STR("gtap"));
    mg_end(&m->b, q);
    return one;
}

int mg_bump_version(struct mg_store *s, struct error *err)
{
    struct mg_batch m;
    size_t one = begin_meta(&m), u = MG_DOC(&m.b, "u"), inc = MG_DOC(&m.b, "$inc");
    MG_I64(&m.b, "version", 1);
    mg_end(&m.b, inc);
    mg_end(&m.b, u);
    return update_meta(s, &m, one, err);
}

static int any_records(struct mg_store *s, bool *ret, struct error *err)
{
    int r = 0;
    *ret = false;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(mg_record_collection); i++) {
        const struct mg_query any = {0};
        bson_t doc;
        r = mg_find_one(&s->conn, mg_record_collection[i], &any, &doc, err);
        if (r > 0) {
            bson_destroy(&doc);
            *ret = true;
        }
    }
    return MIN(r, 0);
}

int mg_set_shards(struct store *base, uint32_t n, struct error *err)
{
    struct mg_store *s = mg_of(base);
    bool any = false;
    int r = mg_load_shards(s, err);
    if (r < 0 || n == s->n_shards) {
        return r;
    }
    r = any_records(s, &any, err);
    if (r == 0 && any) {
        return error_set(err, -EBUSY, "%s: its records are in %u shards; that cannot change",
                         s->conn.name, (unsigned)s->n_shards);
    }
    if (r < 0) {
        return r;
    }
    struct mg_batch m;
    size_t one = begin_meta(&m), u = MG_DOC(&m.b, "u"), inc = MG_DOC(&m.b, "$inc");
    MG_I64(&m.b, "version", 1);
    mg_end(&m.b, inc);
    size_t set = MG_DOC(&m.b, "$set");
    MG_I32(&m.b, "n_shards", (int32_t)n);
    mg_end(&m.b, set);
    mg_end(&m.b, u);
    r = update_meta(s, &m, one, err);
    s->n_shards = r < 0 ? s->n_shards : n;
    return r;
}
