#include "output/memory/memory.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/sort.h"

// Named databases of this process: there while a handle is open.
static struct mem_db *named;
static pthread_mutex_t named_lock = PTHREAD_MUTEX_INITIALIZER;

static struct mem_db *db_new(struct str name)
{
    struct mem_db *db = x_zalloc(sizeof(*db));
    db->name = name.n ? x_strndup(name.p, name.n) : NULL;
    pthread_mutex_init(&db->lock, NULL);
    db->text = intern_new();
    db->rollup = rollup_new();
    db->n_shards = 1;
    db->raw_from = INT64_MIN;
    for (size_t i = 0; i < ARRAY_LEN(db->tables); i++) {
        db->tables[i].ids = intern_new();
    }
    return db;
}

void mem_db_free(struct mem_db *db)
{
    for (size_t i = 0; i < ARRAY_LEN(db->tables); i++) {
        intern_free(db->tables[i].ids);
        free(db->tables[i].rows);
        free(db->tables[i].seq_of_id);
    }
    mem_levels_done(db);
    free(db->shards.v);
    free(db->unsettled.v);
    free(db->corrections.v);
    free(db->dead_letters.v);
    free(db->positions.v);
    free(db->settings.v);
    free(db->prices.v);
    free(db->gpus.v);
    rollup_free(db->rollup);
    intern_free(db->text);
    arena_done(&db->arena);
    pthread_mutex_destroy(&db->lock);
    free(db->name);
    free(db);
}

static struct mem_db *find_named(struct str name)
{
    for (struct mem_db *db = named; db; db = db->next) {
        if (str_eq(str_of(db->name), name)) {
            return db;
        }
    }
    return NULL;
}

// With named_lock held.
static int attach(struct str name, enum store_access access, struct mem_db **ret, struct error *err)
{
    struct mem_db *db = name.n ? find_named(name) : NULL;
    if (db == NULL && access == STORE_READ) {
        return error_set(err, -ENOENT, "memory:" STR_FMT ": there is no such store", STR_ARG(name));
    }
    if (db && access == STORE_WRITE && db->has_writer) {
        return error_set(err, -EBUSY, "memory:" STR_FMT ": is being written by this process",
                         STR_ARG(name));
    }
    if (db == NULL) {
        db = db_new(name);
        if (name.n) {
            db->next = named;
            named = db;
        }
    }
    db->handles++;
    db->has_writer |= access == STORE_WRITE;
    *ret = db;
    return 0;
}

static int mem_open(struct str path, enum store_access access, struct store **ret,
                    struct error *err)
{
    struct mem_db *db = NULL;
    pthread_mutex_lock(&named_lock);
    int r = attach(path, access, &db, err);
    pthread_mutex_unlock(&named_lock);
    if (r < 0) {
        return r;
    }
    struct mem_store *s = x_zalloc(sizeof(*s));
    *s = (struct mem_store){.base = {.ops = &store_memory_ops, .access = access}, .db = db};
    *ret = &s->base;
    return 0;
}

static void unlink_named(struct mem_db *db)
{
    struct mem_db **at = &named;
    while (*at && *at != db) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = db->next;
    }
}

static void mem_close(struct store *base)
{
    struct mem_store *s = (struct mem_store *)base;
    pthread_mutex_lock(&named_lock);
    s->db->has_writer &= base->access != STORE_WRITE;
    bool last = --s->db->handles == 0;
    if (last) {
        unlink_named(s->db);
    }
    pthread_mutex_unlock(&named_lock);
    if (last) {
        mem_db_free(s->db);
    }
    free(s);
}

static int mem_set_shards(struct store *s, uint32_t n, struct error *err)
{
    struct mem_db *db = mem_lock(s);
    int r = 0;
    if (n != db->n_shards && db->tables[0].stored + db->tables[1].stored > 0) {
        r = error_set(err, -EBUSY, "%s: its records are in %u shards; that cannot change", s->name,
                      db->n_shards);
    } else {
        db->n_shards = n;
        db->version++;
    }
    mem_unlock(db);
    return r;
}

