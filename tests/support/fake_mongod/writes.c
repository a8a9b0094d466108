// insert, update, delete and findAndModify.
#include <stdio.h>

#include "base/alloc.h"
#include "filter.h"
#include "server.h"

// ---- errors --------------------------------------------------------------------------------

// What a real server says of an _id, or of another index, that is taken.
static void duplicate_error(struct outcome *out, size_t i, const struct coll *c, const char *key,
                            struct value v)
{
    char index[24];
    struct buf *to = &out->errors;
    snprintf(index, sizeof(index), "%zu", out->n_errors++);
    size_t mark = put_open(to, BSON_DOC, index);
    put_i32(to, "index", (int32_t)i);
    put_i32(to, "code", 11000);
    char *text AUTO_FREE =
        x_asprintf("E11000 duplicate key error collection: %.200s index: %s_", c->ns, key);
    put_str(to, "errmsg", str_of(text));
    size_t pattern = put_open(to, BSON_DOC, "keyPattern");
    put_i32(to, key, 1);
    put_close(to, pattern);
    size_t value = put_open(to, BSON_DOC, "keyValue");
    put_value(to, str_of(key), v);
    put_close(to, value);
    put_close(to, mark);
}

static void refuse_document(struct server *s, struct outcome *out, size_t i, int code,
                            const struct coll *c)
{
    static const struct value null = {.type = BSON_NULL};
    s->count.refused++;
    if (code == 11000) {
        duplicate_error(out, i, c, "other", null);
    } else {
        outcome_error(out, i, code, code == 121 ? "Document failed validation" : "refused");
    }
}

static bool is_ordered(const struct request *r)
{
    struct value v = doc_get(r->body, "ordered");
    return v.type == BSON_NONE || value_true(v);
}

// ---- insert --------------------------------------------------------------------------------

static struct value first_id(struct doc d)
{
    struct walk w = walk_doc(d);
    if (walk_next(&w) && str_eq(w.key, STR("_id"))) {
        return w.v;
    }
    return doc_get(d, "_id");
}

static void add_document(struct server *s, struct coll *c, struct outcome *out, size_t i,
                         struct value id, struct doc d)
{
    switch (coll_add(&s->docs, c, id, d)) {
    case ADDED:
        s->count.inserted++;
        out->n++;
        break;
    case ADDED_NOT_DUPLICATE:
        s->count.duplicates++;
        duplicate_error(out, i, c, "_id", id);
        break;
    case ADDED_NOT_FULL:
        outcome_error(out, i, 14031, "the memory for documents is full");
        break;
    }
}

static void insert_one(struct server *s, struct coll *c, struct outcome *out, size_t i,
                       struct doc d)
{
    struct value id = first_id(d);
    int code = out->refusing ? faults_refuse(&s->faults, d, i) : 0;
    if (code != 0) {
        refuse_document(s, out, i, code, c);
    } else if (d.n > DOC_MAX) {
        outcome_error(out, i, 10334, "the document is over 16 MB");
    } else if (c->memory == MEMORY_KEEP && !doc_sound(d)) {
        outcome_error(out, i, 2, "the document is no BSON");
    } else if (out->rolled_back) {
        out->n++;
    } else if (id.type != BSON_NONE) {
        add_document(s, c, out, i, id, d);
    } else {
        buf_clear(&s->scratch);
        update_with_id(&s->scratch, d);
        struct doc whole = doc_of(&s->scratch, 0);
        add_document(s, c, out, i, first_id(whole), whole);
    }
}

void write_insert(struct server *s, const struct request *r, struct outcome *out)
{
    struct coll *c = docs_coll(&s->docs, server_ns(s, r));
    struct batch b = request_batch(r, "documents");
    bool ordered = is_ordered(r);
    struct doc d;
    size_t i = 0;
    for (; batch_next(&b, &d) && !(ordered && out->n_errors > 0); i++) {
        insert_one(s, c, out, i, d);
    }
    if (b.broken) {
        outcome_error(out, i, 2, "what follows is no BSON");
    }
}

