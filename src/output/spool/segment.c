#include "output/spool/segment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"

static const char suffix[] = ".spool";

void segment_name(uint64_t number, char ret[SEGMENT_NAME_MAX])
{
    snprintf(ret, SEGMENT_NAME_MAX, "%016llx%s", (unsigned long long)number, suffix);
}

bool segment_number(const char *name, uint64_t *ret)
{
    char again[SEGMENT_NAME_MAX];
    unsigned long long number = strtoull(name, NULL, 16);
    segment_name(number, again);
    *ret = number;
    return number > 0 && strcmp(name, again) == 0;
}

void segment_head_make(const struct segment *s, struct segment_head *ret)
{
    *ret = (struct segment_head){
        .version = SEGMENT_VERSION,
        .size = sizeof(*ret),
        .number = s->number,
        .id = s->id,
        .made_at = s->made_at,
    };
    memcpy(ret->magic, SEGMENT_MAGIC, sizeof(ret->magic));
    ret->hash = hash_bytes(ret, offsetof(struct segment_head, hash), 0);
}

int segment_head_take(const struct segment_head *h, uint64_t number, struct segment *ret)
{
    if (memcmp(h->magic, SEGMENT_MAGIC, sizeof(h->magic)) != 0) {
        return -EBADMSG;
    }
    if (h->hash != hash_bytes(h, offsetof(struct segment_head, hash), 0)) {
        return h->version > SEGMENT_VERSION && h->version < 1000 ? -EPROTONOSUPPORT : -EBADMSG;
    }
    if (h->version != SEGMENT_VERSION) {
        return -EPROTONOSUPPORT;
    }
    if (h->number != number || h->size != sizeof(*h)) {
        return -EBADMSG;
    }
    *ret = (struct segment){.number = number, .id = h->id, .made_at = h->made_at};
    return 0;
}

static uint64_t head_hash(const struct segment *s, int64_t offset, const struct frame_head *h)
{
    return hash_bytes(h, offsetof(struct frame_head, hash), s->id ^ (uint64_t)offset);
}

void frame_put(const struct segment *s, int64_t offset, struct str payload, struct buf *to)
{
    struct frame_head h = {
        .magic = FRAME_MAGIC,
        .length = (uint32_t)payload.n,
        .payload_hash = hash_bytes(payload.p, payload.n, s->id),
    };
    h.hash = head_hash(s, offset, &h);
    buf_add(to, &h, sizeof(h));
    buf_str(to, payload);
}

static bool head_stands(const struct segment *s, int64_t offset, const char *p,
                        struct frame_head *ret)
{
    memcpy(ret, p, sizeof(*ret));
    return ret->magic == FRAME_MAGIC && ret->length <= SPOOL_PAYLOAD_MAX &&
           ret->hash == head_hash(s, offset, ret);
}

enum frame_state frame_get(const struct segment *s, int64_t offset, const char *window, size_t n,
                           size_t at, struct str *ret_payload, size_t *ret_size)
{
    struct frame_head h;
    if (n - at < sizeof(h) || !head_stands(s, offset + (int64_t)at, window + at, &h)) {
        return FRAME_NONE;
    }
    *ret_size = sizeof(h) + h.length;
    if (n - at < *ret_size) {
        return FRAME_CUT;
    }
    *ret_payload = (struct str){window + at + sizeof(h), h.length};
    bool whole = h.payload_hash == hash_bytes(ret_payload->p, h.length, s->id);
    return whole ? FRAME_GOOD : FRAME_DAMAGED;
}

size_t frame_find(const struct segment *s, int64_t offset, const char *window, size_t n, size_t at)
{
    static const uint32_t magic = FRAME_MAGIC;
    struct frame_head h;
    for (; at + sizeof(h) <= n; at++) {
        const char *p = memchr(window + at, *(const char *)&magic, n - at - sizeof(h) + 1);
        if (!p) {
            break;
        }
        at = (size_t)(p - window);
        if (head_stands(s, offset + (int64_t)at, p, &h)) {
            return at;
        }
    }
    return n;
}
