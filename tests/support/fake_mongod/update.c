#include "update.h"

#include <sys/random.h>

#include "base/time.h"
#include "filter.h"

enum { FIELDS_MAX = 64 };
enum { FAILED_TO_PARSE = 9, TYPE_MISMATCH = 14, PATH_NOT_VIABLE = 28, IMMUTABLE_FIELD = 66 };

enum change {
    CHANGE_SET,
    CHANGE_UNSET,
    CHANGE_INC,
    CHANGE_MAX,
    CHANGE_MIN,
    CHANGE_ON_INSERT,
    CHANGE_NOW, // to this server's time, a date
};

static const struct {
    const char *name;
    enum change change;
} operators[] = {
    {"$set", CHANGE_SET},         {"$unset", CHANGE_UNSET}, {"$inc", CHANGE_INC},
    {"$max", CHANGE_MAX},         {"$min", CHANGE_MIN},     {"$setOnInsert", CHANGE_ON_INSERT},
    {"$currentDate", CHANGE_NOW},
};

static bool refuse(struct refusal *ret, int code, const char *why)
{
    *ret = (struct refusal){code, why};
    return false;
}

bool update_replaces(struct doc update)
{
    struct walk w = walk_doc(update);
    return !walk_next(&w) || !str_starts(w.key, STR("$"));
}

// ---- one field -----------------------------------------------------------------------------

static bool put_sum(struct buf *to, struct str key, struct value have, struct value more,
                    struct refusal *why)
{
    int64_t a = 0, b = 0, sum;
    if (!value_i64(more, &b) || (have.type != BSON_NONE && !value_i64(have, &a))) {
        return refuse(why, TYPE_MISMATCH, "$inc of what is no number");
    }
    if (have.type == BSON_DOUBLE || more.type == BSON_DOUBLE) {
        return refuse(why, FAILED_TO_PARSE, "this server does not $inc doubles");
    }
    if (__builtin_add_overflow(a, b, &sum)) {
        return refuse(why, 2, "$inc overflows");
    }
    bool narrow = more.type == BSON_I32 && have.type != BSON_I64 && sum == (int32_t)sum;
    int32_t small = (int32_t)sum;
    put_raw(to, key, narrow ? BSON_I32 : BSON_I64, narrow ? (void *)&small : &sum, narrow ? 4 : 8);
    return true;
}

static void put_now(struct buf *to, struct str key)
{
    int64_t ms = clock_wall(&clock_system) / NS_PER_MS;
    put_raw(to, key, BSON_DATE, &ms, sizeof(ms));
}

static bool put_changed(struct buf *to, struct str key, struct value have, enum change change,
                        struct value v, struct refusal *why)
{
    bool absent = have.type == BSON_NONE;
    switch (change) {
    case CHANGE_INC:
        return put_sum(to, key, have, v, why);
    case CHANGE_MAX:
        put_value(to, key, absent || value_cmp(v, have) > 0 ? v : have);
        return true;
    case CHANGE_MIN:
        put_value(to, key, absent || value_cmp(v, have) < 0 ? v : have);
        return true;
    case CHANGE_UNSET:
        return true;
    case CHANGE_NOW:
        put_now(to, key);
        return true;
    default:
        put_value(to, key, v);
        return true;
    }
}

static bool change_path(struct buf *to, struct doc d, struct str path, enum change change,
                        struct value v, struct refusal *why);

// The field at the head of the path, which leads on to `rest`, or does not.
static bool change_field(struct buf *to, struct str key, struct value have, struct str rest,
                         enum change change, struct value v, struct refusal *why)
{
    if (!str_present(rest)) {
        return put_changed(to, key, have, change, v, why);
    }
    if (have.type != BSON_NONE && have.type != BSON_DOC) {
        return refuse(why, PATH_NOT_VIABLE, "a path leads through what is no document");
    }
    if (have.type == BSON_NONE && change == CHANGE_UNSET) {
        return true;
    }
    static const uint8_t empty[5] = {5};
    struct doc inner = have.type == BSON_DOC ? value_doc(have) : (struct doc){empty, 5};
    put_raw(to, key, BSON_DOC, NULL, 0);
    return change_path(to, inner, rest, change, v, why);
}

