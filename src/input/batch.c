#include <stdlib.h>

#include "base/alloc.h"
#include "input/input.h"

void batch_init(struct batch *b)
{
    *b = (struct batch){.offset = -1};
}

void batch_clear(struct batch *b)
{
    arena_reset(&b->arena);
    b->n_records = 0;
    b->n_dead = 0;
    b->change = SHARDS_SAME;
    b->shards = NULL;
    b->n_shards = 0;
}

void batch_done(struct batch *b)
{
    arena_done(&b->arena);
    free(b->records);
    free(b->payloads);
    free(b->dead);
    *b = (struct batch){.offset = -1};
}

struct record *batch_add(struct batch *b)
{
    if (b->n_records == b->cap_records) {
        ARRAY_RESERVE(b->records, b->n_records, b->cap_records);
        b->payloads = x_realloc_array(b->payloads, b->cap_records, sizeof(b->payloads[0]));
    }
    b->payloads[b->n_records] = STR_NONE;
    struct record *r = &b->records[b->n_records++];
    *r = (struct record){0};
    return r;
}

struct dead_letter *batch_add_dead(struct batch *b)
{
    ARRAY_RESERVE(b->dead, b->n_dead, b->cap_dead);
    struct dead_letter *d = &b->dead[b->n_dead++];
    *d = (struct dead_letter){0};
    return d;
}
