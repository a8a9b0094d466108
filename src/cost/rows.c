#include "cost/rows.h"

#include <errno.h>
#include <string.h>

static const char *const kind_names[] = {
    [ROW_USAGE] = "usage",
    [ROW_IDLE] = "idle",
    [ROW_UNATTRIBUTED] = "unattributed",
    [ROW_UNPLACED] = "unplaced",
};

const char *row_kind_name(enum row_kind k)
{
    return kind_names[k];
}

int row_kind_parse(struct str s, enum row_kind *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(kind_names); i++) {
        if (!str_eq(s, str_of(kind_names[i]))) {
            continue;
        }
        *ret = (enum row_kind)i;
        return 0;
    }
    return -EINVAL;
}

static bool same_energy(bool a_has, double a, bool b_has, double b)
{
    return a_has == b_has && (!a_has || memcmp(&a, &b, sizeof(a)) == 0);
}

static bool same_key(const struct window_row *a, const struct window_row *b)
{
    return a->window_start == b->window_start && gpu_key_cmp(&a->gpu, &b->gpu) == 0 &&
           a->kind == b->kind && str_eq(a->model, b->model) && str_eq(a->tenant, b->tenant);
}

bool window_row_same(const struct window_row *a, const struct window_row *b)
{
    return same_key(a, b) && str_eq(a->site, b->site) && a->cost_nusd == b->cost_nusd &&
           a->cost_in_nusd == b->cost_in_nusd && a->cost_out_nusd == b->cost_out_nusd &&
           a->prompt_tokens == b->prompt_tokens && a->completion_tokens == b->completion_tokens &&
           a->cached_prompt_tokens == b->cached_prompt_tokens && a->requests == b->requests &&
           a->unpriced_requests == b->unpriced_requests && a->busy_ns == b->busy_ns &&
           a->unpriced_ns == b->unpriced_ns && a->method == b->method &&
           same_energy(a->has_energy, a->energy_j, b->has_energy, b->energy_j);
}

static int cmp_i64(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

int window_row_cmp(const struct window_row *a, const struct window_row *b)
{
    int c = cmp_i64(a->window_start, b->window_start);
    if (c == 0) {
        c = gpu_key_cmp(&a->gpu, &b->gpu);
    }
    if (c == 0) {
        c = (int)a->kind - (int)b->kind;
    }
    if (c == 0) {
        c = str_cmp(a->model, b->model);
    }
    return c ? c : str_cmp(a->tenant, b->tenant);
}

bool usage_cost_same(const struct usage_cost *a, const struct usage_cost *b)
{
    return a->seq == b->seq && a->priced == b->priced && a->cost_nusd == b->cost_nusd &&
           a->cost_in_nusd == b->cost_in_nusd && a->cost_out_nusd == b->cost_out_nusd &&
           a->unpriced_ns == b->unpriced_ns && a->method == b->method &&
           same_energy(a->has_energy, a->energy_j, b->has_energy, b->energy_j);
}
