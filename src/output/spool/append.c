// The end of a spool that grows. A segment is in the list only once its first frames are durable,
// so the reader never meets one that is half made.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/alloc.h"
#include "output/spool/spool_impl.h"

#define FRAMES_KEPT ((size_t)256 << 10) // memory that is kept between two appends

static int refused(struct spool *s, size_t n, int code)
{
    pthread_mutex_lock(&s->lock);
    s->refused += n;
    s->appending = false;
    pthread_mutex_unlock(&s->lock);
    return code;
}

static int is_full(struct spool *s, size_t n, struct error *err)
{
    error_set(err, -ENOSPC,
              "spool %s: it holds the %lld MiB that it may: give it more by --spool-max, or mend "
              "what keeps it from being sent",
              s->dir, (long long)(s->limit >> 20));
    return refused(s, n, -ENOSPC);
}

static int disk_failed(struct spool *s, size_t n, int code, struct error *err)
{
    bool full = code == -ENOSPC || code == -EDQUOT || code == -EFBIG;
    error_set(err, full ? -ENOSPC : code, "spool %s: cannot write to it: %s%s", s->dir,
              error_name(code), full ? ": free some space" : "");
    return refused(s, n, full ? -ENOSPC : code);
}

static void end_segment(struct spool *s)
{
    if (s->write_fd >= 0) {
        close(s->write_fd);
        s->write_fd = -1;
    }
}

static int write_all(struct spool *s, int64_t at)
{
    const char *p = s->frames.p;
    for (size_t left = s->frames.n; left > 0;) {
        int64_t n = s->io->pwrite(s->write_fd, p, left, at);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n > 0) {
            p += n, at += n, left -= (size_t)n;
        } else if (n == 0) {
            return -ENOSPC;
        }
    }
    return s->io->fdatasync(s->write_fd) < 0 ? -errno : 0;
}

static void put_frames(struct spool *s, const struct segment *g, const struct str *payloads,
                       size_t n)
{
    int64_t base = g->size - (int64_t)s->frames.n; // where the buffer begins
    for (size_t i = 0; i < n; i++) {
        frame_put(g, base + (int64_t)s->frames.n, payloads[i], &s->frames);
    }
}

// ---- to the last segment ---------------------------------------------------------------------

static int grow(struct spool *s, struct segment g, const struct str *payloads, size_t n,
                struct error *err)
{
    put_frames(s, &g, payloads, n);
    int r = write_all(s, g.size);
    if (r < 0) {
        // What the disk holds of it is unknown now, so nothing goes behind it any more.
        (void)!s->io->ftruncate(s->write_fd, g.size);
        end_segment(s);
        return disk_failed(s, n, r, err);
    }
    pthread_mutex_lock(&s->lock);
    s->segments[s->n - 1].size += (int64_t)s->frames.n;
    s->bytes += (int64_t)s->frames.n;
    s->appended += n;
    s->appending = false;
    pthread_mutex_unlock(&s->lock);
    return 0;
}

// ---- to a new one ----------------------------------------------------------------------------

static struct segment new_segment(struct spool *s)
{
    struct segment g = {.number = s->next_number++, .made_at = clock_wall(s->clock), .size = HEAD};
    if (getrandom(&g.id, sizeof(g.id), 0) != (ssize_t)sizeof(g.id)) {
        g.id = (uint64_t)g.made_at ^ (uint64_t)(uintptr_t)s;
    }
    return g;
}

static int begin(struct spool *s, const struct str *payloads, size_t n, struct error *err)
{
    char name[SEGMENT_NAME_MAX];
    struct segment_head head;
    struct segment g = new_segment(s);
    segment_name(g.number, name);
    segment_head_make(&g, &head);
    buf_add(&s->frames, &head, sizeof(head));
    put_frames(s, &(struct segment){.id = g.id, .size = HEAD}, payloads, n);
    s->write_fd = openat(s->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (s->write_fd < 0) {
        return disk_failed(s, n, -errno, err);
    }
    int r = write_all(s, 0);
    if (r == 0 && fsync(s->dir_fd) < 0) {
        r = -errno;
    }
    if (r < 0) {
        (void)unlinkat(s->dir_fd, name, 0);
        end_segment(s);
        return disk_failed(s, n, r, err);
    }
    g.size = (int64_t)s->frames.n;
    s->write_number = g.number;
    pthread_mutex_lock(&s->lock);
    ARRAY_RESERVE(s->segments, s->n, s->cap);
    s->segments[s->n++] = g;
    s->bytes += g.size;
    s->appended += n;
    pthread_mutex_unlock(&s->lock);
    return 0;
}

// ---- either ----------------------------------------------------------------------------------

// Whether there is room, and where: *ret is the last segment when it is to be grown, else zeroed.
static bool find_room(struct spool *s, int64_t bytes, struct segment *ret)
{
    *ret = (struct segment){0};
    pthread_mutex_lock(&s->lock);
    const struct segment *last = s->n > 0 ? &s->segments[s->n - 1] : NULL;
    bool open = s->write_fd >= 0 && last && last->number == s->write_number;
    bool grows = open && last->size + bytes <= s->segment_bytes;
    bool room = s->bytes + bytes + (grows ? 0 : HEAD) <= s->limit;
    if (room && grows) {
        s->appending = true;
        *ret = *last;
    }
    pthread_mutex_unlock(&s->lock);
    return room;
}

static int append(struct spool *s, const struct str *payloads, size_t n, int64_t bytes,
                  struct error *err)
{
    struct segment last;
    if (!find_room(s, bytes, &last)) {
        return is_full(s, n, err);
    }
    buf_init(&s->frames, (size_t)bytes + HEAD);
    int r;
    if (last.number != 0) {
        r = grow(s, last, payloads, n, err);
    } else {
        end_segment(s);
        r = begin(s, payloads, n, err);
    }
    buf_done(&s->frames);
    return r;
}

int spool_append(struct spool *s, const struct str *payloads, size_t n, struct error *err)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        if (payloads[i].n > SPOOL_PAYLOAD_MAX) {
            error_set(err, -EMSGSIZE, "spool %s: a message of %zu bytes is too long for it", s->dir,
                      payloads[i].n);
            return refused(s, n, -EMSGSIZE);
        }
        bytes += (int64_t)(sizeof(struct frame_head) + payloads[i].n);
    }
    return n > 0 ? append(s, payloads, n, bytes, err) : 0;
}
