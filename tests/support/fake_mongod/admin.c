// Commands about the server itself, its collections and their indexes.
#include "server.h"

#include <stdio.h>
#include <time.h>

#include "base/alloc.h"

enum { WIRE_VERSION = 21 }; // MongoDB 7.0

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// ---- about the server ----------------------------------------------------------------------

static void reply_set(const struct server *s, struct buf *to)
{
    put_str(to, "setName", str_of(s->set_name));
    put_i32(to, "setVersion", 1);
    put_bool(to, "secondary", !s->primary);
    size_t hosts = put_open(to, BSON_ARRAY, "hosts");
    put_str(to, "0", str_of(s->address));
    put_close(to, hosts);
    put_str(to, "me", str_of(s->address));
    if (s->primary) {
        put_str(to, "primary", str_of(s->address));
    }
}

void run_hello(struct server *s, const struct request *r, struct buf *to)
{
    bool writable = s->primary || !s->set_name;
    put_bool(to, "helloOk", true);
    put_bool(to, "isWritablePrimary", writable);
    put_bool(to, r->legacy ? "ismaster" : "isMaster", writable);
    if (s->set_name) {
        reply_set(s, to);
        put_i32(to, "logicalSessionTimeoutMinutes", 30);
    }
    put_i32(to, "maxBsonObjectSize", DOC_MAX);
    put_i32(to, "maxMessageSizeBytes", MESSAGE_MAX);
    put_i32(to, "maxWriteBatchSize", 100000);
    put_date(to, "localTime", now_ms());
    put_i32(to, "minWireVersion", 0);
    put_i32(to, "maxWireVersion", WIRE_VERSION);
    put_bool(to, "readOnly", false);
    reply_ok(to);
}

void run_nothing(struct server *s, const struct request *r, struct buf *to)
{
    (void)s;
    (void)r;
    reply_ok(to);
}

void run_build_info(struct server *s, const struct request *r, struct buf *to)
{
    (void)s;
    (void)r;
    put_str(to, "version", STR("7.0.0"));
    put_str(to, "gitVersion", STR("fake_mongod"));
    size_t versions = put_open(to, BSON_ARRAY, "versionArray");
    static const int32_t parts[] = {7, 0, 0, 0};
    static const char *const keys[] = {"0", "1", "2", "3"};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        put_i32(to, keys[i], parts[i]);
    }
    put_close(to, versions);
    put_i32(to, "maxBsonObjectSize", DOC_MAX);
    reply_ok(to);
}

// ---- collections and indexes ---------------------------------------------------------------

void run_drop(struct server *s, const struct request *r, struct buf *to)
{
    struct coll *c = docs_find(&s->docs, server_ns(s, r));
    if (!c) {
        reply_error(to, 26, "ns not found");
        return;
    }
    docs_drop(&s->docs, c);
    reply_ok(to);
}

static struct str db_of(const struct coll *c)
{
    struct str db, rest = str_of(c->ns);
    str_split(&rest, '.', &db);
    return db;
}

void run_drop_database(struct server *s, const struct request *r, struct buf *to)
{
    struct coll *next = s->docs.colls;
    while (next) {
        struct coll *c = next;
        next = c->next;
        if (str_eq(db_of(c), r->db)) {
            docs_drop(&s->docs, c);
        }
    }
    put_str(to, "dropped", r->db);
    reply_ok(to);
}

void run_create(struct server *s, const struct request *r, struct buf *to)
{
    docs_coll(&s->docs, server_ns(s, r));
    reply_ok(to);
}

static int32_t count_indexes(const struct coll *c)
{
    int32_t n = 1; // that of _id
    for (const struct index *i = c->indexes; i; i = i->next) {
        n++;
    }
    return n;
}

