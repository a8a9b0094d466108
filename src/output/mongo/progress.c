// How far everything got: what is said of shards, the positions of inputs, and the summary of it
// all.
#include <errno.h>

#include "base/sort.h"
#include "output/mongo/documents.h"
#include "output/mongo/driver.h"

// ---- bounds --------------------------------------------------------------------------------

static void widen(struct mg_bounds *b, const struct record *r)
{
    int64_t last = record_ts(r);
    int64_t first = r->kind == RECORD_USAGE ? usage_start(&r->usage) : last;
    b->has_records = true;
    b->first[r->kind] = MIN(b->first[r->kind], first);
    b->last[r->kind] = MAX(b->last[r->kind], last);
    if (r->kind == RECORD_USAGE) {
        b->longest_usage_ns = MAX(b->longest_usage_ns, last - first);
    }
}

static void begin_shard_update(struct mg_batch *m, uint32_t shard, int64_t epoch, size_t *ret_one,
                               size_t *ret_u)
{
    *ret_one = mg_batch_add(m);
    size_t q = MG_DOC(&m->b, "q");
    MG_I32(&m->b, "_id", (int32_t)shard);
    if (epoch > 0) {
        MG_I64(&m->b, "epoch", epoch);
    }
    mg_end(&m->b, q);
    *ret_u = MG_DOC(&m->b, "u");
}

static void end_shard_update(struct mg_batch *m, size_t one, size_t u)
{
    mg_end(&m->b, u);
    mg_end(&m->b, one);
}

// Before the records are stored: readers look that far back.
int mg_put_longest(struct mg_store *s, const struct store_write *w, struct error *err)
{
    struct mg_batch *m = &s->writer->updates;
    m->collection = "shards";
    for (size_t i = 0; i < w->n_records; i++) {
        const struct record *r = w->records[i].record;
        struct mg_shard *own = mg_shard(s->writer, r->shard);
        if (r->kind == RECORD_USAGE &&
            r->usage.ts - usage_start(&r->usage) > own->bounds.longest_usage_ns) {
            own->bounds.longest_usage_ns = r->usage.ts - usage_start(&r->usage);
            own->grown = true;
        }
    }
    for (uint32_t i = 0; i < s->writer->shards_end; i++) {
        struct mg_shard *own = s->writer->shards[i];
        if (own && own->touched && own->grown) {
            size_t one, u;
            begin_shard_update(m, i, 0, &one, &u);
            size_t max = MG_DOC(&m->b, "$max");
            MG_I64(&m->b, "longest_usage_ns", own->bounds.longest_usage_ns);
            mg_end(&m->b, max);
            end_shard_update(m, one, u);
        }
    }
    int r = mg_batch_flush(&s->conn, m, err); // one that failed is sent again: grown stays
    for (uint32_t i = 0; r == 0 && i < s->writer->shards_end; i++) {
        if (s->writer->shards[i]) {
            s->writer->shards[i]->grown = false;
        }
    }
    return r;
}

static void write_bounds(struct mg_buf *b, const struct mg_shard *own)
{
    const struct mg_bounds *news = &own->news, *old = &own->bounds;
    bool sample = news->first[RECORD_SAMPLE] < old->first[RECORD_SAMPLE];
    bool usage = news->first[RECORD_USAGE] < old->first[RECORD_USAGE];
    if (sample || usage) { // an empty $min is refused by servers before 5.0
        size_t min = MG_DOC(b, "$min");
        if (sample) {
            MG_I64(b, "first_sample_ns", news->first[RECORD_SAMPLE]);
        }
        if (usage) {
            MG_I64(b, "first_usage_ns", news->first[RECORD_USAGE]);
        }
        mg_end(b, min);
    }
    size_t max = MG_DOC(b, "$max");
    if (news->last[RECORD_SAMPLE] > old->last[RECORD_SAMPLE]) {
        MG_I64(b, "last_sample_ns", news->last[RECORD_SAMPLE]);
    }
    if (news->last[RECORD_USAGE] > old->last[RECORD_USAGE]) {
        MG_I64(b, "last_usage_ns", news->last[RECORD_USAGE]);
    }
    if (own->gpus_seq > own->gpus_stored) {
        MG_I64(b, "gpus_seq", own->gpus_seq);
    }
    MG_BOOL(b, "has_records", old->has_records || news->has_records);
    mg_end(b, max);
}