// ---- update --------------------------------------------------------------------------------

struct change {
    struct doc query, with;
    bool upsert, multi;
};

static void put_upserted(struct outcome *out, size_t i, struct value id)
{
    char key[24];
    snprintf(key, sizeof(key), "%zu", out->n_upserted++);
    size_t mark = put_open(&out->upserted, BSON_DOC, key);
    put_i32(&out->upserted, "index", (int32_t)i);
    put_value(&out->upserted, STR("_id"), id);
    put_close(&out->upserted, mark);
}

// The document that an upsert adds, in s->scratch until that is used again.
static struct doc make_upsert(struct server *s, const struct change *u, struct refusal *why)
{
    struct buf seed, made;
    buf_init(&seed, 2 * DOC_MAX);
    buf_init(&made, 2 * DOC_MAX);
    update_seed(&seed, u->query, update_replaces(u->with));
    bool good = update_apply(&made, doc_of(&seed, 0), u->with, true, why);
    buf_clear(&s->scratch);
    if (good) {
        update_with_id(&s->scratch, doc_of(&made, 0));
    }
    buf_done(&seed);
    buf_done(&made);
    return good ? doc_of(&s->scratch, 0) : (struct doc){0};
}

static void upsert(struct server *s, struct coll *c, struct outcome *out, size_t i,
                   const struct change *u)
{
    struct refusal why;
    struct doc d = make_upsert(s, u, &why);
    if (!d.p) {
        outcome_error(out, i, why.code, why.why);
        return;
    }
    size_t errors = out->n_errors;
    uint64_t inserted = s->count.inserted;
    struct value id = first_id(d);
    add_document(s, c, out, i, id, d);
    s->count.inserted = inserted;
    if (out->n_errors == errors) {
        s->count.upserted++;
        put_upserted(out, i, id);
    }
}

// False: it was refused.
static bool change_kept(struct server *s, struct coll *c, struct kept *k, struct doc with,
                        bool *ret_modified, struct refusal *why)
{
    struct doc old = kept_doc(k);
    buf_clear(&s->scratch);
    if (!update_apply(&s->scratch, old, with, false, why)) {
        return false;
    }
    struct doc new = doc_of(&s->scratch, 0);
    *ret_modified = new.n != old.n || memcmp(new.p, old.p, old.n) != 0;
    if (*ret_modified) {
        coll_replace(&s->docs, c, k, new);
    }
    return true;
}

static void change_all(struct server *s, struct coll *c, struct outcome *out, size_t i,
                       const struct change *u, const struct list *l)
{
    size_t n = u->multi ? l->n : MIN(l->n, (size_t)1);
    for (size_t j = 0; j < n; j++) {
        struct refusal why;
        bool modified = false;
        struct kept *k = coll_get(c, first_id(l->v[j]));
        if (!change_kept(s, c, k, u->with, &modified, &why)) {
            outcome_error(out, i, why.code, why.why);
            return;
        }
        out->n++;
        out->modified += modified;
        s->count.matched++;
        s->count.modified += modified;
    }
}

static void update_kept(struct server *s, struct coll *c, struct outcome *out, size_t i,
                        const struct change *u)
{
    struct list l = {0};
    const char *what = NULL;
    if (!list_matches(c, u->query, &l, &what)) {
        outcome_error(out, i, 2, what);
    } else if (l.n > 0) {
        change_all(s, c, out, i, u, &l);
    } else if (u->upsert) {
        upsert(s, c, out, i, u);
    }
    free(l.v);
}

