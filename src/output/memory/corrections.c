#include "base/alloc.h"
#include "output/ledger.h"
#include "output/memory/memory.h"

static struct correction copy(struct arena *a, const struct correction *c)
{
    struct correction kept = *c;
    kept.row.gpu.host = arena_copy(a, c->row.gpu.host);
    kept.row.site = arena_copy(a, c->row.site);
    kept.row.model = arena_copy(a, c->row.model);
    kept.row.tenant = arena_copy(a, c->row.tenant);
    return kept;
}

static bool same_key(const struct correction *a, const struct correction *b)
{
    return a->n == b->n && a->shard == b->shard && window_row_cmp(&a->row, &b->row) == 0;
}

void mem_put_correction(struct mem_db *db, const struct correction *c)
{
    size_t i = 0;
    while (i < db->corrections.n && !same_key(&db->corrections.v[i], c)) {
        i++;
    }
    if (i == db->corrections.n) {
        ARRAY_RESERVE(db->corrections.v, db->corrections.n, db->corrections.cap);
        db->corrections.n++;
        while (i > 0 && db->corrections.v[i - 1].row.window_start > c->row.window_start) {
            db->corrections.v[i] = db->corrections.v[i - 1];
            i--;
        }
    }
    db->corrections.v[i] = copy(&db->arena, c);
}

int mem_corrections(struct store *s, int64_t from, int64_t to, int64_t shard,
                    struct store_cursor **ret, struct error *err)
{
    (void)err;
    struct mem_db *db = mem_lock(s);
    struct mem_cursor *c = x_zalloc(sizeof(*c));
    c->base.ops = s->ops;
    c->corrections = arena_alloc(&c->arena, (db->corrections.n + 1) * sizeof(*c->corrections));
    for (size_t i = 0; i < db->corrections.n; i++) {
        const struct correction *one = &db->corrections.v[i];
        bool wanted = shard < 0 || shard == one->shard;
        if (wanted && one->row.window_start >= from && one->row.window_start < to) {
            c->corrections[c->n++] = copy(&c->arena, one);
        }
    }
    mem_unlock(db);
    *ret = &c->base;
    return 0;
}

int mem_corrections_next(struct store_cursor *base, struct correction *ret, struct error *err)
{
    (void)err;
    struct mem_cursor *c = (struct mem_cursor *)base;
    if (c->at == c->n) {
        return 0;
    }
    *ret = c->corrections[c->at++];
    return 1;
}
