#include "cmd/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

enum { READ_STEP = 64 * 1024 };

static int read_all(int fd, struct buf *b)
{
    for (;;) {
        char step[READ_STEP];
        ssize_t n = read(fd, step, sizeof(step));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : 0;
        }
        buf_add(b, step, (size_t)n);
        if (!buf_ok(b)) {
            return -EFBIG;
        }
    }
}

int read_file(const char *path, size_t limit, struct arena *a, struct str *ret, struct error *err)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return error_set(err, -errno, "%s: %s", path, error_name(errno));
    }
    struct buf b;
    buf_init(&b, limit);
    int r = read_all(fd, &b);
    *ret = arena_copy(a, buf_view(&b));
    buf_done(&b);
    if (!standard) {
        close(fd);
    }
    return r < 0 ? error_set(err, r, "%s: %s", path, error_name(r)) : 0;
}
