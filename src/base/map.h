// An open-addressing map from a non-negative int64 to a pointer. Iteration order is unspecified
// and must never reach a result. All zero is an empty map. It does not own the values. Not
// thread-safe.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
    int64_t key; // -1 free
    void *value;
};

struct map {
    struct map_slot *slots;
    size_t count, cap; // cap 0 or a power of two
};

void map_done(struct map *m);
void *map_get(const struct map *m, int64_t key);       // NULL when absent
void map_put(struct map *m, int64_t key, void *value); // value must not be NULL; replaces
void *map_remove(struct map *m, int64_t key);          // the value, or NULL
// Goes over all slots; nothing may be put or removed meanwhile, since slots move.
bool map_next(const struct map *m, size_t *at, struct map_slot *ret); // start with *at = 0
