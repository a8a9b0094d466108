// A held snapshot: a copy of everything that can change. Text never does, and lives as long as the
// database, which the handle keeps open.
#include <stdlib.h>

#include "base/alloc.h"
#include "output/memory/memory.h"

static void *copy_array(const void *v, size_t n, size_t size)
{
    void *copy = x_array(n, size);
    if (n > 0) {
        memcpy(copy, v, n * size);
    }
    return copy;
}

#define COPY_ARRAY(to, from)                                                                       \
    ((to).v = copy_array((from).v, (from).n, sizeof((from).v[0])), (to).n = (from).n)

static void copy_table(struct mem_db *copy, const struct mem_table *from, struct mem_table *to)
{
    to->rows = x_array(from->n, sizeof(*to->rows));
    to->n = from->n;
    to->stored = from->stored;
    for (size_t i = 0; i < from->n; i++) {
        if (from->rows[i]) {
            to->rows[i] = arena_alloc(&copy->arena, sizeof(*to->rows[i]));
            *to->rows[i] = *from->rows[i];
        }
    }
}

static void copy_level(const struct mem_level *from, struct mem_level *to)
{
    to->spans = copy_array(from->spans, from->n, sizeof(*to->spans));
    to->n = from->n;
    for (size_t i = 0; i < to->n; i++) {
        struct mem_span *span = &to->spans[i];
        span->rows = copy_array(span->rows, span->n, sizeof(*span->rows));
    }
}

static struct mem_db *copy_db(const struct mem_db *from)
{
    struct mem_db *copy = x_zalloc(sizeof(*copy));
    pthread_mutex_init(&copy->lock, NULL);
    copy->n_shards = from->n_shards;
    copy->version = from->version;
    copy->raw_from = from->raw_from;
    copy->longest_usage_ns = from->longest_usage_ns;
    for (size_t i = 0; i < ARRAY_LEN(copy->tables); i++) {
        copy_table(copy, &from->tables[i], &copy->tables[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(copy->levels); i++) {
        copy_level(&from->levels[i], &copy->levels[i]);
    }
    COPY_ARRAY(copy->shards, from->shards);
    COPY_ARRAY(copy->unsettled, from->unsettled);
    COPY_ARRAY(copy->corrections, from->corrections);
    COPY_ARRAY(copy->dead_letters, from->dead_letters);
    COPY_ARRAY(copy->positions, from->positions);
    COPY_ARRAY(copy->settings, from->settings);
    COPY_ARRAY(copy->prices, from->prices);
    COPY_ARRAY(copy->gpus, from->gpus);
    return copy;
}

int mem_hold(struct store *s, struct error *err)
{
    (void)err;
    struct mem_db *db = mem_lock(s);
    struct mem_db *copy = copy_db(db);
    mem_unlock(db);
    ((struct mem_store *)s)->held = copy;
    return 0;
}

void mem_release(struct store *s)
{
    struct mem_store *m = (struct mem_store *)s;
    mem_db_free(m->held);
    m->held = NULL;
}
