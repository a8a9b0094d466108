// Memory with one lifetime: bump allocation, released all at once. A batch, a window and the
// process each have theirs. Never returns NULL (see base/alloc.h); alignment 16. Not thread-safe;
// an arena travels with the batch that owns it. All zero is an empty arena, and what arena_done()
// leaves behind.
#pragma once

#include "base/str.h"

struct arena_block;

struct arena {
    struct arena_block *head; // newest first
    char *at, *end;           // free space in head
    size_t used;              // bytes handed out since the last reset
};

// size 0 gives a pointer that must not be read. Memory is not zeroed.
void *arena_alloc(struct arena *a, size_t size) __attribute__((returns_nonnull, alloc_size(2)));
struct str arena_copy(struct arena *a, struct str s); // NUL-terminated copy; absent stays absent
void arena_reset(struct arena *a);                    // empty, one block kept
void arena_done(struct arena *a);
size_t arena_reserved(const struct arena *a); // bytes held from the system
