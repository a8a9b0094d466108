// Who bears idle and unattributed time: the requests of the same place and time, as far as the
// report is grouped by these, in proportion to what they cost.
#include <stdlib.h>

#include "base/alloc.h"
#include "base/intern.h"
#include "report/digits.h"
#include "report/query.h"

enum { POOL_KEY_MAX = 16 * 1024 };

// Rows of one place and time. Its unborne cost is shared out over its usage rows.
struct pool {
    i128 unborne, usage;
    size_t first, n; // its rows within pools.rows
};

struct pools {
    struct pool *list;
    size_t n, cap;
    uint32_t *of_row; // which pool a row is in
    size_t *rows;     // all rows, by pool
};

static void pool_key(const struct report *r, const struct report_row *row, struct buf *key)
{
    buf_clear(key);
    for (size_t i = 0; i < r->query.n_by; i++) {
        const struct report_value *v = &row->values[i];
        if (report_dim_physical(r->query.by[i])) {
            buf_add(key, &v->text.n, sizeof(v->text.n));
            buf_str(key, v->text);
            buf_add(key, &v->time, sizeof(v->time));
        }
    }
}

static void pool_add(struct pool *pool, const struct report_row *row)
{
    pool->n++;
    if (row->kind == ROW_USAGE) {
        pool->usage += row->sums.cost_nusd;
    } else if (row->kind != ROW_UNPLACED) {
        pool->unborne += row->sums.cost_nusd;
    }
}

// Numbers the pools and says which one each row is in.
static void find_pools(const struct report *r, struct pools *p)
{
    struct intern *keys = intern_new();
    struct buf key;
    buf_init(&key, POOL_KEY_MAX);
    p->of_row = x_array(r->n_rows, sizeof(*p->of_row));
    for (size_t i = 0; i < r->n_rows; i++) {
        pool_key(r, &r->rows[i], &key);
        uint32_t id = intern_id(keys, buf_view(&key));
        if (id == p->n) {
            ARRAY_RESERVE(p->list, p->n, p->cap);
            p->list[p->n++] = (struct pool){0};
        }
        p->of_row[i] = id;
        pool_add(&p->list[id], &r->rows[i]);
    }
    buf_done(&key);
    intern_free(keys);
}

// Lists every pool's rows, in the order they have.
static void list_rows(const struct report *r, struct pools *p)
{
    p->rows = x_array(r->n_rows, sizeof(*p->rows));
    for (size_t id = 0, at = 0; id < p->n; id++) {
        p->list[id].first = at;
        at += p->list[id].n;
        p->list[id].n = 0;
    }
    for (size_t i = 0; i < r->n_rows; i++) {
        struct pool *pool = &p->list[p->of_row[i]];
        p->rows[pool->first + pool->n++] = i;
    }
}

static void load_row(struct report_row *row, i128 share)
{
    const struct sums *s = &row->sums;
    i128 in = s->cost_nusd > 0 ? share * s->cost_in_nusd / s->cost_nusd : 0;
    row->loaded_nusd += share;
    row->loaded_in_nusd += in;
    row->loaded_out_nusd += share - in;
}

// Quotas are unborne * cost / usage: digits_share divides, so that nothing is rounded before.
static void spread(struct report *r, const struct pool *pool, const size_t *rows)
{
    AUTO_FREE i128 *quotas = x_array(pool->n, sizeof(*quotas));
    AUTO_FREE i128 *shares = x_array(pool->n, sizeof(*shares));
    for (size_t i = 0; i < pool->n; i++) {
        const struct report_row *row = &r->rows[rows[i]];
        quotas[i] = row->kind == ROW_USAGE ? pool->unborne * row->sums.cost_nusd : 0;
    }
    digits_share(quotas, pool->n, pool->usage, pool->unborne, shares);
    for (size_t i = 0; i < pool->n; i++) {
        struct report_row *row = &r->rows[rows[i]];
        if (row->kind == ROW_USAGE) {
            load_row(row, shares[i]);
        } else {
            row->loaded_nusd = 0;
        }
    }
}

void report_spread_loaded(struct report *r)
{
    struct pools p = {0};
    find_pools(r, &p);
    list_rows(r, &p);
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct sums *s = &r->rows[i].sums;
        r->rows[i].loaded_nusd = s->cost_nusd;
        r->rows[i].loaded_in_nusd = s->cost_in_nusd;
        r->rows[i].loaded_out_nusd = s->cost_out_nusd;
    }
    for (size_t id = 0; id < p.n; id++) {
        if (p.list[id].usage > 0) {
            spread(r, &p.list[id], &p.rows[p.list[id].first]);
        }
    }
    free(p.list);
    free(p.of_row);
    free(p.rows);
}
