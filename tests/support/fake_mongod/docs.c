#include "docs.h"

#include <stdio.h>
#include <sys/mman.h>

#include "base/alloc.h"

enum { IDS_FIRST = 1024, HUGE_PAGE = 2 << 20 };

static int64_t map_key(uint64_t hash)
{
    return (int64_t)(hash & INT64_MAX);
}

// ---- a set of hashes -----------------------------------------------------------------------

static uint64_t id_hash(struct value id)
{
    uint64_t h = value_hash(id);
    return h ? h : 1; // 0 is a free slot
}

static size_t ids_slot(const struct coll *c, uint64_t h)
{
    size_t i = h & (c->cap_ids - 1);
    while (c->ids[i] != 0 && c->ids[i] != h) {
        i = (i + 1) & (c->cap_ids - 1);
    }
    return i;
}

// Zeroed. Large tables are on huge pages, where the system has them: nearly every access is to
// another page.
static uint64_t *ids_table(size_t cap)
{
    size_t bytes = cap * sizeof(uint64_t);
    if (bytes < HUGE_PAGE) {
        return x_array(cap, sizeof(uint64_t));
    }
    void *table = aligned_alloc(HUGE_PAGE, bytes); // both powers of two
    if (!table) {
        fprintf(stderr, "fake_mongod: no memory for %zu ids\n", cap);
        exit(1);
    }
    (void)madvise(table, bytes, MADV_HUGEPAGE);
    return memset(table, 0, bytes);
}

static void ids_grow(struct coll *c, size_t expected)
{
    uint64_t *old = c->ids;
    size_t n = c->cap_ids;
    c->cap_ids = n ? 2 * n : IDS_FIRST;
    while (3 * c->cap_ids < 4 * (expected + 1)) {
        c->cap_ids *= 2;
    }
    c->ids = ids_table(c->cap_ids);
    for (size_t i = 0; i < n; i++) {
        if (old[i] != 0) {
            c->ids[ids_slot(c, old[i])] = old[i];
        }
    }
    free(old);
}

static bool ids_has(const struct coll *c, uint64_t h)
{
    return c->cap_ids > 0 && c->ids[ids_slot(c, h)] == h;
}

static bool ids_add(struct coll *c, uint64_t h, size_t expected)
{
    if (4 * (c->n_ids + 1) > 3 * c->cap_ids) {
        ids_grow(c, expected);
    }
    size_t i = ids_slot(c, h);
    if (c->ids[i] == h) {
        return false;
    }
    c->ids[i] = h;
    c->n_ids++;
    return true;
}

// Those behind the gap that could not be found across it move up.
static bool ids_remove(struct coll *c, uint64_t h)
{
    if (!ids_has(c, h)) {
        return false;
    }
    size_t mask = c->cap_ids - 1, gap = ids_slot(c, h);
    for (size_t i = (gap + 1) & mask; c->ids[i] != 0; i = (i + 1) & mask) {
        size_t home = c->ids[i] & mask;
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            c->ids[gap] = c->ids[i];
            gap = i;
        }
    }
    c->ids[gap] = 0;
    c->n_ids--;
    return true;
}

// ---- parts ---------------------------------------------------------------------------------

static int part_of(struct doc d)
{
    int64_t n;
    bool known = value_i64(doc_get(d, "partition"), &n) && n >= 0 && n < PARTS;
    return known ? (int)n : -1;
}

static void join_part(struct coll *c, struct kept *k)
{
    k->part = part_of(kept_doc(k));
    if (k->part < 0) {
        c->n_partless++;
    } else {
        order_add(&c->parts[k->part], k);
    }
}

static void leave_part(struct coll *c, struct kept *k)
{
    if (k->part < 0) {
        c->n_partless--;
    } else {
        order_remove(&c->parts[k->part], k);
    }
}

const struct order *coll_order(const struct coll *c, struct doc filter)
{
    int part = c->n_partless == 0 ? part_of(filter) : -1;
    return part < 0 ? &c->order : &c->parts[part];
}

// ---- collections ---------------------------------------------------------------------------

static void empty_coll(struct docs *d, struct coll *c)
{
    for (struct kept *k = c->first, *next; k; k = next) {
        next = k->next;
        d->bytes -= k->n;
        free(k->bytes);
        free(k);
    }
    for (struct index *i = c->indexes, *next; i; i = next) {
        next = i->next;
        free(i->name);
        free(i->spec);
        free(i);
    }
    map_done(&c->by_id);
    free(c->ids);
    free(c->ns);
    free(c);
}

void docs_done(struct docs *d)
{
    while (d->colls) {
        docs_drop(d, d->colls);
    }
}

struct coll *docs_find(struct docs *d, struct str ns)
{
    struct coll *c = d->colls;
    while (c && !str_eq(str_of(c->ns), ns)) {
        c = c->next;
    }
    return c;
}

static bool is_about(const struct docs *d, struct str ns)
{
    struct str database, name = ns, of = str_of(d->of);
    bool found = !d->of;
    if (!str_split(&name, '.', &database)) {
        return found;
    }
    for (struct str one; !found && str_split(&of, ',', &one);) {
        found = str_eq(one, name);
    }
    return found;
}

