// The fields of documents by their names: one look into a small table instead of a comparison with
// each name that there is, which took four fifths of the time to read a record. Internal to
// src/output/mongo. Filled once, then only read: by any thread.
#pragma once

#include <stdint.h>
#include <string.h>

enum { MG_KEY_SLOTS = 256, MG_KEYS_MAX = 100 }; // at most; a power of two, and well below it

struct mg_keys {
    struct {
        const char *name; // NULL: empty. Borrowed
        size_t n;
        int what;
    } slots[MG_KEY_SLOTS];
    size_t n;
};

// Names differ in length, in how they begin and in how they end.
static inline size_t mg_key_slot(const char *name, size_t n)
{
    size_t first = (unsigned char)name[0], last = n > 0 ? (unsigned char)name[n - 1] : 0;
    size_t middle = (unsigned char)name[n / 2];
    return (n * 5 + first * 3 + middle * 7 + last * 17) % MG_KEY_SLOTS;
}

// `what`, not negative, is what mg_keys_find() answers. The last of one name counts.
void mg_keys_put(struct mg_keys *k, const char *name, int what);

// -1: nobody knows it.
static inline int mg_keys_find(const struct mg_keys *k, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = mg_key_slot(name, n); k->slots[i].name; i = (i + 1) % MG_KEY_SLOTS) {
        if (k->slots[i].n == n && memcmp(k->slots[i].name, name, n) == 0) {
            return k->slots[i].what;
        }
    }
    return -1;
}
