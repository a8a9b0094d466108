#include "filter.h"

#include <stdlib.h>

#include "base/alloc.h"

enum op { OP_EQ, OP_GT, OP_GTE, OP_LT, OP_LTE, OP_IN, OP_EXISTS };

struct test {
    enum op op;
    struct value v;
};

static const struct {
    const char *name;
    enum op op;
    bool negated;
} operators[] = {
    {"$eq", OP_EQ, false},   {"$ne", OP_EQ, true},  {"$gt", OP_GT, false},
    {"$gte", OP_GTE, false}, {"$lt", OP_LT, false}, {"$lte", OP_LTE, false},
    {"$in", OP_IN, false},   {"$nin", OP_IN, true}, {"$exists", OP_EXISTS, false},
};

static bool compares(enum op op, struct value have, struct value want)
{
    if (value_class(have) != value_class(want)) {
        return false;
    }
    int c = value_cmp(have, want);
    switch (op) {
    case OP_EQ:
        return c == 0;
    case OP_GT:
        return c > 0;
    case OP_GTE:
        return c >= 0;
    case OP_LT:
        return c < 0;
    case OP_LTE:
        return c <= 0;
    default:
        return false;
    }
}

static bool holds(const struct test *t, struct value have)
{
    if (t->op == OP_EXISTS) {
        return have.type != BSON_NONE;
    }
    if (t->op != OP_IN) {
        return compares(t->op, have, t->v);
    }
    struct walk w = walk_doc(value_doc(t->v));
    while (walk_next(&w)) {
        if (compares(OP_EQ, have, w.v)) {
            return true;
        }
    }
    return false;
}

// The value itself, or, of an array, one of its elements.
static bool value_holds(const struct test *t, struct value v)
{
    if (holds(t, v)) {
        return true;
    }
    if (v.type != BSON_ARRAY) {
        return false;
    }
    struct walk w = walk_doc(value_doc(v));
    while (walk_next(&w)) {
        if (holds(t, w.v)) {
            return true;
        }
    }
    return false;
}

// Whether the test holds for a value that the path leads to; *found: whether it leads to any.
static bool path_holds(struct doc d, struct str path, const struct test *t, bool *found)
{
    struct str head, rest = path;
    str_split(&rest, '.', &head);
    struct walk w = walk_doc(d);
    while (walk_next(&w)) {
        if (!str_eq(w.key, head)) {
            continue;
        }
        if (!str_present(rest)) {
            *found = true;
            return value_holds(t, w.v);
        }
        if (path_holds(value_doc(w.v), rest, t, found)) {
            return true;
        }
        struct walk each = walk_doc(w.v.type == BSON_ARRAY ? value_doc(w.v) : (struct doc){0});
        while (walk_next(&each)) {
            if (each.v.type == BSON_DOC && path_holds(value_doc(each.v), rest, t, found)) {
                return true;
            }
        }
    }
    return false;
}

static bool field_holds(struct doc d, struct str path, const struct test *t)
{
    bool found = false;
    bool is = path_holds(d, path, t, &found);
    return is || (!found && t->op != OP_EXISTS && holds(t, (struct value){0}));
}

static bool is_operators(struct value v)
{
    struct walk w = walk_doc(v.type == BSON_DOC ? value_doc(v) : (struct doc){0});
    return walk_next(&w) && str_starts(w.key, STR("$"));
}

static int operators_match(struct doc ops, struct doc d, struct str path, const char **ret_what);

static int operator_match(const struct walk *op, struct doc d, struct str path, const char **what)
{
    if (op->v.type == BSON_REGEX) {
        *what = "a regular expression, which this server does not know";
        return -1;
    }
    if (str_eq(op->key, STR("$not"))) {
        int r = operators_match(value_doc(op->v), d, path, what);
        return r < 0 ? r : !r;
    }
    for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
        if (str_eq(op->key, str_of(operators[i].name))) {
            struct test t = {operators[i].op, op->v};
            bool negated = operators[i].negated || (t.op == OP_EXISTS && !value_true(op->v));
            return field_holds(d, path, &t) != negated;
        }
    }
    *what = "a query operator that this server does not know";
    return -1;
}

static int operators_match(struct doc ops, struct doc d, struct str path, const char **ret_what)
{
    struct walk w = walk_doc(ops);
    while (walk_next(&w)) {
        int r = operator_match(&w, d, path, ret_what);
        if (r <= 0) {
            return r;
        }
    }
    return 1;
}

// stop: the answer of one clause that decides the whole.
static int clauses_match(struct doc clauses, struct doc d, int stop, const char **ret_what)
{
    struct walk w = walk_doc(clauses);
    while (walk_next(&w)) {
        int r = filter_match(value_doc(w.v), d, ret_what);
        if (r < 0 || r == stop) {
            return r;
        }
    }
    return !stop;
}

static int element_match(const struct walk *f, struct doc d, const char **ret_what)
{
    if (str_eq(f->key, STR("$and"))) {
        return clauses_match(value_doc(f->v), d, 0, ret_what);
    }
    if (str_eq(f->key, STR("$or"))) {
        return clauses_match(value_doc(f->v), d, 1, ret_what);
    }
    if (str_eq(f->key, STR("$nor"))) {
        int r = clauses_match(value_doc(f->v), d, 1, ret_what);
        return r < 0 ? r : !r;
    }
    if (str_starts(f->key, STR("$")) && !str_eq(f->key, STR("$comment"))) {
        *ret_what = "a query operator that this server does not know";
        return -1;
    }
    if (f->v.type == BSON_REGEX) {
        *ret_what = "a regular expression, which this server does not know";
        return -1;
    }
    if (is_operators(f->v)) {
        return operators_match(value_doc(f->v), d, f->key, ret_what);
    }
    struct test t = {OP_EQ, f->v};
    return str_eq(f->key, STR("$comment")) || field_holds(d, f->key, &t);
}

int filter_match(struct doc filter, struct doc d, const char **ret_what)
{
    struct walk w = walk_doc(filter);
    while (walk_next(&w)) {
        int r = element_match(&w, d, ret_what);
        if (r <= 0) {
            return r;
        }
    }
    return 1;
}

struct value path_get(struct doc d, struct str path)
{
    struct str head, rest = path;
    str_split(&rest, '.', &head);
    struct walk w = walk_doc(d);
    while (walk_next(&w)) {
        if (str_eq(w.key, head)) {
            return str_present(rest) ? path_get(value_doc(w.v), rest) : w.v;
        }
    }
    return (struct value){0};
}

struct ranked {
    struct doc d;
    size_t place;
};

static int cmp_ranked(const void *a, const void *b, void *ctx)
{
    const struct ranked *x = a, *y = b;
    struct walk w = walk_doc(*(const struct doc *)ctx);
    while (walk_next(&w)) {
        int64_t direction = 1;
        int c = value_cmp(path_get(x->d, w.key), path_get(y->d, w.key));
        if (c != 0) {
            return value_i64(w.v, &direction) && direction < 0 ? -c : c;
        }
    }
    return (x->place > y->place) - (x->place < y->place);
}

void docs_sort(struct doc *docs, size_t n, struct doc order)
{
    AUTO_FREE struct ranked *ranked = x_array(n, sizeof(*ranked));
    for (size_t i = 0; i < n; i++) {
        ranked[i] = (struct ranked){docs[i], i};
    }
    if (n > 0) {
        qsort_r(ranked, n, sizeof(*ranked), cmp_ranked, &order);
    }
    for (size_t i = 0; i < n; i++) {
        docs[i] = ranked[i].d;
    }
}
