// The ledger of corrections: see output/corrections.h. An entry's _id is its row's and its number,
// so that what is written again after a failure is written over. It is `unsure` until all else of
// its commit is written: where a crash came between, readers look whether the row followed.
#include "output/mongo/documents.h"
#include "output/mongo/driver.h"

const char mg_correction_collection[] = "cost_corrections";

static int put(struct mg_store *s, const struct correction *c, struct error *err)
{
    struct mg_batch *m = &s->writer->updates;
    m->collection = mg_correction_collection;
    size_t one = mg_batch_add(m), q = MG_DOC(&m->b, "q");
    mg_add(&m->b, MG_KEY("\x02", "_id"));
    mg_write_correction_id(&m->b, c);
    mg_end(&m->b, q);
    size_t u = MG_DOC(&m->b, "u");
    mg_write_correction(&m->b, c);
    mg_end(&m->b, u);
    MG_BOOL(&m->b, "upsert", true);
    mg_end(&m->b, one);
    return mg_batch_spill(&s->conn, m, err);
}

static int confirm(struct mg_store *s, const struct correction *c, struct error *err)
{
    struct mg_batch *m = &s->writer->updates;
    m->collection = mg_correction_collection;
    size_t one = mg_batch_add(m), q = MG_DOC(&m->b, "q");
    mg_add(&m->b, MG_KEY("\x02", "_id"));
    mg_write_correction_id(&m->b, c);
    mg_end(&m->b, q);
    size_t u = MG_DOC(&m->b, "u"), unset = MG_DOC(&m->b, "$unset");
    MG_BOOL(&m->b, "unsure", true);
    mg_end(&m->b, unset);
    mg_end(&m->b, u);
    mg_end(&m->b, one);
    return mg_batch_spill(&s->conn, m, err);
}

// The same for all entries of a commit that are this handle's to write.
static int each_own(struct mg_store *s, const struct store_write *w,
                    int (*f)(struct mg_store *s, const struct correction *c, struct error *err),
                    struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->n_corrections; i++) {
        r = mg_owns(s, w->corrections[i].shard) ? f(s, &w->corrections[i], err) : 0;
    }
    return r < 0 ? r : mg_batch_flush(&s->conn, &s->writer->updates, err);
}

int mg_put_corrections(struct mg_store *s, const struct store_write *w, struct error *err)
{
    return each_own(s, w, put, err);
}

int mg_confirm_corrections(struct mg_store *s, const struct store_write *w, struct error *err)
{
    return each_own(s, w, confirm, err);
}