static int put_epoch(struct mem_db *db, const char *name, const struct settings *e,
                     struct error *err)
{
    const struct settings *newest = db->settings.n ? &db->settings.v[db->settings.n - 1] : NULL;
    int r = store_check_epoch(name, newest, e, err);
    if (r < 0) {
        return r;
    }
    if (newest && newest->effective_from == e->effective_from) {
        db->settings.n--;
    }
    ARRAY_RESERVE(db->settings.v, db->settings.n, db->settings.cap);
    db->settings.v[db->settings.n++] = *e;
    db->version++;
    return 0;
}

static int mem_add_settings(struct store *s, const struct settings *e, int64_t added_at,
                            struct error *err)
{
    (void)added_at; // for people who look into a file
    struct mem_db *db = mem_lock(s);
    int r = put_epoch(db, s->name, e, err);
    mem_unlock(db);
    return r;
}

static int mem_add_price(struct store *s, const struct price_entry *e, int64_t *ret_id,
                         struct error *err)
{
    (void)err;
    struct mem_db *db = mem_lock(s);
    ARRAY_RESERVE(db->prices.v, db->prices.n, db->prices.cap);
    struct price_entry *kept = &db->prices.v[db->prices.n++];
    *kept = *e;
    kept->id = (int64_t)db->prices.n;
    kept->name = arena_copy(&db->arena, e->name);
    kept->site = arena_copy(&db->arena, e->site);
    kept->source = arena_copy(&db->arena, e->source);
    *ret_id = kept->id;
    db->version++;
    mem_unlock(db);
    return 0;
}

static void count_times(const struct mem_db *db, struct store_info *ret)
{
    for (size_t k = 0; k < ARRAY_LEN(db->tables); k++) {
        for (size_t i = 0; i < db->tables[k].n; i++) {
            const struct mem_record *m = db->tables[k].rows[i];
            if (m == NULL) {
                continue;
            }
            int64_t ts = record_ts(&m->record);
            int64_t first = k == RECORD_USAGE ? usage_start(&m->record.usage) : ts;
            ret->first = MIN(ret->first, first);
            ret->last = MAX(ret->last, ts);
        }
    }
}

static int64_t final_until(const struct mem_db *db)
{
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < db->shards.n; i++) {
        if (db->shards.v[i].has_records) {
            least = MIN(least, db->shards.v[i].state.frontier);
        }
    }
    return least == INT64_MAX ? INT64_MIN : least;
}

static int64_t windows_from(const struct mem_db *db)
{
    int64_t from = INT64_MIN;
    for (size_t i = 0; i < db->shards.n; i++) {
        from = MAX(from, db->shards.v[i].windows_from);
    }
    return from;
}

static int mem_info(struct store *s, struct store_info *ret, struct error *err)
{
    (void)err;
    struct mem_db *db = mem_lock(s);
    *ret = (struct store_info){
        .schema_version = 1,
        .migrated_from = -1,
        .n_shards = db->n_shards,
        .samples = db->tables[RECORD_SAMPLE].stored,
        .usages = db->tables[RECORD_USAGE].stored,
        .dead_letters = (int64_t)db->dead_letters.n,
        .raw_from = db->raw_from,
        .windows_from = windows_from(db),
        .longest_usage_ns = db->longest_usage_ns,
        .first = INT64_MAX,
        .last = INT64_MIN,
        .final_until = final_until(db),
        .data_version = db->version,
    };
    count_times(db, ret);
    mem_unlock(db);
    return 0;
}

static int mem_settings(struct store *s, struct arena *a, struct settings_history *ret,
                        struct error *err)
{
    (void)err;
    struct mem_db *db = mem_lock(s);
    ret->n = db->settings.n;
    ret->epochs = arena_alloc(a, ret->n * sizeof(*ret->epochs));
    if (ret->n > 0) {
        memcpy(ret->epochs, db->settings.v, ret->n * sizeof(*ret->epochs));
    }
    mem_unlock(db);
    return 0;
}