static void merge_bounds(struct mg_shard *own)
{
    struct mg_bounds *b = &own->bounds;
    own->gpus_stored = own->gpus_seq;
    b->has_records |= own->news.has_records;
    for (size_t k = 0; k < ARRAY_LEN(b->first); k++) {
        b->first[k] = MIN(b->first[k], own->news.first[k]);
        b->last[k] = MAX(b->last[k], own->news.last[k]);
    }
}

// ---- states --------------------------------------------------------------------------------

static void write_unsettled(struct mg_buf *b, const struct store_write *w, uint32_t shard)
{
    size_t list = MG_ARRAY(b, "unsettled"), n = 0;
    for (size_t i = 0; i < w->n_unsettled; i++) {
        const struct unsettled_range *u = &w->unsettled[i];
        if (u->shard == shard) {
            mg_index(b, '\x03', n++);
            size_t one = mg_begin(b);
            MG_I64(b, "from_ns", u->from);
            MG_I64(b, "to_ns", u->to);
            mg_end(b, one);
        }
    }
    mg_end(b, list);
}

static void write_gaps(struct mg_buf *b, const struct shard_gaps *g, const char *name)
{
    if (g->n == 0) {
        return;
    }
    mg_key(b, '\x04', str_of(name));
    size_t list = mg_begin(b);
    for (size_t i = 0; i < g->n; i++) {
        mg_index(b, '\x03', i);
        size_t one = mg_begin(b);
        MG_I64(b, "from", g->v[i].from);
        MG_I64(b, "to", g->v[i].to);
        mg_end(b, one);
    }
    mg_end(b, list);
}

static void write_state(struct mg_buf *b, const struct store_write *w,
                        const struct shard_state *state)
{
    size_t set = MG_DOC(b, "$set"), at = MG_DOC(b, "state");
    if (state->frontier != INT64_MIN) {
        MG_DATE(b, "frontier", state->frontier);
        MG_I64(b, "frontier_ns", state->frontier);
    }
    if (state->newest != INT64_MIN) {
        MG_I64(b, "newest_ns", state->newest);
    }
    if (state->oldest_pending != INT64_MAX) {
        MG_I64(b, "oldest_pending_ns", state->oldest_pending);
    }
    MG_I64(b, "samples_seen", state->samples_seen);
    MG_I64(b, "usage_seen", state->usage_seen);
    write_gaps(b, &state->gaps[RECORD_SAMPLE], "samples_gaps");
    write_gaps(b, &state->gaps[RECORD_USAGE], "usage_gaps");
    write_unsettled(b, w, state->shard);
    mg_end(b, at);
    mg_end(b, set);
}

// The last one of several for one shard; NULL: the write has none.
static const struct shard_state *state_of(const struct store_write *w, uint32_t shard)
{
    for (size_t i = w->n_shards; i > 0; i--) {
        if (w->shards[i - 1].shard == shard) {
            return &w->shards[i - 1];
        }
    }
    return NULL;
}

static void write_shard(struct mg_batch *m, const struct store_write *w, struct mg_shard *own)
{
    size_t one, u;
    const struct shard_state *state = own->holding == MG_HELD ? state_of(w, own->shard) : NULL;
    begin_shard_update(m, own->shard, state ? own->epoch : 0, &one, &u);
    if (state) {
        write_state(&m->b, w, state);
    }
    write_bounds(&m->b, own);
    size_t inc = MG_DOC(&m->b, "$inc");
    MG_I64(&m->b, "version", 1);
    mg_end(&m->b, inc);
    end_shard_update(m, one, u);
}

