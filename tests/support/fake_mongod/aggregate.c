// aggregate: $match $sort $skip $limit $count, and $group with $sum $min $max $first $last. What
// else a pipeline may have is refused, not passed over.
#include "base/alloc.h"
#include "filter.h"
#include "server.h"

struct pipe {
    struct list docs;
    struct buf made; // documents that a stage made, one after the other
    int code;        // 0, or why it cannot be done
    const char *what;
};

static void fail(struct pipe *p, int code, const char *what)
{
    p->code = code;
    p->what = what;
}

// The list becomes what was made.
static void take_made(struct pipe *p, struct buf *made)
{
    buf_done(&p->made);
    p->made = *made;
    p->docs.n = 0;
    struct doc d;
    for (size_t at = 0; (d = doc_of(&p->made, at)).p; at += d.n) {
        ARRAY_RESERVE(p->docs.v, p->docs.n, p->docs.cap);
        p->docs.v[p->docs.n++] = d;
    }
}

static void stage_match(struct pipe *p, struct value v)
{
    size_t n = 0;
    for (size_t i = 0; i < p->docs.n; i++) {
        int r = filter_match(value_doc(v), p->docs.v[i], &p->what);
        if (r < 0) {
            fail(p, 2, p->what);
            return;
        }
        p->docs.v[n] = p->docs.v[i];
        n += r > 0;
    }
    p->docs.n = n;
}

static void stage_sort(struct pipe *p, struct value v)
{
    docs_sort(p->docs.v, p->docs.n, value_doc(v));
}

static void stage_cut(struct pipe *p, struct value v, bool is_limit)
{
    int64_t n = 0;
    if (!value_i64(v, &n) || n < is_limit) {
        fail(p, 9, "$skip and $limit need a number");
        return;
    }
    list_cut(&p->docs, is_limit ? 0 : n, is_limit ? n : 0);
}

static void stage_skip(struct pipe *p, struct value v)
{
    stage_cut(p, v, false);
}

static void stage_limit(struct pipe *p, struct value v)
{
    stage_cut(p, v, true);
}

static void stage_count(struct pipe *p, struct value v)
{
    char *name AUTO_FREE = x_strndup(value_str(v).p ? value_str(v).p : "", value_str(v).n);
    struct buf made;
    buf_init(&made, DOC_MAX);
    if (p->docs.n > 0) {
        size_t mark = put_begin(&made);
        put_i64(&made, name, (int64_t)p->docs.n);
        put_close(&made, mark);
    }
    take_made(p, &made);
}

// ---- $group --------------------------------------------------------------------------------

// Appends the value of an expression: a constant, "$path", or a document of such; nothing where a
// path leads nowhere.
static void put_expression(struct buf *to, struct str key, struct value e, struct doc d)
{
    struct str text = value_str(e);
    if (str_starts(text, STR("$"))) {
        struct value v = path_get(d, (struct str){text.p + 1, text.n - 1});
        if (v.type != BSON_NONE) {
            put_value(to, key, v);
        }
        return;
    }
    if (e.type != BSON_DOC) {
        put_value(to, key, e);
        return;
    }
    put_raw(to, key, BSON_DOC, NULL, 0);
    size_t mark = put_begin(to);
    struct walk w = walk_doc(value_doc(e));
    while (walk_next(&w)) {
        put_expression(to, w.key, w.v, d);
    }
    put_close(to, mark);
}

struct grouped {
    struct doc d;
    size_t id; // where in ids: {_id: ...}
    size_t place;
};

static int cmp_grouped(const void *a, const void *b, void *ctx)
{
    const struct grouped *x = a, *y = b;
    const struct buf *ids = ctx;
    int c = value_cmp(doc_get(doc_of(ids, x->id), "_id"), doc_get(doc_of(ids, y->id), "_id"));
    return c ? c : (x->place > y->place) - (x->place < y->place);
}

static void put_sum(struct pipe *p, struct buf *to, struct str key, const struct grouped *g,
                    size_t n, struct value e)
{
    int64_t sum = 0, more = 0;
    bool narrow = true;
    for (size_t i = 0; i < n; i++) {
        struct str path = value_str(e);
        struct value v = str_present(path) && path.n > 0
                             ? path_get(g[i].d, (struct str){path.p + 1, path.n - 1})
                             : e;
        if (v.type == BSON_DOUBLE) {
            fail(p, 9, "this server does not $sum doubles");
            return;
        }
        narrow = narrow && v.type != BSON_I64;
        if (value_i64(v, &more) && __builtin_add_overflow(sum, more, &sum)) {
            fail(p, 2, "$sum overflows");
            return;
        }
    }
    int32_t small = (int32_t)sum;
    narrow = narrow && small == sum;
    put_raw(to, key, narrow ? BSON_I32 : BSON_I64, narrow ? (void *)&small : &sum, narrow ? 4 : 8);
}

