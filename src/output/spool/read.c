// The beginning of a spool, and what is dropped from it.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "output/spool/spool_impl.h"

// ---- the list --------------------------------------------------------------------------------

void spool_remove(struct spool *s, size_t i)
{
    s->bytes -= s->segments[i].size;
    s->n--;
    memmove(&s->segments[i], &s->segments[i + 1], (s->n - i) * sizeof(s->segments[0]));
    if (i == 0) {
        s->read_at = HEAD;
    }
}

void spool_forget_first(struct spool *s)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(s->segments[0].number, name);
    (void)unlinkat(s->dir_fd, name, 0); // one that stays is known by its position, and dropped then
    spool_remove(s, 0);
}

void spool_set_aside(struct spool *s, size_t i)
{
    char name[SEGMENT_NAME_MAX], aside[SEGMENT_NAME_MAX + 16];
    segment_name(s->segments[i].number, name);
    snprintf(aside, sizeof(aside), "%s.damaged", name);
    (void)!renameat(s->dir_fd, name, s->dir_fd, aside);
    spool_remove(s, i);
    s->damaged++;
}

// ---- reading ---------------------------------------------------------------------------------

static int open_to_read(struct spool *s, uint64_t number)
{
    if (s->read_fd >= 0 && s->read_number == number) {
        return 0;
    }
    if (s->read_fd >= 0) {
        close(s->read_fd);
    }
    char name[SEGMENT_NAME_MAX];
    segment_name(number, name);
    s->read_number = number;
    s->read_fd = openat(s->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return s->read_fd < 0 ? -errno : 0;
}

static int load_window(struct spool *s, struct spool_batch *b, int64_t at, size_t n)
{
    if (b->cap_window < n) {
        free(b->window);
        b->window = x_alloc(n);
        b->cap_window = n;
    }
    for (b->n_window = 0; b->n_window < n;) {
        ssize_t got =
            pread(s->read_fd, b->window + b->n_window, n - b->n_window, at + (int64_t)b->n_window);
        if (got < 0 && errno != EINTR) {
            return -errno;
        }
        if (got == 0) {
            return -EIO; // shorter than it was
        }
        b->n_window += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

static void add_payload(struct spool_batch *b, struct str payload)
{
    ARRAY_RESERVE(b->payloads, b->n, b->cap);
    b->payloads[b->n++] = payload;
}

// A place that is no frame begins, or goes on from the window before.
static void count_damage(struct spool *s)
{
    if (!s->lost) {
        pthread_mutex_lock(&s->lock);
        s->damaged++;
        pthread_mutex_unlock(&s->lock);
    }
    s->lost = true;
}

struct reading {
    struct segment segment;
    int64_t at;   // where the window begins
    bool last;    // nothing comes behind the window
    size_t wants; // bytes that the next window must have, to get anywhere
};

// Takes what the window holds; the bytes dealt with.
static size_t take_frames(struct spool *s, struct reading *r, struct spool_batch *b)
{
    size_t at = 0, n = b->n_window, size = 0;
    struct str payload;
    r->wants = sizeof(struct frame_head);
    while (at < n) {
        enum frame_state state = frame_get(&r->segment, r->at, b->window, n, at, &payload, &size);
        if (state == FRAME_GOOD) {
            add_payload(b, payload);
            s->lost = false;
            at += size;
            continue;
        }
        if (!r->last && (state == FRAME_CUT || n - at < sizeof(struct frame_head))) {
            r->wants = state == FRAME_CUT ? size : r->wants;
            return at;
        }
        count_damage(s);
        if (state == FRAME_DAMAGED) {
            s->lost = false;
            at += size;
            continue;
        }
        at = frame_find(&r->segment, r->at, b->window, n, at + 1);
        if (at == n && !r->last) { // a head may begin in the last bytes
            return n - sizeof(struct frame_head) + 1;
        }
    }
    return at;
}

// Until there is a message, or the segment is at its end.
static int read_segment(struct spool *s, struct reading *r, struct spool_batch *b, size_t bytes)
{
    r->wants = sizeof(struct frame_head);
    int result = open_to_read(s, r->segment.number);
    while (result == 0 && b->n == 0 && r->at < r->segment.size) {
        int64_t left = r->segment.size - r->at;
        int64_t window = MIN(left, (int64_t)MAX(bytes, r->wants));
        r->last = window == left;
        result = load_window(s, b, r->at, (size_t)window);
        if (result == 0) {
            r->at += (int64_t)take_frames(s, r, b);
        }
    }
    return result;
}

// The oldest segment, if it has more than was dropped; one that is at its end goes.
static bool first_segment(struct spool *s, struct reading *r)
{
    pthread_mutex_lock(&s->lock);
    while (s->n > 1 && s->read_at >= s->segments[0].size) {
        spool_forget_first(s);
    }
    bool any = s->n > 0 && s->read_at < s->segments[0].size;
    if (any) {
        *r = (struct reading){.segment = s->segments[0], .at = s->read_at};
    }
    pthread_mutex_unlock(&s->lock);
    return any;
}

static void set_first_aside(struct spool *s)
{
    pthread_mutex_lock(&s->lock);
    if (!(s->appending && s->n == 1)) { // else again, when that is over
        spool_set_aside(s, 0);
    }
    pthread_mutex_unlock(&s->lock);
}

void spool_read(struct spool *s, struct spool_batch *b, size_t bytes)
{
    struct reading r;
    b->n = 0;
    while (b->n == 0 && first_segment(s, &r)) {
        if (read_segment(s, &r, b, bytes) < 0) {
            b->n = 0;
            set_first_aside(s);
            continue;
        }
        b->end.segment = r.segment.number;
        b->end.offset = r.at;
        if (b->n == 0) {
            spool_drop(s, b); // nothing in it can be read
        }
    }
}

// ---- dropping --------------------------------------------------------------------------------

void spool_drop(struct spool *s, const struct spool_batch *b)
{
    pthread_mutex_lock(&s->lock);
    if (s->n > 0 && s->segments[0].number == b->end.segment) {
        s->read_at = MAX(s->read_at, b->end.offset);
        s->dropped += b->n;
        bool at_end = s->read_at >= s->segments[0].size;
        if (at_end && !(s->appending && s->n == 1)) {
            spool_forget_first(s);
        }
        spool_write_position(s, b->end.segment + 1);
    }
    pthread_mutex_unlock(&s->lock);
}

void spool_batch_done(struct spool_batch *b)
{
    free(b->payloads);
    free(b->window);
    *b = (struct spool_batch){0};
}

// ---- for any thread --------------------------------------------------------------------------

static int64_t waiting_bytes(const struct spool *s)
{
    return s->bytes - (int64_t)s->n * HEAD - (s->read_at - HEAD);
}

struct spool_stats spool_stats(struct spool *s)
{
    pthread_mutex_lock(&s->lock);
    struct spool_stats stats = {
        .bytes = s->bytes,
        .limit = s->limit,
        .waiting = waiting_bytes(s),
        .segments = s->n,
        .oldest = s->n > 0 ? s->segments[0].made_at : INT64_MIN,
        .appended = s->appended,
        .refused = s->refused,
        .dropped = s->dropped,
        .damaged = s->damaged,
        .cut = s->cut,
    };
    pthread_mutex_unlock(&s->lock);
    return stats;
}

bool spool_is_empty(struct spool *s)
{
    pthread_mutex_lock(&s->lock);
    bool empty = waiting_bytes(s) == 0;
    pthread_mutex_unlock(&s->lock);
    return empty;
}
