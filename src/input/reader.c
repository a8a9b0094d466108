#include "input/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "input/wait.h"

#define LOOK_EVERY_NS (200 * NS_PER_MS)

enum { PACKED_BLOCK = 256 * 1024, DENIED_MAX = 50 };

struct reader {
    const char *path;
    const struct input_env *env;
    bool follow, quiet;
    bool regular; // never blocks, and can be rotated
    int fd;       // -1: a followed file that is not there
    int denied;   // how often a file that took the place of another could not be opened
    int64_t at;   // bytes read from fd
    bool known;   // packing was decided
    enum packing packing;
    char head[PACKING_MAGIC_MAX]; // the first bytes, once read, until they are handed on
    size_t n_head;
    struct unpacker *unpacker;
    char *packed;         // PACKED_BLOCK bytes
    struct str rest;      // of them, not unpacked yet
    struct error failure; // sticky
};

// A FIFO opened at both ends never ends: right for one that is followed.
static int open_fd(const struct reader *r, struct stat *ret)
{
    bool is_stdin = strcmp(r->path, "-") == 0;
    bool both_ends = !is_stdin && r->follow && stat(r->path, ret) == 0 && S_ISFIFO(ret->st_mode);
    int mode = both_ends ? O_RDWR : O_RDONLY;
    int fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                      : open(r->path, mode | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return -errno;
    }
    int code = fstat(fd, ret) < 0 ? -errno : S_ISDIR(ret->st_mode) ? -EISDIR : 0;
    if (code < 0) {
        close(fd);
    }
    return code < 0 ? code : fd;
}

static int attach(struct reader *r)
{
    struct stat st;
    int fd = open_fd(r, &st);
    if (fd < 0) {
        return fd;
    }
    r->fd = fd;
    r->at = 0;
    r->n_head = 0;
    r->known = false;
    r->regular = S_ISREG(st.st_mode);
    return 0;
}

int reader_open(const char *path, bool follow, const struct input_env *env, struct reader **ret,
                struct error *err)
{
    struct reader *r = x_zalloc(sizeof(*r));
    *r = (struct reader){.path = path, .env = env, .follow = follow, .fd = -1};
    int code = attach(r);
    bool to_come = code == -ENOENT && follow;
    if (code < 0 && !to_come) {
        reader_close(r);
        return error_set(err, code, "'%s' cannot be read: %s", path, error_name(code));
    }
    r->regular = r->regular || to_come;
    *ret = r;
    return 0;
}

void reader_close(struct reader *r)
{
    if (r == NULL) {
        return;
    }
    if (r->fd >= 0) {
        close(r->fd);
    }
    unpacker_free(r->unpacker);
    free(r->packed);
    free(r);
}

// A pipe says when there is more; a file must be looked at.
static int wait_for_more(const struct reader *r, int fd)
{
    return input_wait(r->env, fd, r->quiet ? 0 : fd >= 0 ? INPUT_WAIT_NS : LOOK_EVERY_NS);
}

// Pipes and terminals: stdin may be shared with others and so stays blocking; poll(2) goes first.
static int read_stream(struct reader *r, char *p, size_t n, size_t *ret_n)
{
    if (wait_for_more(r, r->fd) == 0) {
        return READER_WAIT;
    }
    ssize_t got = read(r->fd, p, n);
    if (got < 0) {
        return errno == EAGAIN || errno == EINTR ? READER_WAIT : -errno;
    }
    *ret_n = (size_t)got;
    return got > 0 ? READER_DATA : READER_END;
}

static int read_regular(struct reader *r, char *p, size_t n, size_t *ret_n)
{
    ssize_t got;
    do {
        got = read(r->fd, p, n);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return -errno;
    }
    *ret_n = (size_t)got;
    return got > 0 ? READER_DATA : READER_END;
}

// Whether the path leads to another file by now. While fd is open its inode number is not reused.
static bool was_replaced(const struct reader *r, const struct stat *mine)
{
    struct stat theirs;
    return stat(r->path, &theirs) == 0 &&
           (theirs.st_dev != mine->st_dev || theirs.st_ino != mine->st_ino);
}

static int attach_new(struct reader *r)
{
    if (r->fd >= 0) {
        close(r->fd);
        r->fd = -1;
    }
    int code = attach(r);
    // Whoever rotates makes a file first, and gives it its owner and mode then.
    bool denied = code == -EACCES && r->denied++ < DENIED_MAX;
    if (code == -ENOENT || denied) {
        wait_for_more(r, -1);
        return READER_WAIT;
    }
    r->denied = 0;
    return code < 0 ? code : READER_NEW;
}

static int start_again(struct reader *r)
{
    r->at = 0;
    r->known = false;
    return lseek(r->fd, 0, SEEK_SET) < 0 ? -errno : READER_NEW;
}

static int read_followed(struct reader *r, char *p, size_t n, size_t *ret_n)
{
    if (r->fd < 0) {
        return attach_new(r);
    }
    int code = read_regular(r, p, n, ret_n);
    struct stat st;
    if (code != READER_END || fstat(r->fd, &st) < 0) {
        return code;
    }
    if (st.st_size < r->at) {
        return start_again(r);
    }
    if (was_replaced(r, &st)) {
        // Its last bytes may have come between the read and the rename.
        code = read_regular(r, p, n, ret_n);
        return code == READER_END ? attach_new(r) : code;
    }
    wait_for_more(r, -1);
    return READER_WAIT;
}

