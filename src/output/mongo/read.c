// Cursors over records, rows and dead letters, and GPUs: the server gives them in our order, by the
// indexes of schema.c. A cursor asks for its first documents when it is opened.
#include <errno.h>
#include <stdlib.h>

#include "output/ledger.h"
#include "output/mongo/documents.h"
#include "output/mongo/driver.h"

struct mg_cursor {
    struct store_cursor base;
    struct mg_store *store;
    mongoc_cursor_t *cursor;
    const bson_t *ahead; // the first document, read when the cursor was opened
    bool ended;
    const char *collection;
    enum record_kind kind;
    bool skipping; // those of time `to` that are not before `before`
    int64_t to;
    struct buf before;
    struct arena arena; // of the last row
};

void mg_cursor_close(struct store_cursor *base)
{
    struct mg_cursor *c = (struct mg_cursor *)base;
    if (c->cursor) {
        mongoc_cursor_destroy(c->cursor);
    }
    arena_done(&c->arena);
    buf_done(&c->before);
    free(c);
}

static int open_cursor(struct mg_store *s, const char *collection, struct mg_query *q,
                       struct mg_cursor **ret, struct error *err)
{
    struct mg_cursor *c = x_zalloc(sizeof(*c));
    *c = (struct mg_cursor){
        .base = {.ops = s->base.ops},
        .store = s,
        .collection = collection,
    };
    buf_init(&c->before, RECORD_TEXT_MAX);
    int r = mg_find(&s->conn, collection, q, &c->cursor, err);
    r = r < 0 ? r : mg_next(&s->conn, c->cursor, &c->ahead, err);
    mg_query_done(q);
    if (r < 0) {
        mg_cursor_close(&c->base);
        return r;
    }
    c->ended = r == 0;
    *ret = c;
    return 0;
}

static int next(struct mg_cursor *c, const bson_t **ret, struct error *err)
{
    if (c->ended) {
        return 0;
    }
    if (c->ahead) {
        *ret = c->ahead;
        c->ahead = NULL;
        return 1;
    }
    int r = mg_next(&c->store->conn, c->cursor, ret, err);
    c->ended = r <= 0;
    return r;
}

static void write_sort(struct mg_buf *b, const char *const *fields, size_t n, int32_t direction,
                       int64_t limit)
{
    size_t o = mg_begin(b), sort = MG_DOC(b, "sort");
    for (size_t i = 0; i < n && fields[i]; i++) {
        mg_key(b, '\x10', str_of(fields[i]));
        mg_add(b, &direction, sizeof(direction));
    }
    mg_end(b, sort);
    if (limit > 0) {
        MG_I64(b, "limit", limit);
    }
    MG_BOOL(b, "allowDiskUse", true); // where no index gives the order
    mg_end(b, o);
}

static void write_range(struct mg_buf *b, const char *field, int64_t from, int64_t to)
{
    mg_key(b, '\x03', str_of(field));
    size_t range = mg_begin(b);
    MG_I64(b, "$gte", from);
    MG_I64(b, "$lt", to);
    mg_end(b, range);
}

// An absent text is chosen by null, which a field that is not there is equal to.
static void write_list(struct mg_buf *b, const char *field, const struct str_list *l)
{
    if (l->n == 0) {
        return;
    }
    mg_key(b, '\x03', str_of(field));
    size_t in = mg_begin(b), list = MG_ARRAY(b, "$in");
    for (size_t i = 0; i < l->n; i++) {
        bool there = str_present(l->v[i]);
        mg_index(b, there ? '\x02' : '\x0a', i);
        if (there) {
            mg_text(b, NULL, 0, l->v[i]);
        }
    }
    mg_end(b, list);
    mg_end(b, in);
}

static void write_match(struct mg_buf *b, const struct store_match *m)
{
    if (m) {
        write_list(b, "model", &m->models);
        write_list(b, "tenant", &m->tenants);
    }
}

// ---- records -------------------------------------------------------------------------------