// Where documents are not kept, only an _id finds anything, and nothing contradicts.
static void update_unkept(struct server *s, struct coll *c, struct outcome *out, size_t i,
                          const struct change *u)
{
    struct value id = doc_get(u->query, "_id");
    bool there = c->memory == MEMORY_FORGET || (id.type && coll_has(c, id));
    if (there) {
        out->n++;
        out->modified++;
        s->count.matched++;
        s->count.modified++;
    } else if (u->upsert) {
        upsert(s, c, out, i, u);
    }
}

static void update_one(struct server *s, struct coll *c, struct outcome *out, size_t i,
                       struct doc statement)
{
    struct change u = {
        .query = value_doc(doc_get(statement, "q")),
        .upsert = value_true(doc_get(statement, "upsert")),
        .multi = value_true(doc_get(statement, "multi")),
    };
    struct value with = doc_get(statement, "u");
    u.with = with.type == BSON_DOC ? value_doc(with) : (struct doc){0};
    int code = out->refusing ? faults_refuse(&s->faults, u.with, i) : 0;
    if (code != 0) {
        refuse_document(s, out, i, code, c);
    } else if (!u.query.p || !u.with.p || !doc_sound(statement)) {
        outcome_error(out, i, 9, "an update needs q and u, and u must be a document");
    } else if (u.multi && update_replaces(u.with)) {
        outcome_error(out, i, 9, "multi update is not supported for replacement-style update");
    } else if (out->rolled_back) {
        out->n++;
        out->modified++;
    } else if (c->memory == MEMORY_KEEP) {
        update_kept(s, c, out, i, &u);
    } else {
        update_unkept(s, c, out, i, &u);
    }
}

void write_update(struct server *s, const struct request *r, struct outcome *out)
{
    struct coll *c = docs_coll(&s->docs, server_ns(s, r));
    struct batch b = request_batch(r, "updates");
    bool ordered = is_ordered(r);
    struct doc d;
    size_t i = 0;
    for (; batch_next(&b, &d) && !(ordered && out->n_errors > 0); i++) {
        update_one(s, c, out, i, d);
    }
    if (b.broken) {
        outcome_error(out, i, 2, "what follows is no BSON");
    }
}

// ---- delete --------------------------------------------------------------------------------

static void remove_all(struct server *s, struct coll *c, struct outcome *out, const struct list *l,
                       size_t limit)
{
    size_t n = limit ? MIN(l->n, limit) : l->n;
    for (size_t j = 0; j < n; j++) {
        bool gone = coll_remove(&s->docs, c, first_id(l->v[j]));
        out->n += gone;
        s->count.deleted += gone;
    }
}

static void delete_one(struct server *s, struct coll *c, struct outcome *out, size_t i,
                       struct doc statement)
{
    int64_t limit = 0;
    struct list l = {0};
    const char *what = NULL;
    struct doc query = value_doc(doc_get(statement, "q"));
    bool limited = value_i64(doc_get(statement, "limit"), &limit) && limit >= 0;
    if (!query.p || !limited || !doc_sound(statement)) {
        outcome_error(out, i, 9, "a delete needs q and limit");
    } else if (out->rolled_back) {
        out->n++;
    } else if (c->memory != MEMORY_KEEP) {
        bool gone = coll_remove(&s->docs, c, doc_get(query, "_id"));
        out->n += gone;
        s->count.deleted += gone;
    } else if (!list_matches(c, query, &l, &what)) {
        outcome_error(out, i, 2, what);
    } else {
        remove_all(s, c, out, &l, (size_t)limit);
    }
    free(l.v);
}

void write_delete(struct server *s, const struct request *r, struct outcome *out)
{
    struct coll *c = docs_coll(&s->docs, server_ns(s, r));
    struct batch b = request_batch(r, "deletes");
    bool ordered = is_ordered(r);
    struct doc d;
    for (size_t i = 0; batch_next(&b, &d) && !(ordered && out->n_errors > 0); i++) {
        delete_one(s, c, out, i, d);
    }
}

// ---- findAndModify -------------------------------------------------------------------------