static int read_raw(struct reader *r, char *p, size_t n, size_t *ret_n)
{
    int code = !r->regular ? read_stream(r, p, n, ret_n)
               : r->follow ? read_followed(r, p, n, ret_n)
                           : read_regular(r, p, n, ret_n);
    if (code < 0) {
        return error_set(&r->failure, code, "'%s' cannot be read: %s", r->path, error_name(code));
    }
    r->at += code == READER_DATA ? (int64_t)*ret_n : 0;
    return code;
}

static int read_after_head(struct reader *r, char *p, size_t n, size_t *ret_n)
{
    if (r->n_head == 0) {
        return read_raw(r, p, n, ret_n);
    }
    *ret_n = MIN(n, r->n_head);
    memcpy(p, r->head, *ret_n);
    memmove(r->head, r->head + *ret_n, r->n_head - *ret_n);
    r->n_head -= *ret_n;
    return READER_DATA;
}

static int fill_packed(struct reader *r)
{
    size_t n = 0;
    int code = read_after_head(r, r->packed, PACKED_BLOCK, &n);
    r->rest = (struct str){r->packed, n};
    if (code != READER_END || unpacker_complete(r->unpacker)) {
        return code;
    }
    return error_set(&r->failure, -EBADMSG,
                     "'%s' is cut off: it ends at byte %lld, in the middle of %s data", r->path,
                     (long long)r->at, packing_name(r->packing));
}

static int unpack(struct reader *r, char *p, size_t n, size_t *ret_n)
{
    struct error why;
    int code = unpacker_run(r->unpacker, &r->rest, p, n, ret_n, &why);
    if (code < 0) {
        error_set(&r->failure, code, "'%s' is damaged at byte %lld: %s data: %s", r->path,
                  (long long)(r->at - (int64_t)r->rest.n), packing_name(r->packing), why.msg);
    }
    return *ret_n > 0 ? READER_DATA : code;
}

static int read_packed(struct reader *r, char *p, size_t n, size_t *ret_n)
{
    for (;;) {
        int code = unpack(r, p, n, ret_n);
        if (code != 0) {
            return code;
        }
        code = r->rest.n == 0 ? fill_packed(r) : READER_DATA;
        if (code != READER_DATA) {
            return code;
        }
    }
}

static int use_packing(struct reader *r)
{
    r->packing = packing_of((struct str){r->head, r->n_head});
    r->known = true;
    if (r->packing == PACKED_NOT) {
        return 0;
    }
    if (r->follow) {
        return error_set(&r->failure, -EINVAL,
                         "'%s' holds %s data, which cannot be followed: read it without follow=1",
                         r->path, packing_name(r->packing));
    }
    r->packed = x_alloc(PACKED_BLOCK);
    r->unpacker = unpacker_new(r->packing);
    return 0;
}

// READER_DATA once decided. A followed file may stay at fewer bytes than decide for long, so there
// the first read has to do.
static int read_head(struct reader *r)
{
    int code = READER_DATA;
    bool enough = false;
    while (code == READER_DATA && !enough) {
        size_t n = 0;
        code = read_raw(r, r->head + r->n_head, sizeof(r->head) - r->n_head, &n);
        r->n_head += n;
        enough = r->n_head == sizeof(r->head) || (r->follow && n > 0);
    }
    bool decided = enough || (code == READER_END && r->n_head > 0);
    if (!decided) {
        return code;
    }
    code = use_packing(r);
    return code < 0 ? code : READER_DATA;
}

int reader_read(struct reader *r, char *p, size_t n, size_t *ret_n, struct error *err)
{
    *ret_n = 0;
    int code = r->failure.code;
    if (code == 0) {
        code = r->known ? READER_DATA : read_head(r);
    }
    if (code == READER_DATA) {
        code = r->unpacker ? read_packed(r, p, n, ret_n) : read_after_head(r, p, n, ret_n);
    }
    if (code < 0 && err) {
        *err = r->failure;
    }
    return code;
}

void reader_set_quiet(struct reader *r, bool quiet)
{
    r->quiet = quiet;
}

int reader_seek(struct reader *r, int64_t offset, struct error *err)
{
    if (lseek(r->fd, offset, SEEK_SET) < 0) {
        return error_set(err, -errno, "'%s' cannot be wound to byte %lld: %s", r->path,
                         (long long)offset, error_name(-errno));
    }
    r->at = offset;
    r->n_head = 0;
    r->known = true;
    return 0;
}

bool reader_is_regular(const struct reader *r)
{
    return r->regular;
}

bool reader_can_seek(const struct reader *r)
{
    return r->regular && r->fd >= 0 && r->unpacker == NULL;
}

enum packing reader_packing(const struct reader *r)
{
    return r->packing;
}

int64_t reader_size(const struct reader *r)
{
    struct stat st;
    return r->regular && r->fd >= 0 && fstat(r->fd, &st) == 0 ? st.st_size : -1;
}
