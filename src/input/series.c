#include "input/series.h"

#include <stdlib.h>

#include "base/alloc.h"

enum { SLOTS_MIN = 64 };

static size_t slot_of(const struct series_set *set, uint64_t key)
{
    size_t slot = (size_t)key & (set->n_slots - 1);
    while (set->slots[slot] && set->v[set->slots[slot] - 1].key != key) {
        slot = (slot + 1) & (set->n_slots - 1);
    }
    return slot;
}

struct series *series_find(const struct series_set *set, uint64_t key)
{
    if (set->n_slots == 0) {
        return NULL;
    }
    uint32_t at = set->slots[slot_of(set, key)];
    return at ? &set->v[at - 1] : NULL;
}

static void index_all(struct series_set *set, size_t n_slots)
{
    free(set->slots);
    set->n_slots = n_slots;
    set->slots = x_array(n_slots, sizeof(set->slots[0]));
    for (size_t i = 0; i < set->n; i++) {
        set->slots[slot_of(set, set->v[i].key)] = (uint32_t)i + 1;
    }
}

struct series *series_add(struct series_set *set, uint64_t key)
{
    if (2 * (set->n + 1) > set->n_slots) {
        index_all(set, MAX(2 * set->n_slots, (size_t)SLOTS_MIN));
    }
    ARRAY_RESERVE(set->v, set->n, set->cap);
    struct series *s = &set->v[set->n++];
    *s = (struct series){.key = key};
    set->slots[slot_of(set, key)] = (uint32_t)set->n;
    return s;
}

void series_keep(struct series_set *set, uint32_t page)
{
    size_t kept = 0;
    for (size_t i = 0; i < set->n; i++) {
        if (set->v[i].seen == page) {
            set->v[kept++] = set->v[i];
        }
    }
    set->n = kept;
    if (set->n_slots > 0) {
        index_all(set, set->n_slots);
    }
}

void series_done(struct series_set *set)
{
    free(set->v);
    free(set->slots);
    *set = (struct series_set){0};
}