// All shards by name: the server then merges one range of the index for each.
static void write_all_shards(struct mg_buf *b, uint32_t n)
{
    size_t in = MG_DOC(b, "partition"), list = MG_ARRAY(b, "$in");
    for (uint32_t i = 0; i < n; i++) {
        mg_index(b, '\x10', i);
        mg_add(b, &i, sizeof(i));
    }
    mg_end(b, list);
    mg_end(b, in);
}

static void write_filter(struct mg_buf *b, enum record_filter filter)
{
    switch (filter) {
    case RECORDS_ALL:
        break;
    case RECORDS_UNPLACED:
        MG_BOOL(b, "placed", false);
        break;
    case RECORDS_UNPRICED:
        MG_BOOL(b, "final", true);
        MG_BOOL(b, "placed", true);
        MG_BOOL(b, "priced", false);
        break;
    case RECORDS_LATE:
        MG_BOOL(b, "late", true);
        break;
    case RECORDS_OPEN:
        MG_BOOL(b, "final", false);
        break;
    }
}

static bool few(enum record_filter filter)
{
    return filter != RECORDS_ALL && filter != RECORDS_OPEN;
}

static bool resumes(const struct record_query *q)
{
    return q->order == RECORDS_NEWEST && str_present(q->before);
}

static void write_records_query(const struct mg_store *s, const struct record_query *q,
                                struct mg_query *ret)
{
    struct mg_buf *b = &ret->filter;
    bool by_seq = q->order == RECORDS_BY_SEQ;
    const char *key = by_seq ? "seq" : q->kind == RECORD_USAGE ? "start_ns" : "ts_ns";
    const char *const sort[] = {key, by_seq ? NULL : "_id"};
    int64_t from = q->from, to = q->to;
    if (resumes(q) && to < INT64_MAX) {
        to++; // of those at `to` the cursor leaves out what came before
    }
    size_t f = mg_begin(b);
    if (q->shard >= 0 && by_seq) { // which says the shard
        from = MAX(from, mg_first_seq((uint32_t)q->shard, 0));
        to = MIN(to, mg_first_seq((uint32_t)q->shard + 1, 0));
    } else if (q->shard >= 0) {
        MG_I32(b, "partition", (int32_t)q->shard);
    } else if (!by_seq && !few(q->filter)) {
        write_all_shards(b, s->n_shards);
    }
    write_range(b, key, from, to);
    write_filter(b, q->filter);
    write_match(b, q->match);
    mg_end(b, f);
    write_sort(&ret->opts, sort, ARRAY_LEN(sort), q->order == RECORDS_NEWEST ? -1 : 1, 0);
}

int mg_records(struct store *base, const struct record_query *q, struct store_cursor **ret,
               struct error *err)
{
    struct mg_store *s = mg_of(base);
    struct mg_query query = {0};
    struct mg_cursor *c = NULL;
    write_records_query(s, q, &query);
    int r = open_cursor(s, mg_record_collection[q->kind], &query, &c, err);
    if (r == 0) {
        c->kind = q->kind;
        c->skipping = resumes(q);
        c->to = q->to;
        buf_str(&c->before, q->before);
        *ret = &c->base;
    }
    return r;
}

// The next document of a query that goes on where another one ended.
static int next_before(struct mg_cursor *c, const bson_t **ret, struct error *err)
{
    const char *time = c->kind == RECORD_USAGE ? "start_ns" : "ts_ns";
    int r;
    while ((r = next(c, ret, err)) > 0 && c->skipping) {
        int64_t at = 0;
        (void)mg_find_int(*ret, time, &at);
        c->skipping = at == c->to && str_cmp(mg_find_str(*ret, "_id"), buf_view(&c->before)) >= 0;
        if (!c->skipping) {
            break;
        }
    }
    return r;
}

