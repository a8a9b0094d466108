#include "base/intern.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/hash.h"

struct intern_slot {
    uint64_t hash;
    uint32_t id;
    bool used;
};

struct intern {
    struct arena text;
    struct str *strs; // by id
    size_t count, strs_cap;
    struct intern_slot *slots;
    size_t cap; // a power of two, more than half again the count
};

enum { INTERN_FIRST = 64 };

struct intern *intern_new(void)
{
    struct intern *t = x_zalloc(sizeof(*t));
    t->cap = INTERN_FIRST;
    t->slots = x_array(t->cap, sizeof(*t->slots));
    return t;
}

void intern_free(struct intern *t)
{
    if (t == NULL) {
        return;
    }
    arena_done(&t->text);
    free(t->strs);
    free(t->slots);
    free(t);
}

// The string's slot, or the free one where it belongs.
static struct intern_slot *find_slot(const struct intern *t, struct str s, uint64_t hash)
{
    for (size_t i = hash & (t->cap - 1);; i = (i + 1) & (t->cap - 1)) {
        struct intern_slot *slot = &t->slots[i];
        if (!slot->used || (slot->hash == hash && str_eq(t->strs[slot->id], s))) {
            return slot;
        }
    }
}

static void grow(struct intern *t)
{
    struct intern_slot *old = t->slots;
    size_t old_cap = t->cap;
    t->cap *= 2;
    t->slots = x_array(t->cap, sizeof(*t->slots));
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i].used) {
            *find_slot(t, t->strs[old[i].id], old[i].hash) = old[i];
        }
    }
    free(old);
}

uint32_t intern_id(struct intern *t, struct str s)
{
    uint64_t hash = hash_str(s, 0);
    struct intern_slot *slot = find_slot(t, s, hash);
    if (slot->used) {
        return slot->id;
    }
    assert(t->count < UINT32_MAX);
    ARRAY_RESERVE(t->strs, t->count, t->strs_cap);
    t->strs[t->count] = arena_copy(&t->text, s);
    uint32_t id = (uint32_t)t->count++;
    *slot = (struct intern_slot){.hash = hash, .id = id, .used = true};
    if (t->count * 3 > t->cap * 2) {
        grow(t);
    }
    return id;
}

int64_t intern_find(const struct intern *t, struct str s)
{
    const struct intern_slot *slot = find_slot(t, s, hash_str(s, 0));
    return slot->used ? (int64_t)slot->id : -1;
}

struct str intern_str(const struct intern *t, uint32_t id)
{
    assert(id < t->count);
    return t->strs[id];
}

uint32_t intern_count(const struct intern *t)
{
    return (uint32_t)t->count;
}

size_t intern_bytes(const struct intern *t)
{
    return sizeof(*t) + arena_reserved(&t->text) + t->strs_cap * sizeof(*t->strs) +
           t->cap * sizeof(*t->slots);
}
