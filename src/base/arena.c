#include "base/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"

enum { ARENA_ALIGN = 16, ARENA_FIRST = 4096, ARENA_LARGEST_STEP = 1 << 20 };

struct arena_block {
    struct arena_block *next;
    size_t size; // of data
    _Alignas(ARENA_ALIGN) char data[];
};

static void use_block(struct arena *a, struct arena_block *block)
{
    a->head = block;
    a->at = block->data;
    a->end = block->data + block->size;
}

static void grow(struct arena *a, size_t size)
{
    size_t step = a->head ? a->head->size * 2 : ARENA_FIRST;
    step = step < ARENA_LARGEST_STEP ? step : ARENA_LARGEST_STEP;
    size_t room = size > step ? size : step;
    struct arena_block *block = x_alloc(sizeof(*block) + room);
    block->next = a->head;
    block->size = room;
    use_block(a, block);
}

void *arena_alloc(struct arena *a, size_t size)
{
    assert(size < PTRDIFF_MAX / 2);
    size_t rounded = (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (a->head == NULL || rounded > (size_t)(a->end - a->at)) {
        grow(a, rounded);
    }
    void *p = a->at;
    a->at += rounded;
    a->used += rounded;
    return p;
}

struct str arena_copy(struct arena *a, struct str s)
{
    if (s.p == NULL) {
        return STR_NONE;
    }
    char *copy = arena_alloc(a, s.n + 1);
    if (s.n > 0) {
        memcpy(copy, s.p, s.n);
    }
    copy[s.n] = '\0';
    return (struct str){copy, s.n};
}

static void free_blocks(struct arena_block *block)
{
    while (block) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
}

void arena_reset(struct arena *a)
{
    a->used = 0;
    if (a->head) {
        free_blocks(a->head->next);
        a->head->next = NULL;
        use_block(a, a->head);
    }
}

void arena_done(struct arena *a)
{
    free_blocks(a->head);
    *a = (struct arena){0};
}

size_t arena_reserved(const struct arena *a)
{
    size_t total = 0;
    for (const struct arena_block *block = a->head; block; block = block->next) {
        total += sizeof(*block) + block->size;
    }
    return total;
}