int mg_records_next(struct store_cursor *base, struct stored_record *ret, struct error *err)
{
    struct mg_cursor *c = (struct mg_cursor *)base;
    const bson_t *doc;
    bool computed;
    int r = next_before(c, &doc, err);
    if (r <= 0) {
        return r;
    }
    arena_reset(&c->arena);
    r = mg_parse_record(&c->store->conn, doc, c->kind, &c->arena, ret, &computed, err);
    return r < 0 ? r : 1;
}

int mg_record(struct store *base, enum record_kind kind, struct str event_id, struct arena *a,
              struct stored_record *ret, struct error *err)
{
    struct mg_store *s = mg_of(base);
    struct mg_query q = {0};
    struct arena texts = {0};
    struct stored_record found;
    bson_t doc;
    bool computed;
    size_t f = mg_begin(&q.filter);
    MG_STR(&q.filter, "_id", event_id);
    mg_end(&q.filter, f);
    int r = mg_find_one(&s->conn, mg_record_collection[kind], &q, &doc, err);
    mg_query_done(&q);
    if (r <= 0) {
        return r < 0 ? r : store_no_record(base, kind, event_id, err);
    }
    r = mg_parse_record(&s->conn, &doc, kind, &texts, &found, &computed, err);
    if (r == 0) {
        *ret = found;
        ret->record = store_copy_record(a, &found.record);
        ret->cost.event_id = found.cost.seq ? ret->record.event_id : STR_NONE;
    }
    bson_destroy(&doc);
    arena_done(&texts);
    return r;
}

int mg_cost(struct store *base, int64_t seq, struct usage_cost *ret, struct error *err)
{
    struct mg_store *s = mg_of(base);
    struct mg_query q = {0};
    struct stored_record record;
    struct arena a = {0};
    bson_t doc;
    bool computed = false;
    size_t f = mg_begin(&q.filter);
    MG_I64(&q.filter, "seq", seq);
    mg_end(&q.filter, f);
    int r = mg_find_one(&s->conn, mg_record_collection[RECORD_USAGE], &q, &doc, err);
    mg_query_done(&q);
    if (r > 0) {
        r = mg_parse_record(&s->conn, &doc, RECORD_USAGE, &a, &record, &computed, err);
        if (r == 0 && computed) {
            *ret = record.cost;
            buf_clear(&s->cost_id);
            buf_str(&s->cost_id, record.cost.event_id);
            ret->event_id = buf_view(&s->cost_id);
        }
        bson_destroy(&doc);
        arena_done(&a);
    }
    return r < 0 || computed
               ? r
               : error_set(err, -ENOENT, "%s: the request has no computed cost", s->conn.name);
}

// ---- rows ----------------------------------------------------------------------------------

static int rows_open(struct mg_store *s, const char *collection, const struct window_query *q,
                     const struct store_match *m, int64_t limit, struct store_cursor **ret,
                     struct error *err)
{
    static const char *const sort[] = {"_id"};
    struct mg_query query = {0};
    struct mg_buf *b = &query.filter;
    struct mg_cursor *c = NULL;
    size_t f = mg_begin(b);
    if (q->shard >= 0) {
        MG_I32(b, "partition", (int32_t)q->shard);
    }
    size_t id = MG_DOC(b, "_id");
    mg_add(b, MG_KEY("\x02", "$gte"));
    mg_write_start_id(b, q->from);
    mg_add(b, MG_KEY("\x02", "$lt"));
    mg_write_start_id(b, q->to);
    mg_end(b, id);
    write_match(b, m);
    mg_end(b, f);
    write_sort(&query.opts, sort, ARRAY_LEN(sort), 1, limit);
    int r = open_cursor(s, collection, &query, &c, err);
    if (r == 0) {
        *ret = &c->base;
    }
    return r;
}

int mg_rows_open(struct mg_store *s, const struct window_query *q, int64_t limit,
                 struct store_cursor **ret, struct error *err)
{
    return rows_open(s, mg_level_collection[q->level], q, NULL, limit, ret, err);
}

int mg_window_rows(struct store *s, const struct window_query *q, const struct store_match *m,
                   struct store_cursor **ret, struct error *err)
{
    return rows_open(mg_of(s), mg_level_collection[q->level], q, m, 0, ret, err);
}