void run_create_indexes(struct server *s, const struct request *r, struct buf *to)
{
    struct coll *c = docs_coll(&s->docs, server_ns(s, r));
    int32_t before = count_indexes(c);
    struct batch b = request_batch(r, "indexes");
    struct doc spec;
    while (batch_next(&b, &spec)) {
        struct str name = value_str(doc_get(spec, "name"));
        if (!str_present(name) || !value_doc(doc_get(spec, "key")).p) {
            reply_error(to, 9, "an index needs a name and a key");
            return;
        }
        coll_add_index(c, name, spec);
    }
    put_i32(to, "numIndexesBefore", before);
    put_i32(to, "numIndexesAfter", count_indexes(c));
    put_bool(to, "createdCollectionAutomatically", false);
    reply_ok(to);
}

static void put_id_index(struct buf *to)
{
    size_t spec = put_begin(to);
    put_i32(to, "v", 2);
    size_t key = put_open(to, BSON_DOC, "key");
    put_i32(to, "_id", 1);
    put_close(to, key);
    put_str(to, "name", STR("_id_"));
    put_close(to, spec);
}

void run_list_indexes(struct server *s, const struct request *r, struct buf *to)
{
    const struct coll *c = docs_find(&s->docs, server_ns(s, r));
    if (!c) {
        reply_error(to, 26, "ns does not exist");
        return;
    }
    struct list l = {0};
    buf_clear(&s->scratch);
    put_id_index(&s->scratch);
    ARRAY_RESERVE(l.v, l.n, l.cap);
    l.v[l.n++] = doc_of(&s->scratch, 0);
    for (const struct index *i = c->indexes; i; i = i->next) {
        ARRAY_RESERVE(l.v, l.n, l.cap);
        l.v[l.n++] = doc_at(i->spec, read_u32(i->spec));
    }
    reply_cursor(s, r, &l, (int64_t)l.n, true, to);
    reply_ok(to);
    free(l.v);
}

void run_list_collections(struct server *s, const struct request *r, struct buf *to)
{
    struct list l = {0};
    buf_clear(&s->scratch);
    for (const struct coll *c = s->docs.colls; c; c = c->next) {
        struct str db, name = str_of(c->ns);
        str_split(&name, '.', &db);
        if (str_eq(db, r->db)) {
            size_t mark = put_begin(&s->scratch);
            put_str(&s->scratch, "name", name);
            put_str(&s->scratch, "type", STR("collection"));
            put_close(&s->scratch, mark);
        }
    }
    const uint8_t *p = (const uint8_t *)s->scratch.p, *end = p + s->scratch.n;
    struct doc d;
    for (; (d = doc_at(p, (size_t)(end - p))).p; p += d.n) {
        ARRAY_RESERVE(l.v, l.n, l.cap);
        l.v[l.n++] = d;
    }
    reply_cursor(s, r, &l, (int64_t)l.n, true, to);
    reply_ok(to);
    free(l.v);
}

static bool is_first_of_db(const struct server *s, const struct coll *c)
{
    const struct coll *other = s->docs.colls;
    while (!str_eq(db_of(other), db_of(c))) {
        other = other->next;
    }
    return other == c;
}

void run_list_databases(struct server *s, const struct request *r, struct buf *to)
{
    (void)r;
    size_t n = 0, list = put_open(to, BSON_ARRAY, "databases");
    for (const struct coll *c = s->docs.colls; c; c = c->next) {
        if (is_first_of_db(s, c)) {
            char key[24];
            snprintf(key, sizeof(key), "%zu", n++);
            size_t mark = put_open(to, BSON_DOC, key);
            put_str(to, "name", db_of(c));
            put_close(to, mark);
        }
    }
    put_close(to, list);
    reply_ok(to);
}

// Nobody has to say who they are.
void run_connection_status(struct server *s, const struct request *r, struct buf *to)
{
    (void)s;
    (void)r;
    size_t info = put_open(to, BSON_DOC, "authInfo");
    put_close(to, put_open(to, BSON_ARRAY, "authenticatedUsers"));
    put_close(to, put_open(to, BSON_ARRAY, "authenticatedUserRoles"));
    put_close(to, info);
    reply_ok(to);
}
