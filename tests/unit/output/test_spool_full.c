// A disk that is full, or fails, at every point of an append: what was not acknowledged leaves
// nothing behind, what was is kept, and appending goes on when the disk does.
#include <errno.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool_rig.h"

// The disk that tests hand out: it fails for a while after some calls.
static struct {
    int calls_left; // that go well; then they fail
    int code;
    bool half;      // a write that fails has written half of it before
    bool keeps_all; // and cannot be cut off
} disk;

static bool fails(void)
{
    return disk.code != 0 && disk.calls_left-- <= 0;
}

static int64_t bad_pwrite(int fd, const void *p, size_t n, int64_t at)
{
    if (fails()) {
        ssize_t half = disk.half ? pwrite(fd, p, n / 2, at) : 0;
        errno = disk.code;
        return half == 0 ? -1 : half > 0 && disk.calls_left < -1 ? -1 : half;
    }
    return pwrite(fd, p, n, at);
}

static int bad_fdatasync(int fd)
{
    if (fails()) {
        errno = disk.code;
        return -1;
    }
    return fdatasync(fd);
}

static int bad_ftruncate(int fd, int64_t size)
{
    if (disk.keeps_all) {
        errno = EIO;
        return -1;
    }
    return ftruncate(fd, size);
}

static const struct spool_io bad_io = {bad_pwrite, bad_fdatasync, bad_ftruncate};

// What was refused but could not be cut off may come all the same, with what came after it.
static uint64_t drain_lax(struct spool_rig *r)
{
    uint64_t next = 0;
    for (spool_read(r->spool, &r->batch, 9000); r->batch.n > 0;
         spool_read(r->spool, &r->batch, 9000)) {
        for (size_t i = 0; i < r->batch.n; i++) {
            uint64_t number = message_number(r->batch.payloads[i]);
            assert_true(number <= next);
            next = MAX(next, number + 1);
        }
        spool_drop(r->spool, &r->batch);
    }
    return next;
}

static void append_through(struct spool_rig *r, int code, bool half, bool keeps_all)
{
    uint64_t n = 0, failures = 0;
    for (int round = 0; round < 60; round++) {
        disk.calls_left = round % 4;
        disk.code = code;
        disk.half = half;
        disk.keeps_all = keeps_all;
        int result;
        while ((result = append_numbers(r->spool, n, 3, &r->err)) == 0) {
            n += 3;
        }
        same(result, code == EDQUOT || code == EFBIG ? -ENOSPC : -code);
        assert_non_null(strstr(r->err.msg, r->dir));
        failures++;
        disk.code = 0;
        if (round % 7 == 0) {
            rig_reopen(r);
        }
        assert_ok(append_numbers(r->spool, n, 3, &r->err), &r->err);
        n += 3;
    }
    disk.keeps_all = false;
    rig_reopen(r);
    same(keeps_all ? drain_lax(r) : drain_numbers(r, 0), n);
    assert_true(failures == 60 && (keeps_all || spool_stats(r->spool).damaged == 0));
}

static void test_failing(void **state)
{
    struct spool_rig *r = *state;
    static const int codes[] = {ENOSPC, EDQUOT, EIO};
    r->config.io = &bad_io;
    r->config.segment_bytes = 20000;
    rig_open(r);
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        for (int how = 0; how < 3; how++) {
            append_through(r, codes[i], how > 0, how == 2);
        }
    }
}

static void limit_file_size(int64_t bytes)
{
    struct rlimit limit;
    same(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < 0 ? limit.rlim_max : (rlim_t)bytes;
    same(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_file_size(void **state)
{
    struct spool_rig *r = *state;
    signal(SIGXFSZ, SIG_IGN);
    rig_open(r);
    uint64_t n = 0;
    for (int64_t size = 500; size < 20000; size += 311) {
        limit_file_size(size);
        while (append_numbers(r->spool, n, 2, &r->err) == 0 && n < 1000) {
            n += 2;
        }
        limit_file_size(-1);
        assert_true(r->err.code == -ENOSPC || n >= 1000);
    }
    assert_true(n > 100);
    same(drain_numbers(r, 0), n);
    same(spool_stats(r->spool).damaged, 0);
}

// A real file system without room: dropping makes room, as files go.
static void test_full_disk(void **state)
{
    struct spool_rig *r = *state;
    char dir[80];
    if (mount("tmpfs", r->dir, "tmpfs", MS_NOSUID | MS_NODEV, "size=512k") < 0) {
        print_message("# SKIP: a tmpfs cannot be mounted here: %s\n", error_name(-errno));
        skip();
    }
    snprintf(dir, sizeof(dir), "%s/spool", r->dir);
    r->config.dir = dir;
    r->config.segment_bytes = 64 << 10;
    rig_open(r);
    uint64_t from = 0, n = 0;
    for (int round = 0; round < 20; round++) {
        while (append_numbers(r->spool, n, 9, &r->err) == 0) {
            n += 9;
        }
        same(r->err.code, -ENOSPC);
        for (int i = 0; i < 30; i++) {
            spool_read(r->spool, &r->batch, 8192);
            same(message_number(r->batch.payloads[0]), from);
            from += r->batch.n;
            spool_drop(r->spool, &r->batch);
        }
        if (round % 3 == 0) {
            rig_reopen(r);
        }
    }
    same(drain_numbers(r, from), n - from);
    same(spool_stats(r->spool).damaged, 0);
}

// Also after a failure: nothing stays mounted.
static int teardown_disk(void **state)
{
    struct spool_rig *r = *state;
    spool_close(r->spool);
    r->spool = NULL;
    (void)umount2(r->dir, MNT_DETACH); // fails where nothing was mounted
    return rig_teardown(state);
}

int main(void)
{
#define RIG(f) TEST_WITH(f, rig_setup, rig_teardown)
    return TEST_RUN(RIG(test_failing), RIG(test_file_size),
                    TEST_WITH(test_full_disk, rig_setup, teardown_disk));
}
