// Dimensions: tuples of rarely changing text get a number, and rows hold the number. A tuple is
// looked up in memory, then in its table, then added there. What memory holds is bounded; it is
// forgotten whenever a transaction did not happen.
#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "output/sqlite/sqlite.h"

enum { CELLS_MAX = 8, CACHE_BYTES_MAX = 32 << 20, KEY_BYTES_MAX = 16 << 20 };

struct cell {
    enum { CELL_NULL, CELL_NUMBER, CELL_TEXT } type;
    int64_t number;
    struct str text;
};

static struct cell text_cell(struct str s)
{
    return (struct cell){.type = str_present(s) ? CELL_TEXT : CELL_NULL, .text = s};
}

static struct cell number_cell(int64_t n)
{
    return (struct cell){.type = CELL_NUMBER, .number = n};
}

// A negative number stands for none.
static struct cell optional_cell(int64_t n)
{
    return n < 0 ? (struct cell){.type = CELL_NULL} : number_cell(n);
}

static const char *const find_sql[] = {
    [SQ_DEVICE] = "SELECT id FROM device WHERE host IS ?1 AND gpu_index IS ?2 AND gpu_instance IS"
                  " ?3 AND name IS ?4 AND uuid IS ?5 AND mig_profile IS ?6 AND source IS ?7 AND"
                  " site IS ?8",
    [SQ_PLACE] = "SELECT id FROM place WHERE host IS ?1 AND gpu_index IS ?2 AND gpu_indices IS ?3"
                 " AND gpu_instance IS ?4 AND site IS ?5",
    [SQ_CONSUMER] = "SELECT id FROM consumer WHERE model IS ?1 AND tenant IS ?2",
};

static const char *const add_sql[] = {
    [SQ_DEVICE] = "INSERT INTO device(host, gpu_index, gpu_instance, name, uuid, mig_profile,"
                  " source, site) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [SQ_PLACE] = "INSERT INTO place(host, gpu_index, gpu_indices, gpu_instance, site)"
                 " VALUES (?1, ?2, ?3, ?4, ?5)",
    [SQ_CONSUMER] = "INSERT INTO consumer(model, tenant) VALUES (?1, ?2)",
};

void sq_dims_init(struct sq_dims *d)
{
    d->keys = intern_new();
    buf_init(&d->key, KEY_BYTES_MAX);
}

void sq_dims_done(struct sq_dims *d)
{
    intern_free(d->keys);
    free(d->ids);
    buf_done(&d->key);
    *d = (struct sq_dims){0};
}

void sq_dims_forget(struct sq_dims *d)
{
    sq_dims_done(d);
    sq_dims_init(d);
}

static struct str make_key(struct buf *b, const struct cell *cells, size_t n)
{
    buf_clear(b);
    for (size_t i = 0; i < n; i++) {
        const struct cell *c = &cells[i];
        uint64_t head = (uint64_t)c->type << 62 | c->text.n;
        buf_add(b, &head, sizeof(head));
        if (c->type == CELL_NUMBER) {
            buf_add(b, &c->number, sizeof(c->number));
        } else if (c->type == CELL_TEXT) {
            buf_add(b, c->text.p, c->text.n);
        }
    }
    assert(buf_ok(b));
    return buf_view(b);
}

static int64_t *cached_id(struct sq_dims *d, struct str key)
{
    if (intern_bytes(d->keys) > CACHE_BYTES_MAX) {
        struct buf scratch = d->key; // key lies there
        d->key = (struct buf){0};
        sq_dims_forget(d);
        d->key = scratch;
    }
    uint32_t at = intern_id(d->keys, key);
    if (at >= d->cap) {
        size_t cap = MAX((size_t)256, 2 * (size_t)at);
        d->ids = x_realloc_array(d->ids, cap, sizeof(d->ids[0]));
        memset(d->ids + d->cap, 0, (cap - d->cap) * sizeof(d->ids[0]));
        d->cap = cap;
    }
    return &d->ids[at];
}

