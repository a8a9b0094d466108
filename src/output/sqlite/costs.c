// Storing the computed costs of requests, sorted by seq so that they land side by side.
#include <stdlib.h>

#include "base/alloc.h"
#include "base/sort.h"
#include "output/sqlite/sqlite.h"

#define COST_COLUMNS                                                                               \
    "seq, priced, cost_in_nusd, cost_out_nusd, unpriced_ns, energy_j, final, late, revision, "     \
    "method"

static void cost_column(sqlite3_context *to, const void *row, int column)
{
    const struct usage_cost *c = *(const struct usage_cost *const *)row;
    switch (column) {
    case 0:
        return sqlite3_result_int64(to, c->seq);
    case 1:
        return sqlite3_result_int(to, c->priced);
    case 2:
        return sqlite3_result_int64(to, c->cost_in_nusd);
    case 3:
        return sqlite3_result_int64(to, c->cost_out_nusd);
    case 4:
        return sqlite3_result_int64(to, c->unpriced_ns);
    case 5:
        return c->has_energy ? sqlite3_result_double(to, c->energy_j) : sqlite3_result_null(to);
    case 6:
        return sqlite3_result_int(to, c->final);
    case 7:
        return sqlite3_result_int(to, c->late);
    case 8:
        return sqlite3_result_int(to, c->revision);
    case 9:
        return sqlite3_result_int(to, (int)c->method);
    }
}

const struct sq_feed sq_cost_feed = {
    .name = "new_costs",
    .columns = COST_COLUMNS,
    .column = cost_column,
    .size = sizeof(const struct usage_cost *),
};

static const char insert_sql[] =
    "INSERT INTO usage_cost(" COST_COLUMNS ") SELECT " COST_COLUMNS " FROM new_costs WHERE true"
    " ON CONFLICT(seq) DO UPDATE SET priced = excluded.priced,"
    " cost_in_nusd = excluded.cost_in_nusd, cost_out_nusd = excluded.cost_out_nusd,"
    " unpriced_ns = excluded.unpriced_ns, energy_j = excluded.energy_j, final = excluded.final,"
    " late = late OR excluded.late, revision = excluded.revision, method = excluded.method";

typedef const struct usage_cost *cost_ptr;

static bool by_seq(const cost_ptr *a, const cost_ptr *b)
{
    return (*a)->seq < (*b)->seq;
}
DEFINE_SORT(sort_costs, cost_ptr, by_seq); // stable: of several for one seq the last one holds

int sq_put_costs(struct sq_store *s, const struct store_write *w, struct error *err)
{
    if (w->n_costs == 0) {
        return 0;
    }
    cost_ptr *sorted AUTO_FREE = x_array(2 * w->n_costs, sizeof(*sorted)); // half to sort with
    for (size_t i = 0; i < w->n_costs; i++) {
        sorted[i] = &w->costs[i];
    }
    sort_costs(sorted, w->n_costs, sorted + w->n_costs);
    return sq_feed_run(s->main, &s->writer->costs, sorted, w->n_costs, insert_sql, err);
}