static int mem_prices(struct store *s, struct arena *a, struct price_book *ret, struct error *err)
{
    (void)err;
    struct mem_db *db = mem_lock(s);
    struct price_entry *entries = arena_alloc(a, db->prices.n * sizeof(*entries));
    for (size_t i = 0; i < db->prices.n; i++) {
        entries[i] = db->prices.v[i];
        entries[i].name = arena_copy(a, entries[i].name);
        entries[i].site = arena_copy(a, entries[i].site);
        entries[i].source = arena_copy(a, entries[i].source);
    }
    *ret = (struct price_book){entries, db->prices.n};
    mem_unlock(db);
    return 0;
}

static int mem_position(struct store *s, struct str input, struct input_position *ret,
                        struct error *err)
{
    struct mem_db *db = mem_lock(s);
    int r = -ENOENT;
    for (size_t i = 0; i < db->positions.n; i++) {
        if (str_eq(db->positions.v[i].input, input)) {
            *ret = db->positions.v[i];
            ret->input = input;
            r = 0;
        }
    }
    mem_unlock(db);
    return r == 0 ? 0 : error_set(err, r, "%s: nothing was ever read from this input", s->name);
}

static int mem_shard_state(struct store *s, uint32_t shard, struct shard_state *ret,
                           struct error *err)
{
    (void)err;
    struct mem_db *db = mem_lock(s);
    *ret = store_no_state(shard);
    for (size_t i = 0; i < db->shards.n; i++) {
        if (db->shards.v[i].state.shard == shard) {
            *ret = db->shards.v[i].state;
        }
    }
    mem_unlock(db);
    return 0;
}

static bool range_before(const struct unsettled_range *a, const struct unsettled_range *b)
{
    if (a->shard != b->shard) {
        return a->shard < b->shard;
    }
    return a->from != b->from ? a->from < b->from : a->to < b->to;
}
DEFINE_SORT(sort_ranges, struct unsettled_range, range_before);

static int mem_unsettled(struct store *s, struct arena *a, struct unsettled_range **ret,
                         size_t *ret_n, struct error *err)
{
    (void)err;
    struct mem_db *db = mem_lock(s);
    size_t n = db->unsettled.n;
    struct unsettled_range *ranges = arena_alloc(a, 2 * n * sizeof(*ranges)); // half to sort with
    for (size_t i = 0; i < n; i++) {
        ranges[i] = db->unsettled.v[i];
    }
    mem_unlock(db);
    sort_ranges(ranges, n, ranges + n);
    *ret = ranges;
    *ret_n = n;
    return 0;
}

static int mem_gpus(struct store *s, struct arena *a, struct gpu_info **ret, size_t *ret_n,
                    struct error *err)
{
    (void)err;
    struct mem_db *db = mem_lock(s);
    struct gpu_info *gpus = arena_alloc(a, db->gpus.n * sizeof(*gpus));
    for (size_t i = 0; i < db->gpus.n; i++) {
        const struct mem_gpu *g = &db->gpus.v[i];
        gpus[i].newest = mem_copy_sample(a, &g->newest->record.sample);
        gpus[i].first_seen = g->first_seen;
    }
    *ret = gpus;
    *ret_n = db->gpus.n;
    mem_unlock(db);
    return 0;
}

const struct store_ops store_memory_ops = {
    .scheme = "memory",
    .transactions = true,
    .open = mem_open,
    .close = mem_close,
    .commit = mem_commit,
    .set_shards = mem_set_shards,
    .add_settings = mem_add_settings,
    .add_price = mem_add_price,
    .expire = mem_expire,
    .hold = mem_hold,
    .release = mem_release,
    .info = mem_info,
    .settings = mem_settings,
    .prices = mem_prices,
    .position = mem_position,
    .shard = mem_shard_state,
    .unsettled = mem_unsettled,
    .gpus = mem_gpus,
    .records = mem_records,
    .records_next = mem_records_next,
    .record = mem_record,
    .cost = mem_cost,
    .windows = mem_windows,
    .windows_next = mem_windows_next,
    .dead_letters = mem_dead_letters,
    .dead_letters_next = mem_dead_letters_next,
    .corrections = mem_corrections,
    .corrections_next = mem_corrections_next,
    .cursor_close = mem_cursor_close,
};
