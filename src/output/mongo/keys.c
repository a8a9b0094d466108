#include "output/mongo/keys.h"

#include <assert.h>

void mg_keys_put(struct mg_keys *k, const char *name, int what)
{
    size_t n = strlen(name), i = mg_key_slot(name, n);
    while (k->slots[i].name && strcmp(k->slots[i].name, name) != 0) {
        i = (i + 1) % MG_KEY_SLOTS;
    }
    k->n += k->slots[i].name == NULL;
    assert(k->n <= MG_KEYS_MAX);
    k->slots[i].name = name;
    k->slots[i].n = n;
    k->slots[i].what = what;
}
