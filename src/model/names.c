#include "model/names.h"

#include <assert.h>

_Static_assert((int)FIELDS_MAX < (int)NAME_SLOTS, "a search ends at a free slot");

static void add_name(struct names *names, const struct field *f)
{
    size_t n = strlen(f->name);
    assert(n < NAME_BYTES);
    char key[NAME_BYTES] = {0}, mask[NAME_BYTES] = {0};
    memcpy(key, f->name, n);
    key[n] = '"';
    memset(mask, 0xff, n + 1);
    size_t slot = name_slot(key);
    while (names->slots[slot].field) {
        slot = (slot + 1) % NAME_SLOTS;
    }
    names->slots[slot].field = f;
    memcpy(names->slots[slot].word, key, sizeof(key));
    memcpy(names->slots[slot].mask, mask, sizeof(mask));
}

void names_init(struct names *names)
{
    for (size_t i = 0; i < n_record_fields; i++) {
        add_name(names, &record_fields[i]);
    }
}
