#include "base/map.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"

enum { MAP_FIRST = 16 };

// Keys are often multiples of something (window starts); the high bits of the product are not.
static size_t home(const struct map *m, int64_t key)
{
    uint64_t h = (uint64_t)key * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(h ^ (h >> 32)) & (m->cap - 1);
}

static size_t find(const struct map *m, int64_t key)
{
    size_t i = home(m, key);
    while (m->slots[i].key != -1 && m->slots[i].key != key) {
        i = (i + 1) & (m->cap - 1);
    }
    return i;
}

void map_done(struct map *m)
{
    free(m->slots);
    *m = (struct map){0};
}

void *map_get(const struct map *m, int64_t key)
{
    return m->cap ? m->slots[find(m, key)].value : NULL;
}

static void grow(struct map *m)
{
    struct map old = *m;
    m->cap = old.cap ? old.cap * 2 : MAP_FIRST;
    m->slots = x_array(m->cap, sizeof(*m->slots));
    for (size_t i = 0; i < m->cap; i++) {
        m->slots[i].key = -1;
    }
    struct map_slot slot;
    for (size_t at = 0; map_next(&old, &at, &slot);) {
        m->slots[find(m, slot.key)] = slot;
    }
    free(old.slots);
}

void map_put(struct map *m, int64_t key, void *value)
{
    assert(key >= 0 && value != NULL);
    if ((m->count + 1) * 4 > m->cap * 3) {
        grow(m);
    }
    size_t i = find(m, key);
    m->count += m->slots[i].key == -1;
    m->slots[i] = (struct map_slot){key, value};
}

// Moves later slots of the chain into the hole, so that no tombstones pile up.
static void close_hole(struct map *m, size_t hole)
{
    size_t mask = m->cap - 1;
    for (size_t i = (hole + 1) & mask; m->slots[i].key != -1; i = (i + 1) & mask) {
        size_t from_home = (i - home(m, m->slots[i].key)) & mask;
        if (from_home >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct map_slot){-1, NULL};
}

void *map_remove(struct map *m, int64_t key)
{
    size_t i = m->cap ? find(m, key) : 0;
    if (m->cap == 0 || m->slots[i].key == -1) {
        return NULL;
    }
    void *value = m->slots[i].value;
    close_hole(m, i);
    m->count--;
    return value;
}

bool map_next(const struct map *m, size_t *at, struct map_slot *ret)
{
    while (*at < m->cap) {
        const struct map_slot *slot = &m->slots[(*at)++];
        if (slot->key != -1) {
            *ret = *slot;
            return true;
        }
    }
    return false;
}
