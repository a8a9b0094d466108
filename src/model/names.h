// Which field a JSON key names, found without measuring the key: it is compared as words up to
// and with its closing quote. Internal to model/.
#pragma once

#include <string.h>

#include "model/fields.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { NAME_SLOT_BITS = 7, NAME_SLOTS = 1 << NAME_SLOT_BITS, NAME_BYTES = 24 };

struct name {
    uint64_t word[NAME_BYTES / 8], mask[NAME_BYTES / 8]; // of the name and its closing quote
    const struct field *field;                           // NULL: a free slot
};

struct names {
    struct name slots[NAME_SLOTS]; // open addressing, mostly free
};

// All of record_fields; *names was zero.
void names_init(struct names *names);

static inline uint64_t name_word(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

// By the first eight bytes of a key, or all of a shorter one: they tell nearly all names apart.
static inline size_t name_slot(const char *key)
{
    const uint64_t ones = 0x0101010101010101U;
    uint64_t word = name_word(key), zero_at_quote = word ^ (ones * '"');
    uint64_t quote = (zero_at_quote - ones) & ~zero_at_quote & (ones << 7);
    if (quote) {
        word &=
            ((quote & -quote) >> 7) - 1; // the first quote's bit is exact, later ones may not be
    }
    return (size_t)((word * 0x9e3779b97f4a7c15U) >> (64 - NAME_SLOT_BITS));
}

static inline bool name_matches(const struct name *name, const char *key)
{
    uint64_t differ = (name_word(key) ^ name->word[0]) & name->mask[0];
    differ |= (name_word(key + 8) ^ name->word[1]) & name->mask[1];
    differ |= (name_word(key + 16) ^ name->word[2]) & name->mask[2];
    return differ == 0;
}

// The field named by the key that begins at `key`, behind its opening quote; NULL when there is
// none. NAME_BYTES must be readable there.
static inline const struct field *names_find(const struct names *names, const char *key)
{
    size_t slot = name_slot(key);
    while (names->slots[slot].field && !name_matches(&names->slots[slot], key)) {
        slot = (slot + 1) % NAME_SLOTS;
    }
    return names->slots[slot].field;
}

#ifdef __cplusplus
}
#endif
