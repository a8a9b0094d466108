// Opening a spool: what an earlier process, or a crash, left behind.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "output/spool/spool_impl.h"

#define POSITION_MAGIC UINT64_C(0x31736f706c707467)
#define SEGMENT_BYTES (INT64_C(4) << 20)
#define SCAN_BYTES_MAX (INT64_C(64) << 20)
enum { SEGMENTS_IN_LIMIT = 8 }; // at least: room comes back a segment at a time

static int64_t system_pwrite(int fd, const void *p, size_t n, int64_t at)
{
    return pwrite(fd, p, n, at);
}

static int system_ftruncate(int fd, int64_t size)
{
    return ftruncate(fd, size);
}

static const struct spool_io system_io = {system_pwrite, fdatasync, system_ftruncate};

// ---- the folder ------------------------------------------------------------------------------

static int dir_failed(const char *dir, const char *what, struct error *err)
{
    int code = -errno;
    return error_set(err, code, "spool %s: cannot %s: %s", dir, what, error_name(code));
}

static int open_dir(struct spool *s, struct error *err)
{
    if (mkdir(s->dir, 0700) < 0 && errno != EEXIST) {
        return dir_failed(s->dir, "make it", err);
    }
    s->dir_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return s->dir_fd < 0 ? dir_failed(s->dir, "open it", err) : 0;
}

static int open_file(const struct spool *s, const char *name)
{
    return openat(s->dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

// The lock goes with its descriptor, however the process ends.
static int take_lock(struct spool *s, struct error *err)
{
    s->lock_fd = open_file(s, "lock");
    if (s->lock_fd < 0) {
        return dir_failed(s->dir, "write to it", err);
    }
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        return errno == EWOULDBLOCK
                   ? error_set(err, -EBUSY,
                               "spool %s: another gtap uses it: give each its own folder", s->dir)
                   : dir_failed(s->dir, "lock it", err);
    }
    return 0;
}

// ---- the segments ----------------------------------------------------------------------------

static int by_number(const void *a, const void *b)
{
    uint64_t left = ((const struct segment *)a)->number;
    uint64_t right = ((const struct segment *)b)->number;
    return (left > right) - (left < right);
}

static int list_numbers(struct spool *s, struct error *err)
{
    int fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        return dir_failed(s->dir, "list it", err);
    }
    const struct dirent *entry;
    uint64_t number;
    while ((entry = readdir(d))) {
        if (segment_number(entry->d_name, &number)) {
            ARRAY_RESERVE(s->segments, s->n, s->cap);
            s->segments[s->n++] = (struct segment){.number = number};
        }
    }
    closedir(d);
    if (s->n > 0) {
        qsort(s->segments, s->n, sizeof(s->segments[0]), by_number);
    }
    s->next_number = s->n > 0 ? s->segments[s->n - 1].number + 1 : 1;
    return 0;
}

// Its head and its size. 1: it is one; 0: nothing was ever in it, or it is damaged, and it is gone.
static int look_at(struct spool *s, size_t i, struct error *err)
{
    char name[SEGMENT_NAME_MAX];
    struct segment_head head;
    struct stat file;
    uint64_t number = s->segments[i].number;
    segment_name(number, name);
    int fd = openat(s->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &file) < 0) {
        int r = dir_failed(s->dir, name, err);
        if (fd >= 0) {
            close(fd);
        }
        return r;
    }
    ssize_t n = pread(fd, &head, sizeof(head), 0);
    close(fd);
    if (n >= 0 && n < HEAD) { // a crash while it was made
        (void)unlinkat(s->dir_fd, name, 0);
        spool_remove(s, i);
        return 0;
    }
    int r = n < 0 ? -EBADMSG : segment_head_take(&head, number, &s->segments[i]);
    if (r == -EPROTONOSUPPORT) {
        return error_set(err, r, "spool %s: %s was written by a newer gtap: use that one", s->dir,
                         name);
    }
    if (r < 0) {
        spool_set_aside(s, i);
        return 0;
    }
    s->segments[i].size = file.st_size;
    s->bytes += file.st_size;
    return 1;
}

static int look_at_all(struct spool *s, struct error *err)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < s->n;) {
        r = look_at(s, i, err);
        i += r > 0;
    }
    return r < 0 ? r : 0;
}

// Where its last whole frame ends.
static int64_t whole_until(const struct segment *g, const char *all, size_t n)
{
    size_t at = HEAD, end = HEAD;
    while (at < n) {
        struct str payload;
        size_t size;
        enum frame_state state = frame_get(g, 0, all, n, at, &payload, &size);
        if (state == FRAME_GOOD || state == FRAME_DAMAGED) {
            end = at += size;
        } else {
            at = frame_find(g, 0, all, n, at + 1);
        }
    }
    return (int64_t)end;
}