static void put_found(struct buf *to, bool existing, int32_t n, struct doc value)
{
    size_t mark = put_open(to, BSON_DOC, "lastErrorObject");
    put_i32(to, "n", n);
    put_bool(to, "updatedExisting", existing);
    put_close(to, mark);
    if (value.p) {
        put_doc(to, "value", value);
    } else {
        put_raw(to, STR("value"), BSON_NULL, NULL, 0);
    }
    reply_ok(to);
}

static void modify_found(struct server *s, struct coll *c, struct kept *k, const struct request *r,
                         struct doc with, struct buf *to)
{
    struct refusal why;
    bool modified = false, wants_new = value_true(doc_get(r->body, "new"));
    AUTO_FREE uint8_t *old = x_alloc(k->n);
    struct doc before = {old, k->n};
    memcpy(old, k->bytes, k->n);
    if (!change_kept(s, c, k, with, &modified, &why)) {
        reply_error(to, why.code, why.why);
        return;
    }
    s->count.matched++;
    s->count.modified += modified;
    put_found(to, true, 1, wants_new ? kept_doc(k) : before);
}

static void remove_found(struct server *s, struct coll *c, struct kept *k, struct buf *to)
{
    put_found(to, false, 1, kept_doc(k));
    s->count.deleted += coll_remove(&s->docs, c, first_id(kept_doc(k)));
}

static void upsert_found(struct server *s, struct coll *c, const struct request *r,
                         const struct change *u, struct buf *to)
{
    struct refusal why;
    struct doc d = make_upsert(s, u, &why);
    enum added added = d.p ? coll_add(&s->docs, c, first_id(d), d) : ADDED_NOT_FULL;
    s->count.upserted += added == ADDED;
    if (!d.p) {
        reply_error(to, why.code, why.why);
    } else if (added == ADDED) {
        put_found(to, false, 1, value_true(doc_get(r->body, "new")) ? d : (struct doc){0});
    } else {
        s->count.duplicates += added == ADDED_NOT_DUPLICATE;
        reply_error(to, added == ADDED_NOT_DUPLICATE ? 11000 : 14031, "the upsert found no room");
    }
}

static bool pick_one(const struct coll *c, const struct request *r, struct doc query,
                     struct kept **ret, const char **ret_what)
{
    struct list l = {0};
    bool good = list_matches(c, query, &l, ret_what);
    struct doc order = value_doc(doc_get(r->body, "sort"));
    if (good && order.p) {
        docs_sort(l.v, l.n, order);
    }
    *ret = good && l.n > 0 ? coll_get(c, first_id(l.v[0])) : NULL;
    free(l.v);
    return good;
}

void run_find_and_modify(struct server *s, const struct request *r, struct buf *to)
{
    static const uint8_t empty[5] = {5};
    struct coll *c = docs_coll(&s->docs, server_ns(s, r));
    struct value with = doc_get(r->body, "update");
    struct change u = {.query = value_doc(doc_get(r->body, "query")),
                       .with = with.type == BSON_DOC ? value_doc(with) : (struct doc){0},
                       .upsert = value_true(doc_get(r->body, "upsert"))};
    u.query = u.query.p ? u.query : (struct doc){empty, 5};
    bool removes = value_true(doc_get(r->body, "remove"));
    struct kept *k = NULL;
    const char *what = NULL;
    if (c->memory != MEMORY_KEEP || (!removes && !u.with.p)) {
        reply_error(to, 9, "findAndModify needs documents that are kept, and update or remove");
    } else if (!pick_one(c, r, u.query, &k, &what)) {
        reply_error(to, 2, what);
    } else if (k && removes) {
        remove_found(s, c, k, to);
    } else if (k) {
        modify_found(s, c, k, r, u.with, to);
    } else if (u.upsert && !removes) {
        upsert_found(s, c, r, &u, to);
    } else {
        put_found(to, false, 0, (struct doc){0});
    }
}
