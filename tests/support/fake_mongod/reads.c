// find, count, and the cursors that answers are read through.
#include "base/alloc.h"
#include "filter.h"
#include "server.h"

enum { FIRST_BATCH = 101, BATCH_BYTES = DOC_MAX };

// ---- lists ---------------------------------------------------------------------------------

static void list_add(struct list *l, struct doc d)
{
    ARRAY_RESERVE(l->v, l->n, l->cap);
    l->v[l->n++] = d;
}

static int cmp_place(const void *a, const void *b)
{
    const struct doc *x = a, *y = b;
    return (x->p > y->p) - (x->p < y->p);
}

// An $in may name an _id twice.
static void drop_repeated(struct list *l)
{
    size_t n = 0;
    if (l->n > 1) {
        qsort(l->v, l->n, sizeof(l->v[0]), cmp_place);
    }
    for (size_t i = 0; i < l->n; i++) {
        if (n == 0 || l->v[n - 1].p != l->v[i].p) {
            l->v[n++] = l->v[i];
        }
    }
    l->n = n;
}

static bool add_match(const struct kept *k, struct doc filter, struct list *to, const char **what)
{
    int r = k ? filter_match(filter, kept_doc(k), what) : 0;
    if (r > 0) {
        list_add(to, kept_doc(k));
    }
    return r >= 0;
}

// By the index on _id, where the filter allows it: 1, or -1 where it is not understood; 0: scan.
static int match_by_id(const struct coll *c, struct doc filter, struct list *to, const char **what)
{
    struct value id = doc_get(filter, "_id");
    struct walk w = walk_doc(id.type == BSON_DOC ? value_doc(id) : (struct doc){0});
    bool operators = walk_next(&w) && str_starts(w.key, STR("$"));
    if (id.type == BSON_NONE || (operators && !str_eq(w.key, STR("$in")))) {
        return 0;
    }
    bool good = true;
    if (!operators) {
        return id.type == BSON_DOUBLE || id.type == BSON_I32 || id.type == BSON_I64
                   ? 0 // 1 and 1.0 are equal
                   : (add_match(coll_get(c, id), filter, to, what) ? 1 : -1);
    }
    struct walk each = walk_doc(value_doc(w.v));
    while (good && walk_next(&each)) {
        if (value_class(each.v) == 2) {
            to->n = 0;
            return 0;
        }
        good = add_match(coll_get(c, each.v), filter, to, what);
    }
    drop_repeated(to);
    return good ? 1 : -1;
}

// By the order of _id, where the filter gives bounds: as match_by_id().
static int match_in_range(const struct coll *c, struct doc filter, struct list *to,
                          const char **what)
{
    struct value id = doc_get(filter, "_id"), low = {0}, high = {0};
    struct walk w = walk_doc(id.type == BSON_DOC ? value_doc(id) : (struct doc){0});
    while (walk_next(&w)) {
        bool from = str_eq(w.key, STR("$gt")) || str_eq(w.key, STR("$gte"));
        bool until = str_eq(w.key, STR("$lt")) || str_eq(w.key, STR("$lte"));
        low = from ? w.v : low;
        high = until ? w.v : high;
    }
    if (low.type == BSON_NONE) {
        return 0;
    }
    const struct order *order = coll_order(c, filter);
    struct kept *k = order_from(order, low);
    for (; k; k = order_next(order, k)) {
        if (high.type != BSON_NONE && value_cmp(doc_get(kept_doc(k), "_id"), high) > 0) {
            break;
        }
        if (!add_match(k, filter, to, what)) {
            return -1;
        }
    }
    return 1;
}

bool list_matches(const struct coll *c, struct doc filter, struct list *to, const char **ret_what)
{
    static const uint8_t empty[5] = {5};
    if (!c || c->memory != MEMORY_KEEP) {
        return filter_match(filter, (struct doc){empty, 5}, ret_what) >= 0;
    }
    int r = match_by_id(c, filter, to, ret_what);
    r = r ? r : match_in_range(c, filter, to, ret_what);
    bool good = r >= 0;
    for (const struct kept *k = r == 0 ? c->first : NULL; k && good; k = k->next) {
        good = add_match(k, filter, to, ret_what);
    }
    return good;
}

void list_cut(struct list *l, int64_t skip, int64_t limit)
{
    size_t gone = MIN(l->n, (size_t)MAX(skip, 0));
    ARRAY_DROP_FRONT(l->v, l->n, gone);
    if (limit != 0) {
        l->n = MIN(l->n, (size_t)(limit < 0 ? -limit : limit));
    }
}

// ---- cursors -------------------------------------------------------------------------------

static void cursor_free(struct cursor *c)
{
    buf_done(&c->docs);
    free(c->ns);
    free(c);
}

static struct cursor *take_cursor(struct server *s, int64_t id)
{
    struct cursor **at = &s->cursors;
    while (*at && (*at)->id != id) {
        at = &(*at)->next;
    }
    struct cursor *c = *at;
    if (c) {
        *at = c->next;
    }
    return c;
}

static void forget_oldest(struct server *s)
{
    size_t n = 0;
    for (struct cursor **at = &s->cursors; *at;) {
        if (++n <= CURSORS_MAX) {
            at = &(*at)->next;
        } else {
            struct cursor *gone = *at;
            *at = gone->next;
            cursor_free(gone);
        }
    }
}

static int64_t keep_rest(struct server *s, struct str ns, const struct doc *docs, size_t n)
{
    struct cursor *c = x_zalloc(sizeof(*c));
    buf_init(&c->docs, SIZE_MAX / 2); // no more than what is kept anyway
    for (size_t i = 0; i < n; i++) {
        buf_add(&c->docs, docs[i].p, docs[i].n);
    }
    c->id = ++s->last_cursor;
    c->ns = x_strndup(ns.p, ns.n);
    c->next = s->cursors;
    s->cursors = c;
    forget_oldest(s);
    return c->id;
}

