// Reading dimensions: what an id in a row stands for, kept by id.
#include <stdlib.h>

#include "base/alloc.h"
#include "output/sqlite/sqlite.h"

enum { SHAPES_BYTES_MAX = 32 << 20 };

void sq_shapes_done(struct sq_shapes *s)
{
    map_done(&s->devices);
    map_done(&s->places);
    map_done(&s->consumers);
    arena_done(&s->arena);
}

void sq_shapes_trim(struct sq_shapes *s)
{
    if (arena_reserved(&s->arena) > SHAPES_BYTES_MAX) {
        sq_shapes_done(s);
    }
}

static int32_t optional(sqlite3_stmt *stmt, int column)
{
    return sqlite3_column_type(stmt, column) == SQLITE_NULL ? -1 : sqlite3_column_int(stmt, column);
}

static struct str text(struct arena *a, sqlite3_stmt *stmt, int column)
{
    return arena_copy(a, sq_str(stmt, column));
}

static void *read_device(struct arena *a, sqlite3_stmt *stmt)
{
    struct sq_device *d = arena_alloc(a, sizeof(*d));
    *d = (struct sq_device){
        .gpu = {text(a, stmt, 0), optional(stmt, 1), optional(stmt, 2)},
        .name = text(a, stmt, 3),
        .uuid = text(a, stmt, 4),
        .mig_profile = text(a, stmt, 5),
        .source = text(a, stmt, 6),
        .site = text(a, stmt, 7),
    };
    return d;
}

// "[0,1,2]": our own writing.
static int32_t *read_gpus(struct arena *a, struct str s, uint32_t *ret_n)
{
    int32_t *gpus = arena_alloc(a, RECORD_GPUS_MAX * sizeof(*gpus));
    uint32_t n = 0;
    int32_t value = 0;
    for (size_t i = 1; i < s.n && n < RECORD_GPUS_MAX; i++) {
        if (s.p[i] >= '0' && s.p[i] <= '9' && value <= RECORD_GPU_INDEX_MAX) {
            value = value * 10 + (s.p[i] - '0');
        } else {
            gpus[n++] = value;
            value = 0;
        }
    }
    *ret_n = n;
    return gpus;
}

static void *read_place(struct arena *a, sqlite3_stmt *stmt)
{
    struct sq_place *p = arena_alloc(a, sizeof(*p));
    *p = (struct sq_place){
        .host = text(a, stmt, 0),
        .instance = optional(stmt, 3),
        .site = text(a, stmt, 4),
    };
    struct str several = sq_str(stmt, 2);
    if (str_present(several)) {
        p->gpus = read_gpus(a, several, &p->n_gpus);
    } else if (optional(stmt, 1) >= 0) {
        p->n_gpus = 1;
        p->gpus = arena_alloc(a, sizeof(p->gpus[0]));
        p->gpus[0] = optional(stmt, 1);
    }
    return p;
}

static void *read_consumer(struct arena *a, sqlite3_stmt *stmt)
{
    struct sq_consumer *c = arena_alloc(a, sizeof(*c));
    *c = (struct sq_consumer){.model = text(a, stmt, 0), .tenant = text(a, stmt, 1)};
    return c;
}

static int look_up(struct sq_conn *c, struct map *known, const char *sql,
                   void *(*read)(struct arena *a, sqlite3_stmt *stmt), int64_t id, void **ret,
                   struct error *err)
{
    sqlite3_stmt *stmt;
    int r = id < 0 ? sq_fail(c, SQLITE_CORRUPT, err) : sq_statement(c, sql, &stmt, err);
    if (r < 0) {
        return r;
    }
    (void)sqlite3_bind_int64(stmt, 1, id);
    r = sq_row(c, stmt, err);
    if (r <= 0) {
        return r < 0 ? r : sq_fail(c, SQLITE_CORRUPT, err);
    }
    *ret = read(&c->shapes.arena, stmt);
    map_put(known, id, *ret);
    sq_reset(stmt);
    return 0;
}

int sq_device(struct sq_conn *c, int64_t id, const struct sq_device **ret, struct error *err)
{
    static const char sql[] = "SELECT host, gpu_index, gpu_instance, name, uuid, mig_profile,"
                              " source, site FROM device WHERE id = ?1";
    void *found = id < 0 ? NULL : map_get(&c->shapes.devices, id);
    int r = found ? 0 : look_up(c, &c->shapes.devices, sql, read_device, id, &found, err);
    *ret = found;
    return r;
}

int sq_place(struct sq_conn *c, int64_t id, const struct sq_place **ret, struct error *err)
{
    static const char sql[] = "SELECT host, gpu_index, gpu_indices, gpu_instance, site"
                              " FROM place WHERE id = ?1";
    void *found = id < 0 ? NULL : map_get(&c->shapes.places, id);
    int r = found ? 0 : look_up(c, &c->shapes.places, sql, read_place, id, &found, err);
    *ret = found;
    return r;
}

int sq_consumer(struct sq_conn *c, int64_t id, const struct sq_consumer **ret, struct error *err)
{
    static const char sql[] = "SELECT model, tenant FROM consumer WHERE id = ?1";
    void *found = id < 0 ? NULL : map_get(&c->shapes.consumers, id);
    int r = found ? 0 : look_up(c, &c->shapes.consumers, sql, read_consumer, id, &found, err);
    *ret = found;
    return r;
}