// Appends d with one path changed.
static bool change_path(struct buf *to, struct doc d, struct str path, enum change change,
                        struct value v, struct refusal *why)
{
    struct str head, rest = path;
    str_split(&rest, '.', &head);
    bool found = false;
    size_t mark = put_begin(to);
    struct walk w = walk_doc(d);
    while (walk_next(&w)) {
        if (!str_eq(w.key, head)) {
            put_value(to, w.key, w.v);
        } else if (!change_field(to, head, w.v, rest, change, v, why)) {
            return false;
        } else {
            found = true;
        }
    }
    if (!found && !change_field(to, head, (struct value){0}, rest, change, v, why)) {
        return false;
    }
    put_close(to, mark);
    return true;
}

// ---- the whole -----------------------------------------------------------------------------

static bool find_operator(struct str name, enum change *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
        if (str_eq(name, str_of(operators[i].name))) {
            *ret = operators[i].change;
            return true;
        }
    }
    return false;
}

static bool is_same_id(struct doc a, struct doc b)
{
    struct value x = doc_get(a, "_id"), y = doc_get(b, "_id");
    return x.type == BSON_NONE || value_same(x, y);
}

// The fields of one operator, to be changed in one walk over the document.
struct fields {
    struct {
        struct str key;
        struct value v;
        bool done;
    } one[FIELDS_MAX];
    size_t n, next; // where the next one of the document probably is
};

// False: a path leads into a document, a field is named twice, or there are too many.
static bool fields_read(struct fields *f, struct doc fields)
{
    struct walk w = walk_doc(fields);
    for (f->n = f->next = 0; walk_next(&w); f->n++) {
        bool plain = f->n < FIELDS_MAX && w.key.n > 0 && !memchr(w.key.p, '.', w.key.n);
        for (size_t i = 0; plain && i < f->n; i++) {
            plain = !str_eq(f->one[i].key, w.key);
        }
        if (!plain) {
            return false;
        }
        f->one[f->n].key = w.key;
        f->one[f->n].v = w.v;
        f->one[f->n].done = false;
    }
    return true;
}

static size_t fields_find(struct fields *f, struct str key)
{
    for (size_t i = 0; i < f->n; i++) {
        size_t at = f->next + i < f->n ? f->next + i : f->next + i - f->n;
        if (str_eq(f->one[at].key, key)) {
            f->next = at + 1 < f->n ? at + 1 : 0;
            return at;
        }
    }
    return f->n;
}

// Appends d with all these fields changed, what is new behind it in their order.
static bool change_fields(struct buf *to, struct doc d, struct fields *f, enum change change,
                          struct refusal *why)
{
    size_t mark = put_begin(to);
    struct walk w = walk_doc(d);
    while (walk_next(&w)) {
        size_t at = fields_find(f, w.key);
        if (at == f->n) {
            put_value(to, w.key, w.v);
        } else if (!put_changed(to, w.key, w.v, change, f->one[at].v, why)) {
            return false;
        } else {
            f->one[at].done = true;
        }
    }
    for (size_t i = 0; i < f->n; i++) {
        static const struct value none = {.type = BSON_NONE};
        if (!f->one[i].done && !put_changed(to, f->one[i].key, none, change, f->one[i].v, why)) {
            return false;
        }
    }
    put_close(to, mark);
    return true;
}

static void swap(struct buf *a, struct buf *b)
{
    struct buf c = *a;
    *a = *b;
    *b = c;
}

// Swaps *now and *spare, the newer document first.
static bool change_all(struct buf *now, struct buf *spare, enum change change, struct doc fields,
                       struct refusal *why)
{
    struct fields plain;
    if (fields_read(&plain, fields)) {
        buf_clear(spare);
        bool good = change_fields(spare, doc_of(now, 0), &plain, change, why);
        swap(now, spare);
        return good;
    }
    struct walk w = walk_doc(fields);
    while (walk_next(&w)) {
        buf_clear(spare);
        if (!change_path(spare, doc_of(now, 0), w.key, change, w.v, why)) {
            return false;
        }
        swap(now, spare);
    }
    return true;
}