static void tell_lost(struct mg_store *s, struct store_write *w)
{
    for (size_t i = 0; w->lost && i < w->n_shards; i++) {
        w->lost[i] = !mg_owns(s, w->shards[i].shard);
    }
}

static void accept_states(struct mg_store *s, const struct store_write *w)
{
    for (uint32_t i = 0; i < s->writer->shards_end; i++) {
        struct mg_shard *own = s->writer->shards[i];
        if (own && own->touched) {
            const struct shard_state *state = state_of(w, i);
            merge_bounds(own);
            if (state && own->holding == MG_HELD) {
                own->state = *state;
            }
        }
    }
}

// A statement that found no document has lost its shard, or the shard's document was removed.
static int send_states(struct mg_store *s, struct store_write *w, size_t sent, struct error *err)
{
    struct mg_batch *m = &s->writer->updates;
    struct mono now = clock_mono(&clock_system);
    m->matched = 0;
    int r = mg_batch_flush(&s->conn, m, err);
    if (r == 0 && m->matched < (int64_t)sent) {
        r = mg_find_lost(s, err);
    } else if (r == 0) {
        s->writer->checked = now;
    }
    if (r == 0) {
        accept_states(s, w);
        tell_lost(s, w);
    }
    return r;
}

int mg_put_states(struct mg_store *s, struct store_write *w, struct error *err)
{
    struct mg_batch *m = &s->writer->updates;
    size_t n = 0;
    m->collection = "shards";
    for (size_t i = 0; i < w->n_records; i++) {
        const struct store_record *sr = &w->records[i];
        if (sr->verdict == STORE_NEW || sr->verdict == STORE_DUPLICATE) {
            widen(&mg_shard(s->writer, sr->record->shard)->news, sr->record);
        }
    }
    for (uint32_t i = 0; i < s->writer->shards_end; i++) {
        struct mg_shard *own = s->writer->shards[i];
        if (own && own->touched) {
            write_shard(m, w, own);
            n++;
        }
    }
    return n > 0 ? send_states(s, w, n, err) : mg_bump_version(s, err);
}

// ---- positions -----------------------------------------------------------------------------

// Whether a later one of the same write takes its place.
static bool outdated(const struct store_write *w, size_t i)
{
    for (size_t k = i + 1; k < w->n_positions; k++) {
        if (str_eq(w->positions[k].input, w->positions[i].input)) {
            return true;
        }
    }
    return false;
}

static void write_position(struct mg_batch *m, const struct input_position *p)
{
    size_t one = mg_batch_add(m), q = MG_DOC(&m->b, "q");
    MG_STR(&m->b, "_id", p->input);
    mg_end(&m->b, q);
    size_t u = MG_DOC(&m->b, "u"), set = MG_DOC(&m->b, "$set");
    MG_I64(&m->b, "records", p->records);
    MG_I64(&m->b, "offset", p->offset);
    MG_I64(&m->b, "fingerprint", (int64_t)p->fingerprint);
    mg_end(&m->b, set);
    mg_end(&m->b, u);
    MG_BOOL(&m->b, "upsert", true);
    mg_end(&m->b, one);
}

int mg_put_positions(struct mg_store *s, const struct store_write *w, struct error *err)
{
    struct mg_batch *m = &s->writer->updates;
    m->collection = "inputs";
    for (size_t i = 0; i < w->n_positions; i++) {
        if (!outdated(w, i)) {
            write_position(m, &w->positions[i]);
        }
    }
    return mg_batch_flush(&s->conn, m, err);
}

