// The writer's lock: a file beside the database, locked by its open file description, so that the
// kernel lets go of it however the process ends, and holding the writer's pid for the message that
// others get. It is not on the database file: closing any descriptor of that would drop the locks
// that SQLite holds there.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "output/sqlite/sqlite.h"

static char *lock_path(const char *path)
{
    return x_asprintf("%s-lock", path);
}

// The lock file is removed by its holder, so a lock may be taken on a file that has just gone.
static bool still_there(const char *path, int fd)
{
    struct stat by_fd, by_path;
    return fstat(fd, &by_fd) == 0 && stat(path, &by_path) == 0 && by_fd.st_ino == by_path.st_ino &&
           by_fd.st_dev == by_path.st_dev;
}

static int held_by_other(int fd, const char *name, struct error *err)
{
    char pid[24] = "";
    ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
    bool known = n > 0 && strspn(pid, "0123456789") == (size_t)n;
    return error_set(err, -EBUSY, "%s is being written by %s%s: stop it, or write to another file",
                     name, known ? "process " : "another process", known ? pid : "");
}

// 1: taken, 0: the file went away meanwhile.
static int try_lock(const char *path, const char *name, int *ret_fd, struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) {
        return error_set(err, -errno, "%s: cannot make %s: %s", name, path, error_name(errno));
    }
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int r;
    if (fcntl(fd, F_OFD_SETLK, &whole) < 0) {
        r = errno == EAGAIN || errno == EACCES
                ? held_by_other(fd, name, err)
                : error_set(err, -errno, "%s: cannot lock %s: %s", name, path, error_name(errno));
    } else {
        r = still_there(path, fd);
    }
    if (r <= 0) {
        close(fd);
        return r;
    }
    *ret_fd = fd;
    return 1;
}

// For the message only: a full disk must not keep a writer from starting.
static void write_pid(int fd)
{
    char pid[24];
    int n = snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    if (ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)n, 0) != n) {
        (void)!ftruncate(fd, 0);
    }
}

int sq_lock(const char *path, const char *name, int *ret_fd, struct error *err)
{
    char *beside AUTO_FREE = lock_path(path);
    int r = 0;
    while (r == 0) {
        r = try_lock(beside, name, ret_fd, err);
    }
    if (r < 0) {
        return r;
    }
    write_pid(*ret_fd);
    return 0;
}

void sq_unlock(const char *path, int fd)
{
    if (fd < 0) {
        return;
    }
    char *beside AUTO_FREE = lock_path(path);
    (void)unlink(beside);
    close(fd);
}