static void bind_cells(sqlite3_stmt *stmt, const struct cell *cells, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int at = (int)i + 1;
        if (cells[i].type == CELL_NUMBER) {
            (void)sqlite3_bind_int64(stmt, at, cells[i].number);
        } else {
            sq_bind_str(stmt, at, cells[i].text);
        }
    }
}

static int find_id(struct sq_conn *c, enum sq_dim dim, const struct cell *cells, size_t n,
                   int64_t *ret, struct error *err)
{
    sqlite3_stmt *stmt;
    int r = sq_statement(c, find_sql[dim], &stmt, err);
    if (r < 0) {
        return r;
    }
    bind_cells(stmt, cells, n);
    r = sq_row(c, stmt, err);
    *ret = r > 0 ? sq_i64(stmt, 0) : 0;
    sq_reset(stmt);
    return MIN(r, 0);
}

static int add_id(struct sq_conn *c, enum sq_dim dim, const struct cell *cells, size_t n,
                  int64_t *ret, struct error *err)
{
    sqlite3_stmt *stmt;
    int r = sq_statement(c, add_sql[dim], &stmt, err);
    if (r < 0) {
        return r;
    }
    bind_cells(stmt, cells, n);
    r = sq_run(c, stmt, err);
    *ret = sqlite3_last_insert_rowid(c->db);
    return r;
}

static int id_of(struct sq_store *s, enum sq_dim dim, const struct cell *cells, size_t n,
                 int64_t *ret, struct error *err)
{
    assert(n <= CELLS_MAX);
    struct sq_dims *d = &s->writer->dims[dim];
    int64_t *cached = cached_id(d, make_key(&d->key, cells, n));
    if (*cached == 0) {
        int64_t id = 0;
        int r = find_id(s->main, dim, cells, n, &id, err);
        if (r == 0 && id == 0) {
            r = add_id(s->main, dim, cells, n, &id, err);
        }
        if (r < 0) {
            return r;
        }
        *cached = id;
    }
    *ret = *cached;
    return 0;
}

int sq_device_id(struct sq_store *s, const struct gpu_sample *g, int64_t *ret, struct error *err)
{
    const struct cell cells[] = {
        text_cell(g->gpu.host), number_cell(g->gpu.index), optional_cell(g->gpu.instance),
        text_cell(g->name),     text_cell(g->uuid),        text_cell(g->mig_profile),
        text_cell(g->source),   text_cell(g->site),
    };
    return id_of(s, SQ_DEVICE, cells, ARRAY_LEN(cells), ret, err);
}

int sq_usage_place_id(struct sq_store *s, const struct usage_record *u, int64_t *ret,
                      struct error *err)
{
    struct buf several;
    buf_init(&several, 8 * RECORD_GPUS_MAX);
    for (uint32_t i = 0; u->n_gpus > 1 && i < u->n_gpus; i++) {
        buf_char(&several, i ? ',' : '[');
        buf_i64(&several, u->gpus[i]);
    }
    if (u->n_gpus > 1) {
        buf_char(&several, ']');
    }
    const struct cell cells[] = {
        text_cell(u->host),
        optional_cell(u->n_gpus == 1 ? u->gpus[0] : -1),
        text_cell(u->n_gpus > 1 ? buf_view(&several) : STR_NONE),
        optional_cell(u->gpu_instance),
        text_cell(u->site),
    };
    int r = id_of(s, SQ_PLACE, cells, ARRAY_LEN(cells), ret, err);
    buf_done(&several);
    return r;
}

int sq_row_place_id(struct sq_store *s, const struct window_row *row, int64_t *ret,
                    struct error *err)
{
    const struct cell cells[] = {
        text_cell(row->gpu.host),         optional_cell(row->gpu.index), text_cell(STR_NONE),
        optional_cell(row->gpu.instance), text_cell(row->site),
    };
    return id_of(s, SQ_PLACE, cells, ARRAY_LEN(cells), ret, err);
}

int sq_consumer_id(struct sq_store *s, struct str model, struct str tenant, int64_t *ret,
                   struct error *err)
{
    const struct cell cells[] = {text_cell(model), text_cell(tenant)};
    return id_of(s, SQ_CONSUMER, cells, ARRAY_LEN(cells), ret, err);
}
