#include "order.h"

#include "docs.h"

static struct value id_of(const struct kept *k)
{
    return doc_get(kept_doc(k), "_id");
}

static struct kept **links(const struct order *o, struct kept *k)
{
    return k->after + (o->of_part ? k->height : 0);
}

// Ids that compare as equal may be two, as 1 and 1.0 are here.
static bool before(const struct kept *k, struct value id, const struct kept *other)
{
    int c = value_cmp(id_of(k), id);
    return c < 0 || (c == 0 && (uintptr_t)k < (uintptr_t)other);
}

// What stands before it on each level; first_of those that nothing does.
static void find(struct order *o, struct value id, const struct kept *k,
                 struct kept **ret[ORDER_LEVELS])
{
    struct kept **at = o->first;
    for (unsigned level = ORDER_LEVELS; level-- > 0;) {
        while (at[level] && before(at[level], id, k)) {
            at = links(o, at[level]);
        }
        ret[level] = &at[level];
    }
}

unsigned order_height(struct order *o)
{
    unsigned n = 1;
    o->state = o->state * 6364136223846793005U + 1442695040888963407U;
    for (uint64_t random = o->state >> 24; n < ORDER_LEVELS && (random & 3) == 0; random >>= 2) {
        n++;
    }
    return n;
}

void order_add(struct order *o, struct kept *k)
{
    struct kept **places[ORDER_LEVELS], **own = links(o, k);
    find(o, id_of(k), k, places);
    for (unsigned i = 0; i < k->height; i++) {
        own[i] = *places[i];
        *places[i] = k;
    }
}

void order_remove(struct order *o, struct kept *k)
{
    struct kept **places[ORDER_LEVELS], **own = links(o, k);
    find(o, id_of(k), k, places);
    for (unsigned i = 0; i < k->height; i++) {
        *places[i] = own[i];
    }
}

struct kept *order_from(const struct order *o, struct value id)
{
    struct kept *const *at = o->first;
    for (unsigned level = ORDER_LEVELS; level-- > 0;) {
        while (at[level] && value_cmp(id_of(at[level]), id) < 0) {
            at = links(o, at[level]);
        }
    }
    return at[0];
}

struct kept *order_next(const struct order *o, struct kept *k)
{
    return links(o, k)[0];
}
