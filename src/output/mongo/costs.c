// Computed costs of requests, set in their documents, which are found by event_id where the cost
// has it, else by the index of seq. The last of several for one seq holds, and late, once true,
// stays true.
#include "base/sort.h"
#include "output/mongo/documents.h"

struct place {
    int64_t seq; // here, since there are more costs than caches hold
    const struct usage_cost *cost;
};

static bool by_seq(const struct place *a, const struct place *b)
{
    return a->seq < b->seq;
}
DEFINE_SORT(sort_places, struct place, by_seq); // stable

// In the order of seq they lie scattered over more memory than the caches hold: a cost is asked for
// some steps before it is read, and its id, to which it points, when it is there.
static void prefetch(const struct place *sorted, size_t n, size_t i)
{
    enum { ID = 4, COST = 8 };
    if (i + COST < n) {
        const char *p = (const char *)sorted[i + COST].cost;
        __builtin_prefetch(p);
        __builtin_prefetch(p + sizeof(struct usage_cost) - 1);
    }
    if (i + ID < n) {
        __builtin_prefetch(sorted[i + ID].cost->event_id.p);
    }
}

static void write_update(struct mg_batch *m, const struct usage_cost *c, bool late)
{
    size_t one = mg_batch_add(m), q = MG_DOC(&m->b, "q");
    if (str_present(c->event_id)) { // and nothing else: such a filter needs no plan
        MG_STR(&m->b, "_id", c->event_id);
    } else {
        MG_I64(&m->b, "seq", c->seq);
    }
    mg_end(&m->b, q);
    mg_write_cost(&m->b, c, late);
    mg_end(&m->b, one);
}

int mg_put_costs(struct mg_store *s, const struct store_write *w, struct error *err)
{
    struct mg_batch *m = &s->writer->updates;
    struct place *sorted AUTO_FREE = x_array(2 * w->n_costs, sizeof(*sorted)); // half to sort with
    size_t n = 0;
    for (size_t i = 0; i < w->n_costs; i++) {
        if (mg_owns(s, mg_seq_shard(w->costs[i].seq))) {
            sorted[n++] = (struct place){w->costs[i].seq, &w->costs[i]};
        }
    }
    sort_places(sorted, n, sorted + w->n_costs);
    m->collection = mg_record_collection[RECORD_USAGE];
    bool late = false;
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        prefetch(sorted, n, i);
        late |= sorted[i].cost->late;
        if (i + 1 < n && sorted[i + 1].seq == sorted[i].seq) {
            continue;
        }
        write_update(m, sorted[i].cost, late);
        late = false;
        r = mg_batch_spill(&s->conn, m, err);
    }
    return r < 0 ? r : mg_batch_flush(&s->conn, m, err);
}