static void put_pick(struct buf *to, struct str key, const struct grouped *g, size_t n,
                     struct str op, struct value e)
{
    struct str path = value_str(e);
    path = path.n > 0 ? (struct str){path.p + 1, path.n - 1} : path;
    struct value best = {0};
    for (size_t i = 0; i < n; i++) {
        struct value v = path_get(g[i].d, path);
        int c = value_cmp(v, best);
        bool better = i == 0 || str_eq(op, STR("$last")) || (str_eq(op, STR("$max")) && c > 0) ||
                      (str_eq(op, STR("$min")) && c < 0);
        best = better ? v : best;
    }
    put_value(to, key, best.type ? best : (struct value){.type = BSON_NULL});
}

static void put_accumulated(struct pipe *p, struct buf *to, const struct walk *field,
                            const struct grouped *g, size_t n)
{
    struct walk op = walk_doc(value_doc(field->v));
    bool has = walk_next(&op);
    if (has && str_eq(op.key, STR("$sum"))) {
        put_sum(p, to, field->key, g, n, op.v);
    } else if (has && value_str(op.v).p &&
               (str_eq(op.key, STR("$min")) || str_eq(op.key, STR("$max")) ||
                str_eq(op.key, STR("$first")) || str_eq(op.key, STR("$last")))) {
        put_pick(to, field->key, g, n, op.key, op.v);
    } else {
        fail(p, 15952, "an accumulator that this server does not know");
    }
}

static void put_group(struct pipe *p, struct buf *to, struct doc spec, const struct grouped *g,
                      size_t n, struct value id)
{
    size_t mark = put_begin(to);
    put_value(to, STR("_id"), id.type ? id : (struct value){.type = BSON_NULL});
    struct walk w = walk_doc(spec);
    while (walk_next(&w)) {
        if (!str_eq(w.key, STR("_id"))) {
            put_accumulated(p, to, &w, g, n);
        }
    }
    put_close(to, mark);
}

static void stage_group(struct pipe *p, struct value v)
{
    struct buf ids, made;
    struct doc spec = value_doc(v);
    AUTO_FREE struct grouped *g = x_array(p->docs.n, sizeof(*g));
    buf_init(&ids, SIZE_MAX / 2);
    buf_init(&made, SIZE_MAX / 2);
    for (size_t i = 0; i < p->docs.n; i++) {
        g[i] = (struct grouped){p->docs.v[i], put_begin(&ids), i};
        put_expression(&ids, STR("_id"), doc_get(spec, "_id"), p->docs.v[i]);
        put_close(&ids, g[i].id);
    }
    if (p->docs.n > 0) {
        qsort_r(g, p->docs.n, sizeof(*g), cmp_grouped, &ids);
    }
    for (size_t i = 0, j; i < p->docs.n; i = j) {
        struct value id = doc_get(doc_of(&ids, g[i].id), "_id");
        for (j = i + 1; j < p->docs.n; j++) {
            if (value_cmp(doc_get(doc_of(&ids, g[j].id), "_id"), id) != 0) {
                break;
            }
        }
        put_group(p, &made, spec, g + i, j - i, id);
    }
    take_made(p, &made);
    buf_done(&ids);
}

// ---- the pipeline --------------------------------------------------------------------------

static const struct {
    const char *name;
    void (*run)(struct pipe *p, struct value v);
} stages[] = {
    {"$match", stage_match}, {"$sort", stage_sort},   {"$skip", stage_skip},
    {"$limit", stage_limit}, {"$count", stage_count}, {"$group", stage_group},
};

static void run_stage(struct pipe *p, struct doc stage)
{
    struct walk w = walk_doc(stage);
    bool has = walk_next(&w);
    for (size_t i = 0; has && i < ARRAY_LEN(stages); i++) {
        if (str_eq(w.key, str_of(stages[i].name))) {
            stages[i].run(p, w.v);
            return;
        }
    }
    fail(p, 40324, "a pipeline stage that this server does not know");
}

void run_aggregate(struct server *s, const struct request *r, struct buf *to)
{
    static const uint8_t empty[5] = {5};
    struct pipe p = {0};
    const struct coll *c = docs_find(&s->docs, server_ns(s, r));
    buf_init(&p.made, DOC_MAX);
    if (!list_matches(c, (struct doc){empty, 5}, &p.docs, &p.what)) {
        fail(&p, 2, p.what);
    }
    struct walk w = walk_doc(value_doc(doc_get(r->body, "pipeline")));
    while (p.code == 0 && walk_next(&w)) {
        run_stage(&p, value_doc(w.v));
    }
    if (p.code != 0) {
        reply_error(to, p.code, p.what);
    } else {
        int64_t batch = 101;
        struct doc cursor = value_doc(doc_get(r->body, "cursor"));
        batch = value_i64(doc_get(cursor, "batchSize"), &batch) && batch >= 0 ? batch : 101;
        reply_cursor(s, r, &p.docs, batch, false, to);
        reply_ok(to);
    }
    buf_done(&p.made);
    free(p.docs.v);
}