int mg_window_rows_next(struct store_cursor *base, struct window_row *ret, struct error *err)
{
    struct mg_cursor *c = (struct mg_cursor *)base;
    const bson_t *doc;
    int r = next(c, &doc, err);
    if (r <= 0) {
        return r;
    }
    return mg_parse_row(doc, ret) < 0 ? mg_fail_corrupt(&c->store->conn, c->collection, err) : 1;
}

int mg_corrections(struct store *base, int64_t from, int64_t to, int64_t shard,
                   struct store_cursor **ret, struct error *err)
{
    const struct window_query q = {LEVEL_WINDOW, from, to, shard};
    return rows_open(mg_of(base), mg_correction_collection, &q, NULL, 0, ret, err);
}

// The document of this _id, which was written behind the filter's beginning and is closed here.
static int find_id(struct mg_store *s, const char *collection, struct mg_query *q, size_t filter,
                   bson_t *ret, struct error *err)
{
    mg_end(&q->filter, filter);
    int r = mg_find_one(&s->conn, collection, q, ret, err);
    mg_query_done(q);
    return r;
}

// Whether a later settlement put an entry behind, as is done to those alone whose row had followed.
static int has_successor(struct mg_store *s, const struct correction *c, struct error *err)
{
    struct correction other = *c;
    bson_t doc;
    int r = 1;
    while (r > 0 && other.settled_at == c->settled_at) {
        struct mg_query q = {0};
        other.n++;
        size_t f = mg_begin(&q.filter);
        mg_add(&q.filter, MG_KEY("\x02", "_id"));
        mg_write_correction_id(&q.filter, &other);
        r = find_id(s, mg_correction_collection, &q, f, &doc, err);
        if (r > 0) {
            bool good = mg_find_int(&doc, "settled_at_ns", &other.settled_at);
            r = good ? 1 : mg_fail_corrupt(&s->conn, mg_correction_collection, err);
            bson_destroy(&doc);
        }
    }
    return r;
}

// Of an unsure entry: whether its row was written after it. A row that was expired was.
static int find_row(struct mg_store *s, struct correction *c, struct error *err)
{
    const char *collection = mg_level_collection[LEVEL_WINDOW];
    struct mg_query q = {0};
    struct store_info info;
    struct window_row row;
    bson_t doc;
    int r = has_successor(s, c, err);
    if (r != 0) {
        return r < 0 ? r : 0;
    }
    size_t f = mg_begin(&q.filter);
    mg_add(&q.filter, MG_KEY("\x02", "_id"));
    mg_write_row_id(&q.filter, c->shard, &c->row);
    r = find_id(s, collection, &q, f, &doc, err);
    if (r > 0) {
        r = mg_parse_row(&doc, &row) < 0 ? mg_fail_corrupt(&s->conn, collection, err) : 0;
        c->orphan = r == 0 && !correction_followed(c, &row);
        bson_destroy(&doc);
    } else if (r == 0 && !c->gone) {
        r = mg_info(&s->base, &info, err);
        c->orphan = r == 0 && c->row.window_start >= info.windows_from;
    }
    return r;
}

int mg_corrections_next(struct store_cursor *base, struct correction *ret, struct error *err)
{
    struct mg_cursor *c = (struct mg_cursor *)base;
    const bson_t *doc;
    bson_iter_t it;
    int64_t shard, n;
    int r = next(c, &doc, err);
    if (r <= 0) {
        return r;
    }
    bool good = mg_parse_row(doc, &ret->row) == 0 && mg_find_int(doc, "partition", &shard) &&
                mg_find_int(doc, "number", &n) &&
                mg_find_int(doc, "settled_at_ns", &ret->settled_at) &&
                bson_iter_init_find(&it, doc, "gone");
    if (!good) {
        return mg_fail_corrupt(&c->store->conn, c->collection, err);
    }
    ret->gone = bson_iter_as_bool(&it);
    ret->shard = (uint32_t)shard;
    ret->n = (int32_t)n;
    ret->orphan = false;
    r = bson_iter_init_find(&it, doc, "unsure") ? find_row(c->store, ret, err) : 0;
    return r < 0 ? r : 1;
}