int mg_position(struct store *base, struct str input, struct input_position *ret, struct error *err)
{
    struct mg_store *s = mg_of(base);
    struct mg_query q = {0};
    bson_t doc;
    int64_t fingerprint = 0;
    size_t f = mg_begin(&q.filter);
    MG_STR(&q.filter, "_id", input);
    mg_end(&q.filter, f);
    int r = mg_find_one(&s->conn, "inputs", &q, &doc, err);
    mg_query_done(&q);
    if (r <= 0) {
        return r < 0 ? r
                     : error_set(err, -ENOENT, "%s: nothing was ever read from this input",
                                 s->conn.name);
    }
    *ret = (struct input_position){.input = input, .offset = -1};
    (void)mg_find_int(&doc, "records", &ret->records);
    (void)mg_find_int(&doc, "offset", &ret->offset);
    (void)mg_find_int(&doc, "fingerprint", &fingerprint);
    ret->fingerprint = (uint64_t)fingerprint;
    bson_destroy(&doc);
    return 0;
}

// ---- reading states ------------------------------------------------------------------------

// Calls f for each shard's document, ascending; a shard < 0 is all.
static int each_shard(struct mg_store *s, int64_t shard, struct arena *a,
                      void (*f)(void *ctx, const struct mg_shard_doc *d), void *ctx,
                      struct error *err)
{
    struct mg_query q = {0};
    mongoc_cursor_t *cursor = NULL;
    const bson_t *doc;
    size_t at = mg_begin(&q.filter);
    if (shard >= 0) {
        MG_I32(&q.filter, "_id", (int32_t)shard);
    }
    mg_end(&q.filter, at);
    size_t o = mg_begin(&q.opts), sort = MG_DOC(&q.opts, "sort");
    MG_I32(&q.opts, "_id", 1);
    mg_end(&q.opts, sort);
    mg_end(&q.opts, o);
    int r = mg_find(&s->conn, "shards", &q, &cursor, err);
    while (r >= 0 && (r = mg_next(&s->conn, cursor, &doc, err)) > 0) {
        struct mg_shard_doc d;
        uint32_t id;
        if (mg_parse_shard(doc, a, &id, &d) < 0) {
            r = mg_fail_corrupt(&s->conn, "shards", err);
            break;
        }
        f(ctx, &d);
    }
    mongoc_cursor_destroy(cursor);
    mg_query_done(&q);
    return r;
}

static void take_state(void *ctx, const struct mg_shard_doc *d)
{
    *(struct shard_state *)ctx = d->state;
}

int mg_shard_state(struct store *base, uint32_t shard, struct shard_state *ret, struct error *err)
{
    struct arena a = {0};
    struct shard_state state = store_no_state(shard);
    int r = each_shard(mg_of(base), shard, &a, take_state, &state, err);
    arena_done(&a);
    if (r == 0) {
        *ret = state;
    }
    return r;
}

struct ranges {
    struct unsettled_range *v;
    size_t n, cap;
};

static void take_ranges(void *ctx, const struct mg_shard_doc *d)
{
    struct ranges *ranges = ctx;
    for (size_t i = 0; i < d->n_ranges; i++) {
        ARRAY_RESERVE(ranges->v, ranges->n, ranges->cap);
        ranges->v[ranges->n++] = d->ranges[i];
    }
}

static bool range_before(const struct unsettled_range *a, const struct unsettled_range *b)
{
    if (a->shard != b->shard) {
        return a->shard < b->shard;
    }
    return a->from != b->from ? a->from < b->from : a->to < b->to;
}
DEFINE_SORT(sort_ranges, struct unsettled_range, range_before);

int mg_unsettled(struct store *base, struct arena *a, struct unsettled_range **ret, size_t *ret_n,
                 struct error *err)
{
    struct ranges ranges = {0};
    int r = each_shard(mg_of(base), -1, a, take_ranges, &ranges, err);
    if (r == 0) {
        struct unsettled_range *v = arena_alloc(a, 2 * ranges.n * sizeof(*v)); // half to sort with
        if (ranges.n > 0) {
            memcpy(v, ranges.v, ranges.n * sizeof(*v));
        }
        sort_ranges(v, ranges.n, v + ranges.n);
        *ret = v;
        *ret_n = ranges.n;
    }
    free(ranges.v);
    return r;
}

