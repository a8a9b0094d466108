// The canonical order of (model, tenant) pairs.
#include "base/alloc.h"
#include "base/sort.h"
#include "cost/engine_impl.h"

struct named_group {
    struct str model, tenant;
    uint32_t index;
};

static bool named_less(const struct named_group *a, const struct named_group *b)
{
    int c = str_cmp(a->model, b->model);
    return c ? c < 0 : str_cmp(a->tenant, b->tenant) < 0;
}

DEFINE_SORT(sort_named, struct named_group, named_less);

void engine_rank_groups(struct engine *e)
{
    if (e->n_ranked == e->n_groups) {
        return;
    }
    AUTO_FREE struct named_group *named = x_array(e->n_groups, sizeof(*named));
    AUTO_FREE struct named_group *scratch = x_array(e->n_groups, sizeof(*scratch));
    for (size_t i = 0; i < e->n_groups; i++) {
        named[i] = (struct named_group){engine_text(e, e->groups[i].model),
                                        engine_text(e, e->groups[i].tenant), (uint32_t)i};
    }
    sort_named(named, e->n_groups, scratch);
    for (size_t i = 0; i < e->n_groups; i++) {
        e->groups[named[i].index].rank = (uint32_t)i;
    }
    e->n_ranked = e->n_groups;
}