struct coll *docs_coll(struct docs *d, struct str ns)
{
    struct coll *c = docs_find(d, ns);
    if (!c) {
        c = x_zalloc(sizeof(*c));
        c->ns = x_strndup(ns.p, ns.n);
        c->memory = is_about(d, ns) ? d->memory : MEMORY_KEEP;
        for (size_t i = 0; i < PARTS; i++) {
            c->parts[i].of_part = true;
        }
        c->next = d->colls;
        d->colls = c;
    }
    return c;
}

void docs_drop(struct docs *d, struct coll *c)
{
    struct coll **at = &d->colls;
    while (*at != c) {
        at = &(*at)->next;
    }
    *at = c->next;
    empty_coll(d, c);
}

// ---- documents -----------------------------------------------------------------------------

struct kept *coll_get(const struct coll *c, struct value id)
{
    struct kept *k = map_get(&c->by_id, map_key(value_hash(id)));
    while (k && !value_same(doc_get(kept_doc(k), "_id"), id)) {
        k = k->chain;
    }
    return k;
}

bool coll_has(const struct coll *c, struct value id)
{
    return c->memory == MEMORY_KEEP ? coll_get(c, id) != NULL
                                    : c->memory == MEMORY_IDS && ids_has(c, id_hash(id));
}

static enum added keep(struct docs *d, struct coll *c, struct value id, struct doc doc)
{
    if (coll_get(c, id)) {
        return ADDED_NOT_DUPLICATE;
    }
    if (d->bytes + doc.n > d->bytes_max) {
        return ADDED_NOT_FULL;
    }
    unsigned height = order_height(&c->order);
    struct kept *k = x_zalloc(sizeof(*k) + 2 * height * sizeof(k->after[0]));
    k->height = height;
    k->bytes = x_alloc(doc.n);
    memcpy(k->bytes, doc.p, doc.n);
    k->n = doc.n;
    k->hash = value_hash(id);
    k->chain = map_get(&c->by_id, map_key(k->hash));
    map_put(&c->by_id, map_key(k->hash), k);
    k->prev = c->last;
    *(c->last ? &c->last->next : &c->first) = k;
    c->last = k;
    order_add(&c->order, k);
    join_part(c, k);
    d->bytes += doc.n;
    return ADDED;
}

enum added coll_add(struct docs *d, struct coll *c, struct value id, struct doc doc)
{
    enum added r = ADDED;
    if (c->memory == MEMORY_KEEP) {
        r = keep(d, c, id, doc);
    } else if (c->memory == MEMORY_IDS && !ids_add(c, id_hash(id), d->expected)) {
        r = ADDED_NOT_DUPLICATE;
    }
    c->count += r == ADDED;
    return r;
}

static void unchain(struct coll *c, struct kept *k)
{
    struct kept *head = map_get(&c->by_id, map_key(k->hash));
    if (head != k) {
        while (head->chain != k) {
            head = head->chain;
        }
        head->chain = k->chain;
    } else if (k->chain) {
        map_put(&c->by_id, map_key(k->hash), k->chain);
    } else {
        map_remove(&c->by_id, map_key(k->hash));
    }
}

static bool remove_kept(struct docs *d, struct coll *c, struct value id)
{
    struct kept *k = coll_get(c, id);
    if (!k) {
        return false;
    }
    unchain(c, k);
    order_remove(&c->order, k);
    leave_part(c, k);
    *(k->prev ? &k->prev->next : &c->first) = k->next;
    *(k->next ? &k->next->prev : &c->last) = k->prev;
    d->bytes -= k->n;
    free(k->bytes);
    free(k);
    return true;
}

bool coll_remove(struct docs *d, struct coll *c, struct value id)
{
    bool was = c->memory == MEMORY_KEEP  ? remove_kept(d, c, id)
               : c->memory == MEMORY_IDS ? ids_remove(c, id_hash(id))
                                         : c->count > 0;
    c->count -= was;
    return was;
}

void coll_replace(struct docs *d, struct coll *c, struct kept *k, struct doc with)
{
    bool moves = part_of(with) != k->part;
    uint8_t *bytes = x_alloc(with.n);
    memcpy(bytes, with.p, with.n);
    if (moves) {
        leave_part(c, k);
    }
    free(k->bytes);
    d->bytes = d->bytes - k->n + with.n;
    k->bytes = bytes;
    k->n = with.n;
    if (moves) {
        join_part(c, k);
    }
}

void coll_add_index(struct coll *c, struct str name, struct doc spec)
{
    struct index *i = c->indexes;
    while (i && !str_eq(str_of(i->name), name)) {
        i = i->next;
    }
    if (!i) {
        i = x_zalloc(sizeof(*i));
        i->name = x_strndup(name.p, name.n);
        i->next = c->indexes;
        c->indexes = i;
    }
    free(i->spec);
    i->spec = x_alloc(spec.n);
    memcpy(i->spec, spec.p, spec.n);
}