// ---- the summary ---------------------------------------------------------------------------

static int count(struct mg_store *s, const char *collection, int64_t *ret, struct error *err)
{
    struct mg_buf b = {0};
    bson_t reply;
    size_t at = mg_begin(&b);
    MG_STR(&b, "count", str_of(collection));
    mg_end(&b, at);
    int r = mg_run(&s->conn, MG_OUTSIDE, &b, at, &reply, err);
    *ret = mg_reply_int(&reply, "n");
    bson_destroy(&reply);
    mg_buf_done(&b);
    return r;
}

static void add_shard(void *ctx, const struct mg_shard_doc *d)
{
    struct store_info *i = ctx;
    const struct mg_bounds *b = &d->bounds;
    i->raw_from = MAX(i->raw_from, b->raw_from);
    i->windows_from = MAX(i->windows_from, b->windows_from);
    i->longest_usage_ns = MAX(i->longest_usage_ns, b->longest_usage_ns);
    i->data_version += (uint64_t)d->version;
    for (size_t k = 0; k < ARRAY_LEN(b->first); k++) {
        i->first = MIN(i->first, b->first[k]);
        i->last = MAX(i->last, b->last[k]);
    }
    if (b->has_records) {
        i->final_until = MIN(i->final_until, d->state.frontier);
    }
}

static int meta_version(struct mg_store *s, uint64_t *ret, struct error *err)
{
    const struct mg_query any = {0};
    bson_t doc;
    int64_t version = 0;
    int r = mg_find_one(&s->conn, "meta", &any, &doc, err);
    if (r > 0) {
        (void)mg_find_int(&doc, "version", &version);
        bson_destroy(&doc);
    }
    *ret = (uint64_t)version;
    return MIN(r, 0);
}

static int summarise(struct mg_store *s, struct store_info *ret, struct error *err)
{
    struct arena a = {0};
    struct store_info i = {
        .schema_version = MG_SCHEMA,
        .migrated_from = -1,
        .raw_from = INT64_MIN,
        .windows_from = INT64_MIN,
        .first = INT64_MAX,
        .last = INT64_MIN,
        .final_until = INT64_MAX,
    };
    int r = mg_load_shards(s, err);
    r = r < 0 ? r : meta_version(s, &i.data_version, err);
    r = r < 0 ? r : each_shard(s, -1, &a, add_shard, &i, err);
    r = r < 0 ? r : count(s, mg_record_collection[RECORD_SAMPLE], &i.samples, err);
    r = r < 0 ? r : count(s, mg_record_collection[RECORD_USAGE], &i.usages, err);
    r = r < 0 ? r : count(s, "dead_letters", &i.dead_letters, err);
    arena_done(&a);
    i.n_shards = s->n_shards;
    i.final_until = i.final_until == INT64_MAX ? INT64_MIN : i.final_until;
    if (r == 0) {
        *ret = i;
    }
    return r;
}

int mg_info(struct store *base, struct store_info *ret, struct error *err)
{
    struct mg_store *s = mg_of(base);
    if (s->holding) {
        *ret = s->held;
        return 0;
    }
    return summarise(s, ret, err);
}

// Where the server has no snapshots (one that stands alone, or before 5.0) what several calls say
// may be of different times.
int mg_hold(struct store *base, struct error *err)
{
    struct mg_store *s = mg_of(base);
    int r = mg_begin_snapshot(&s->conn, err);
    r = r < 0 ? r : summarise(s, &s->held, err);
    if (r == -EOPNOTSUPP) {
        mg_end_snapshot(&s->conn);
        r = summarise(s, &s->held, err);
    }
    if (r < 0) {
        mg_end_snapshot(&s->conn);
    }
    s->holding = r == 0;
    return r;
}

void mg_release(struct store *base)
{
    struct mg_store *s = mg_of(base);
    s->holding = false;
    mg_end_snapshot(&s->conn);
}