static struct value doc_value(struct doc d)
{
    return (struct value){d.p, d.n, BSON_DOC};
}

void reply_cursor(struct server *s, const struct request *r, const struct list *l, int64_t batch,
                  bool single, struct buf *to)
{
    size_t cursor = put_open(to, BSON_DOC, "cursor");
    size_t first = put_open(to, BSON_ARRAY, "firstBatch"), n = 0, bytes = 0;
    for (; n < l->n && (int64_t)n < batch && bytes + l->v[n].n <= BATCH_BYTES; n++) {
        put_index(to, n, doc_value(l->v[n]));
        bytes += l->v[n].n;
    }
    put_close(to, first);
    s->count.largest_batch = MAX(s->count.largest_batch, n);
    struct str ns = server_ns(s, r);
    bool more = n < l->n && !single;
    put_i64(to, "id", more ? keep_rest(s, ns, l->v + n, l->n - n) : 0);
    put_str(to, "ns", ns);
    put_close(to, cursor);
}

// True: there is more.
static bool put_next_batch(struct server *s, struct cursor *c, int64_t batch, struct buf *to)
{
    size_t n = 0, bytes = 0;
    struct doc d = doc_of(&c->docs, c->at);
    for (; d.p && (int64_t)n < batch && bytes + d.n <= BATCH_BYTES; n++) {
        put_index(to, n, doc_value(d));
        bytes += d.n;
        c->at += d.n;
        d = doc_of(&c->docs, c->at);
    }
    s->count.largest_batch = MAX(s->count.largest_batch, n);
    return d.p != NULL;
}

static int64_t batch_size(struct doc of, int64_t otherwise)
{
    int64_t n = 0;
    return value_i64(doc_get(of, "batchSize"), &n) && n >= 0 ? n : otherwise;
}

void run_get_more(struct server *s, const struct request *r, struct buf *to)
{
    int64_t id = 0;
    bool named = value_i64(doc_get(r->body, "getMore"), &id);
    struct cursor *c = named ? take_cursor(s, id) : NULL;
    if (!c) {
        reply_error(to, 43, "cursor id not found");
        return;
    }
    size_t cursor = put_open(to, BSON_DOC, "cursor");
    size_t next = put_open(to, BSON_ARRAY, "nextBatch");
    bool more = put_next_batch(s, c, MAX(batch_size(r->body, INT64_MAX), 1), to);
    put_close(to, next);
    put_i64(to, "id", more ? c->id : 0);
    put_str(to, "ns", str_of(c->ns));
    put_close(to, cursor);
    reply_ok(to);
    if (more) {
        c->next = s->cursors;
        s->cursors = c;
    } else {
        cursor_free(c);
    }
}

void run_kill_cursors(struct server *s, const struct request *r, struct buf *to)
{
    struct walk w = walk_doc(value_doc(doc_get(r->body, "cursors")));
    struct buf killed;
    buf_init(&killed, MESSAGE_MAX);
    size_t n = 0;
    while (walk_next(&w)) {
        int64_t id = 0;
        struct cursor *c = value_i64(w.v, &id) ? take_cursor(s, id) : NULL;
        if (c) {
            put_index(&killed, n++, w.v);
            cursor_free(c);
        }
    }
    size_t mark = put_open(to, BSON_ARRAY, "cursorsKilled");
    buf_str(to, buf_view(&killed));
    put_close(to, mark);
    reply_ok(to);
    buf_done(&killed);
}

// ---- find, count ---------------------------------------------------------------------------

static int64_t number_or(struct doc of, const char *key, int64_t otherwise)
{
    int64_t n = 0;
    return value_i64(doc_get(of, key), &n) ? n : otherwise;
}

static bool find_list(struct server *s, const struct request *r, const char *filter_key,
                      struct list *ret, struct buf *to)
{
    static const uint8_t empty[5] = {5};
    struct doc filter = value_doc(doc_get(r->body, filter_key));
    filter = filter.p ? filter : (struct doc){empty, 5};
    const char *what = NULL;
    struct coll *c = docs_find(&s->docs, server_ns(s, r));
    if (!list_matches(c, filter, ret, &what)) {
        reply_error(to, 2, what);
        return false;
    }
    struct doc order = value_doc(doc_get(r->body, "sort"));
    if (order.p) {
        docs_sort(ret->v, ret->n, order);
    }
    list_cut(ret, number_or(r->body, "skip", 0), number_or(r->body, "limit", 0));
    return true;
}

void run_find(struct server *s, const struct request *r, struct buf *to)
{
    struct list l = {0};
    if (find_list(s, r, "filter", &l, to)) {
        bool single = value_true(doc_get(r->body, "singleBatch"));
        reply_cursor(s, r, &l, batch_size(r->body, FIRST_BATCH), single, to);
        reply_ok(to);
    }
    free(l.v);
}

void run_count(struct server *s, const struct request *r, struct buf *to)
{
    struct list l = {0};
    struct coll *c = docs_find(&s->docs, server_ns(s, r));
    struct walk query = walk_doc(value_doc(doc_get(r->body, "query")));
    if (!walk_next(&query)) {
        put_i64(to, "n", c ? (int64_t)c->count : 0); // known also where nothing is kept
        reply_ok(to);
    } else if (find_list(s, r, "query", &l, to)) {
        put_i64(to, "n", (int64_t)l.n);
        reply_ok(to);
    }
    free(l.v);
}