static bool apply_operators(struct buf *now, struct buf *spare, struct doc update, bool inserting,
                            struct refusal *why)
{
    struct walk w = walk_doc(update);
    while (walk_next(&w)) {
        enum change change;
        if (!find_operator(w.key, &change)) {
            return refuse(why, FAILED_TO_PARSE, "an update operator that this server lacks");
        }
        if (change == CHANGE_ON_INSERT && !inserting) {
            continue;
        }
        if (!change_all(now, spare, change, value_doc(w.v), why)) {
            return false;
        }
    }
    return true;
}

static bool begins_with_id(struct doc d)
{
    struct walk w = walk_doc(d);
    return walk_next(&w) && str_eq(w.key, STR("_id"));
}

static void replace_doc(struct buf *to, struct doc old, struct doc with)
{
    struct value id = doc_get(with, "_id");
    if (begins_with_id(with)) {
        buf_add(to, with.p, with.n);
        return;
    }
    id = id.type == BSON_NONE ? doc_get(old, "_id") : id;
    size_t mark = put_begin(to);
    if (id.type != BSON_NONE) {
        put_value(to, STR("_id"), id);
    }
    struct walk w = walk_doc(with);
    while (walk_next(&w)) {
        if (!str_eq(w.key, STR("_id"))) {
            put_value(to, w.key, w.v);
        }
    }
    put_close(to, mark);
}

bool update_apply(struct buf *to, struct doc old, struct doc update, bool inserting,
                  struct refusal *ret_why)
{
    struct buf now, spare;
    buf_init(&now, 2 * DOC_MAX);
    buf_init(&spare, 2 * DOC_MAX);
    bool good = true;
    if (update_replaces(update)) {
        replace_doc(&now, old, update);
    } else {
        buf_add(&now, old.p, old.n);
        good = apply_operators(&now, &spare, update, inserting, ret_why);
    }
    if (good && (!buf_ok(&now) || now.n > DOC_MAX)) {
        good = refuse(ret_why, 10334, "the document would be over 16 MB");
    }
    if (good && !is_same_id(old, doc_of(&now, 0))) {
        good = refuse(ret_why, IMMUTABLE_FIELD, "the update would change the _id");
    }
    if (good) {
        buf_add(to, now.p, now.n);
    }
    buf_done(&now);
    buf_done(&spare);
    return good;
}

// A value that a query wants a field to be equal to; BSON_NONE where it wants something else.
static struct value wanted_value(struct value v)
{
    struct walk w = walk_doc(v.type == BSON_DOC ? value_doc(v) : (struct doc){0});
    if (!walk_next(&w) || !str_starts(w.key, STR("$"))) {
        return v;
    }
    return doc_get(value_doc(v), "$eq");
}

void update_seed(struct buf *to, struct doc query, bool replaces)
{
    struct buf now, spare;
    buf_init(&now, DOC_MAX);
    buf_init(&spare, DOC_MAX);
    put_close(&now, put_begin(&now));
    struct walk w = walk_doc(query);
    struct refusal unused;
    while (walk_next(&w)) {
        struct value v = wanted_value(w.v);
        bool taken = !replaces || str_eq(w.key, STR("_id"));
        if (!taken || v.type == BSON_NONE || str_starts(w.key, STR("$"))) {
            continue;
        }
        buf_clear(&spare);
        if (change_path(&spare, doc_of(&now, 0), w.key, CHANGE_SET, v, &unused)) {
            swap(&now, &spare);
        }
    }
    buf_add(to, now.p, now.n);
    buf_done(&now);
    buf_done(&spare);
}

void update_with_id(struct buf *to, struct doc d)
{
    uint8_t oid[12];
    struct value id = doc_get(d, "_id");
    if (id.type == BSON_NONE) {
        if (getrandom(oid, sizeof(oid), 0) != (ssize_t)sizeof(oid)) {
            memset(oid, 0, sizeof(oid));
        }
        id = (struct value){oid, sizeof(oid), BSON_OID};
    }
    if (begins_with_id(d)) {
        buf_add(to, d.p, d.n);
        return;
    }
    size_t mark = put_begin(to);
    put_value(to, STR("_id"), id);
    struct walk w = walk_doc(d);
    while (walk_next(&w)) {
        if (!str_eq(w.key, STR("_id"))) {
            put_value(to, w.key, w.v);
        }
    }
    put_close(to, mark);
}