// The last one is appended to again, behind what is whole. Where that fails it stays as it is, and
// another is begun: its end is passed over in reading.
static void cut_tail(struct spool *s)
{
    struct segment *g = &s->segments[s->n - 1];
    char name[SEGMENT_NAME_MAX];
    segment_name(g->number, name);
    if (g->size > SCAN_BYTES_MAX) {
        return;
    }
    size_t size = (size_t)g->size;
    AUTO_FREE char *all = x_alloc(size);
    int fd = openat(s->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || pread(fd, all, size, 0) != (ssize_t)size) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    int64_t end = whole_until(g, all, size);
    if (end < g->size && s->io->ftruncate(fd, end) < 0) {
        close(fd);
        return;
    }
    s->cut += (uint64_t)(g->size - end);
    s->bytes -= g->size - end;
    g->size = end;
    s->write_fd = fd;
    s->write_number = g->number;
}

// ---- the position ----------------------------------------------------------------------------

void spool_write_position(struct spool *s, uint64_t next)
{
    struct position p = {.magic = POSITION_MAGIC, .offset = s->read_at};
    p.number = s->n > 0 ? s->segments[0].number : next;
    p.id = s->n > 0 ? s->segments[0].id : 0;
    p.hash = hash_bytes(&p, offsetof(struct position, hash), 0);
    // One that is not written, or half, makes messages come twice, and no more than that.
    (void)!pwrite(s->position_fd, &p, sizeof(p), 0);
}

static void go_to_position(struct spool *s)
{
    struct position p;
    if (pread(s->position_fd, &p, sizeof(p), 0) != sizeof(p) || p.magic != POSITION_MAGIC ||
        p.hash != hash_bytes(&p, offsetof(struct position, hash), 0)) {
        return;
    }
    s->next_number = MAX(s->next_number, p.number);
    size_t at = 0;
    while (at < s->n && (s->segments[at].number != p.number || s->segments[at].id != p.id)) {
        at++;
    }
    if (at == s->n) {
        return; // it is gone: what is there is younger
    }
    for (; at > 0; at--) { // dropped, and came back by a crash
        spool_forget_first(s);
    }
    if (p.offset > HEAD && p.offset <= s->segments[0].size) {
        s->read_at = p.offset;
    }
}

// ---- all of it -------------------------------------------------------------------------------

static int load(struct spool *s, struct error *err)
{
    int r = open_dir(s, err);
    r = r < 0 ? r : take_lock(s, err);
    r = r < 0 ? r : list_numbers(s, err);
    r = r < 0 ? r : look_at_all(s, err);
    if (r < 0) {
        return r;
    }
    s->position_fd = open_file(s, "position");
    if (s->position_fd < 0) {
        return dir_failed(s->dir, "write its position", err);
    }
    if (s->n > 0) {
        cut_tail(s);
    }
    go_to_position(s);
    return 0;
}

int spool_open(const struct spool_config *c, struct spool **ret, struct error *err)
{
    if (c->limit < SPOOL_LIMIT_MIN) {
        return error_set(err, -EINVAL, "spool %s: its limit must be at least 64 KiB", c->dir);
    }
    struct spool *s = x_zalloc(sizeof(*s));
    int64_t fitting = MIN(SEGMENT_BYTES, c->limit / SEGMENTS_IN_LIMIT);
    *s = (struct spool){
        .dir = x_strdup(c->dir),
        .limit = c->limit,
        .segment_bytes = c->segment_bytes > 0 ? c->segment_bytes : fitting,
        .clock = c->clock,
        .io = c->io ? c->io : &system_io,
        .dir_fd = -1,
        .lock_fd = -1,
        .position_fd = -1,
        .write_fd = -1,
        .read_fd = -1,
        .read_at = HEAD,
    };
    pthread_mutex_init(&s->lock, NULL);
    int r = load(s, err);
    if (r < 0) {
        spool_close(s);
        return r;
    }
    *ret = s;
    return 0;
}

void spool_close(struct spool *s)
{
    if (!s) {
        return;
    }
    const int fds[] = {s->write_fd, s->read_fd, s->position_fd, s->dir_fd, s->lock_fd};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    pthread_mutex_destroy(&s->lock);
    buf_done(&s->frames);
    free(s->segments);
    free(s->dir);
    free(s);
}
