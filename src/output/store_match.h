// Whose rows and requests somebody asks for. A store that finds them without looking at the others'
// does; what is read is the same everywhere.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

// Texts to choose from, in any order; an absent one is chosen by what has none.
struct str_list {
    const struct str *v;
    size_t n; // 0: any
};

struct store_match {
    struct str_list models, tenants; // one of each
};

enum { STORE_MATCH_MAX = 100 }; // texts in one list

static inline bool str_list_takes(const struct str_list *l, struct str s)
{
    for (size_t i = 0; i < l->n; i++) {
        if (str_eq(l->v[i], s)) {
            return true;
        }
    }
    return l->n == 0;
}

// m NULL: of anyone.
static inline bool store_match_takes(const struct store_match *m, struct str model,
                                     struct str tenant)
{
    return m == NULL || (str_list_takes(&m->models, model) && str_list_takes(&m->tenants, tenant));
}