// ---- dead letters --------------------------------------------------------------------------

int mg_dead_letters(struct store *base, int64_t from, int64_t to, struct store_cursor **ret,
                    struct error *err)
{
    static const char *const sort[] = {"arrived", "_id"};
    struct mg_query q = {0};
    struct mg_cursor *c = NULL;
    size_t f = mg_begin(&q.filter);
    write_range(&q.filter, "at_ns", from, to);
    mg_end(&q.filter, f);
    write_sort(&q.opts, sort, ARRAY_LEN(sort), 1, 0);
    int r = open_cursor(mg_of(base), "dead_letters", &q, &c, err);
    if (r == 0) {
        *ret = &c->base;
    }
    return r;
}

int mg_dead_letters_next(struct store_cursor *base, struct dead_letter *ret, struct error *err)
{
    struct mg_cursor *c = (struct mg_cursor *)base;
    const bson_t *doc;
    int r = next(c, &doc, err);
    if (r <= 0) {
        return r;
    }
    *ret = (struct dead_letter){
        .origin = mg_find_str(doc, "origin"),
        .reason = mg_find_str(doc, "reason"),
        .payload = mg_find_str(doc, "payload"),
    };
    bool good = mg_find_int(doc, "at_ns", &ret->at) && mg_find_int(doc, "position", &ret->position);
    return good ? 1 : mg_fail_corrupt(&c->store->conn, "dead_letters", err);
}

// ---- GPUs ----------------------------------------------------------------------------------

static struct gpu_sample copy_sample(struct arena *a, const struct gpu_sample *s)
{
    struct gpu_sample copy = *s;
    copy.gpu.host = arena_copy(a, s->gpu.host);
    copy.name = arena_copy(a, s->name);
    copy.uuid = arena_copy(a, s->uuid);
    copy.mig_profile = arena_copy(a, s->mig_profile);
    copy.source = arena_copy(a, s->source);
    copy.site = arena_copy(a, s->site);
    return copy;
}

struct gpu_list_of {
    struct gpu_info *v;
    size_t n, cap;
};

static int read_gpus(struct mg_cursor *c, struct arena *a, struct gpu_list_of *list,
                     struct error *err)
{
    const bson_t *doc;
    int r;
    while ((r = next(c, &doc, err)) > 0) {
        ARRAY_RESERVE(list->v, list->n, list->cap);
        struct gpu_info *gpu = &list->v[list->n++];
        struct gpu_sample sample;
        if (mg_parse_sample(doc, a, &sample) < 0 ||
            !mg_find_int(doc, "first_seen_ns", &gpu->first_seen)) {
            return mg_fail_corrupt(&c->store->conn, "gpus", err);
        }
        gpu->newest = copy_sample(a, &sample);
    }
    return r;
}

int mg_gpus(struct store *base, struct arena *a, struct gpu_info **ret, size_t *ret_n,
            struct error *err)
{
    static const char *const sort[] = {"_id"};
    struct mg_query q = {0};
    struct mg_cursor *c = NULL;
    struct gpu_list_of list = {0};
    int r = mg_of(base)->writer ? mg_flush_gpus(mg_of(base), err) : 0;
    if (r < 0) {
        return r;
    }
    write_sort(&q.opts, sort, ARRAY_LEN(sort), 1, 0);
    r = open_cursor(mg_of(base), "gpus", &q, &c, err);
    if (r < 0) {
        return r;
    }
    r = read_gpus(c, a, &list, err);
    mg_cursor_close(&c->base);
    if (r == 0) {
        *ret = arena_alloc(a, list.n * sizeof(**ret));
        if (list.n > 0) {
            memcpy(*ret, list.v, list.n * sizeof(**ret));
        }
        *ret_n = list.n;
    }
    free(list.v);
    return r;
}
