// The files of a spool. All numbers are in the machine's byte order: a spool does not travel.
// Internal to src/output/spool.
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "output/spool/spool.h"

// At the beginning of each file.
struct segment_head {
    char magic[8]; // SEGMENT_MAGIC
    uint32_t version, size;
    uint64_t number; // as in its name; grows by one
    uint64_t id;     // random: seeds the checksums, so that nothing that looks like a frame is one
    int64_t made_at; // wall time, ns
    uint64_t hash;   // of all before
};

struct frame_head {
    uint32_t magic, length; // of the payload behind it
    uint64_t payload_hash;
    uint64_t hash; // of the fields before, of the segment's id and of where the frame stands
};

#define SEGMENT_MAGIC "gtapspl\n"
enum { SEGMENT_VERSION = 1, FRAME_MAGIC = 0x6d617266, SEGMENT_NAME_MAX = 32 };

struct segment {
    uint64_t number, id;
    int64_t made_at;
    int64_t size; // bytes of whole frames, the head included
};

void segment_name(uint64_t number, char ret[SEGMENT_NAME_MAX]);
// Whether it is the name of a segment.
bool segment_number(const char *name, uint64_t *ret);

void segment_head_make(const struct segment *s, struct segment_head *ret);
// 0; -EPROTONOSUPPORT: of a newer version; -EBADMSG: damaged, or something else.
int segment_head_take(const struct segment_head *h, uint64_t number, struct segment *ret);

// Appends a frame that will stand at `offset` of the segment.
void frame_put(const struct segment *s, int64_t offset, struct str payload, struct buf *to);

// What stands at `at` of `window`, n bytes of the segment from `offset` on.
enum frame_state {
    FRAME_GOOD,
    FRAME_DAMAGED, // its head is good, the payload is not: pass over all of it
    FRAME_CUT,     // its head is good, but the payload ends beyond the window
    FRAME_NONE,    // there is no frame here
};
enum frame_state frame_get(const struct segment *s, int64_t offset, const char *window, size_t n,
                           size_t at, struct str *ret_payload, size_t *ret_size);

// The next place from `at` on where a frame's head stands; n: none. Up to the last few bytes, which
// may be the beginning of one: they are not looked at.
size_t frame_find(const struct segment *s, int64_t offset, const char *window, size_t n, size_t at);
