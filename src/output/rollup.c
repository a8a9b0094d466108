#include "output/rollup.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/intern.h"
#include "base/sort.h"
#include "base/time.h"

enum { ROLLUP_TEXT_MAX = 64 << 20 }; // interned text kept from one span to the next, bytes

struct rollup {
    int64_t start;
    struct window_row *rows;
    size_t n, cap;
    uint32_t *slots; // index into rows + 1, by hash of the key; 0: free
    size_t n_slots;  // 0 or a power of two, more than twice n
    struct intern *text;
};

struct rollup *rollup_new(void)
{
    struct rollup *r = x_zalloc(sizeof(*r));
    r->text = intern_new();
    return r;
}

void rollup_free(struct rollup *r)
{
    if (r == NULL) {
        return;
    }
    intern_free(r->text);
    free(r->rows);
    free(r->slots);
    free(r);
}

int64_t rollup_span(enum window_level level)
{
    assert(level != LEVEL_WINDOW);
    return level == LEVEL_HOUR ? NS_PER_HOUR : NS_PER_DAY;
}

void rollup_begin(struct rollup *r, int64_t start)
{
    r->start = start;
    r->n = 0;
    if (r->n_slots > 0) {
        memset(r->slots, 0, r->n_slots * sizeof(r->slots[0]));
    }
    if (intern_bytes(r->text) > ROLLUP_TEXT_MAX) {
        intern_free(r->text);
        r->text = intern_new();
    }
}

static struct str keep(struct rollup *r, struct str s)
{
    return str_present(s) ? intern_str(r->text, intern_id(r->text, s)) : STR_NONE;
}

static uint64_t key_hash(const struct window_row *row)
{
    uint64_t h = hash_str(row->gpu.host, (uint64_t)row->kind);
    h = hash_str(row->model, h ^ (uint32_t)row->gpu.index);
    return hash_str(row->tenant, h ^ (uint32_t)row->gpu.instance);
}

static bool same_key(const struct window_row *a, const struct window_row *b)
{
    return a->kind == b->kind && gpu_key_cmp(&a->gpu, &b->gpu) == 0 && str_eq(a->model, b->model) &&
           str_eq(a->tenant, b->tenant);
}

static uint32_t *find_slot(const struct rollup *r, const struct window_row *row)
{
    size_t mask = r->n_slots - 1;
    for (size_t i = key_hash(row) & mask;; i = (i + 1) & mask) {
        uint32_t *slot = &r->slots[i];
        if (*slot == 0 || same_key(&r->rows[*slot - 1], row)) {
            return slot;
        }
    }
}

static void grow_slots(struct rollup *r)
{
    free(r->slots);
    r->n_slots = r->n_slots ? r->n_slots * 2 : 64;
    r->slots = x_array(r->n_slots, sizeof(r->slots[0]));
    for (size_t i = 0; i < r->n; i++) {
        *find_slot(r, &r->rows[i]) = (uint32_t)i + 1;
    }
}

static struct window_row *add_sum(struct rollup *r, const struct window_row *row)
{
    ARRAY_RESERVE(r->rows, r->n, r->cap);
    struct window_row *sum = &r->rows[r->n++];
    *sum = (struct window_row){
        .window_start = r->start,
        .gpu = {keep(r, row->gpu.host), row->gpu.index, row->gpu.instance},
        .kind = row->kind,
        .model = keep(r, row->model),
        .tenant = keep(r, row->tenant),
        .final = true,
    };
    return sum;
}

// What the engine computes is far from this bound; what a damaged file says may not be.
static void add(int64_t *sum, int64_t v)
{
    if (__builtin_add_overflow(*sum, v, sum)) {
        *sum = INT64_MAX;
    }
}

static void add_numbers(struct window_row *sum, const struct window_row *row)
{
    add(&sum->cost_nusd, row->cost_nusd);
    add(&sum->cost_in_nusd, row->cost_in_nusd);
    add(&sum->cost_out_nusd, row->cost_out_nusd);
    add(&sum->prompt_tokens, row->prompt_tokens);
    add(&sum->completion_tokens, row->completion_tokens);
    add(&sum->cached_prompt_tokens, row->cached_prompt_tokens);
    add(&sum->requests, row->requests);
    add(&sum->unpriced_requests, row->unpriced_requests);
    add(&sum->busy_ns, row->busy_ns);
    add(&sum->unpriced_ns, row->unpriced_ns);
    if (row->has_energy) {
        sum->energy_j += row->energy_j;
        sum->has_energy = true;
    }
}

void rollup_add(struct rollup *r, const struct window_row *row)
{
    if (!row->final) {
        return;
    }
    if (2 * (r->n + 1) > r->n_slots) {
        grow_slots(r);
    }
    uint32_t *slot = find_slot(r, row);
    struct window_row *sum = *slot ? &r->rows[*slot - 1] : add_sum(r, row);
    *slot = (uint32_t)(sum - r->rows) + 1;
    add_numbers(sum, row);
    sum->site = keep(r, row->site);
    sum->method = row->method;
    sum->revision = MAX(sum->revision, row->revision);
}

static bool row_before(const struct window_row *a, const struct window_row *b)
{
    return window_row_cmp(a, b) < 0;
}
DEFINE_SORT(sort_rows, struct window_row, row_before);

const struct window_row *rollup_rows(struct rollup *r, size_t *ret_n)
{
    if (r->n > 1) {
        struct window_row *scratch AUTO_FREE = x_array(r->n, sizeof(*scratch));
        sort_rows(r->rows, r->n, scratch);
    }
    *ret_n = r->n;
    return r->rows;
}

void rollup_plan_add(struct rollup_plan *p, uint32_t shard, int64_t start)
{
    ARRAY_RESERVE(p->v, p->n, p->cap);
    p->v[p->n++] = (struct rollup_due){shard, start};
}

static bool due_before(const struct rollup_due *a, const struct rollup_due *b)
{
    return a->shard != b->shard ? a->shard < b->shard : a->start < b->start;
}
DEFINE_SORT(sort_due, struct rollup_due, due_before);

void rollup_plan_sort(struct rollup_plan *p)
{
    if (p->n < 2) {
        return;
    }
    struct rollup_due *scratch AUTO_FREE = x_array(p->n, sizeof(*scratch));
    sort_due(p->v, p->n, scratch);
    size_t kept = 1;
    for (size_t i = 1; i < p->n; i++) {
        if (due_before(&p->v[kept - 1], &p->v[i])) {
            p->v[kept++] = p->v[i];
        }
    }
    p->n = kept;
}

void rollup_plan_done(struct rollup_plan *p)
{
    free(p->v);
    *p = (struct rollup_plan){0};
}
