// A spool keeps what was appended, in order, whatever happens to the process or the file; see also
// test_spool_full.c and test_spool_kill.c.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "spool_rig.h"

static void test_order(void **state)
{
    struct spool_rig *r = *state;
    r->config.segment_bytes = 20000;
    rig_open(r);
    assert_true(spool_is_empty(r->spool));
    for (uint64_t i = 0; i < 100; i++) {
        assert_ok(append_numbers(r->spool, i * 7, 7, &r->err), &r->err);
    }
    struct spool_stats stats = spool_stats(r->spool);
    same(stats.appended, 700);
    assert_true(stats.segments > 5);
    same(drain_numbers(r, 0), 700);
    stats = spool_stats(r->spool);
    same(stats.dropped, 700);
    same(stats.segments + (uint64_t)stats.bytes + (uint64_t)stats.waiting, 0);
    same(stats.oldest, INT64_MIN);
}

// What was read but not dropped comes again; what was dropped does not, also after a restart.
static void test_again(void **state)
{
    struct spool_rig *r = *state;
    r->config.segment_bytes = 20000;
    rig_open(r);
    uint64_t next = 0;
    for (uint64_t i = 0; i < 300; i += 3) {
        assert_ok(append_numbers(r->spool, i, 3, &r->err), &r->err);
        spool_read(r->spool, &r->batch, 1);
        assert_true(r->batch.n > 0);
        same(message_number(r->batch.payloads[0]), next);
        if (i % 2) {
            next += r->batch.n;
            spool_drop(r->spool, &r->batch);
        }
        if (i % 5 == 0) {
            rig_reopen(r);
        }
    }
    same(drain_numbers(r, next), 300 - next);
    same(spool_stats(r->spool).damaged, 0);
}

static void test_one_process(void **state)
{
    struct spool_rig *r = *state;
    struct spool *other;
    rig_open(r);
    same(spool_open(&r->config, &other, &r->err), -EBUSY);
    assert_non_null(strstr(r->err.msg, r->dir));
}

static void test_permissions(void **state)
{
    struct spool_rig *r = *state;
    char dir[80], path[256];
    struct stat st;
    snprintf(dir, sizeof(dir), "%s/in", r->dir);
    r->config.dir = dir;
    rig_open(r);
    assert_ok(append_numbers(r->spool, 0, 1, &r->err), &r->err);
    same(stat(dir, &st), 0);
    same(st.st_mode & 0777, 0700);
    snprintf(path, sizeof(path), "%s/0000000000000001.spool", dir);
    same(stat(path, &st), 0);
    same(st.st_mode & 0777, 0600);
    same(drain_numbers(r, 0), 1);
    same(stat(path, &st), -1);
    snprintf(path, sizeof(path), "%s/lock", dir);
    unlink(path);
    snprintf(path, sizeof(path), "%s/position", dir);
    unlink(path);
    same(rmdir(dir), 0);
}

// The oldest are kept, the newest refused; room comes back as the oldest are dropped.
static void test_limit(void **state)
{
    struct spool_rig *r = *state;
    uint64_t n = 0, refused = 0;
    r->config.limit = 256 << 10;
    rig_open(r);
    while (append_numbers(r->spool, n, 5, &r->err) == 0) {
        n += 5;
        assert_true(spool_stats(r->spool).bytes <= r->config.limit);
    }
    refused = 5;
    same(r->err.code, -ENOSPC);
    assert_non_null(strstr(r->err.msg, "--spool-max"));
    assert_true(spool_stats(r->spool).bytes > r->config.limit * 9 / 10);
    same(append_numbers(r->spool, n, 60, &r->err), -ENOSPC);
    refused += 60;
    same(spool_stats(r->spool).refused, refused);
    uint64_t dropped = 0;
    while (append_numbers(r->spool, n, 5, &r->err) < 0) {
        spool_read(r->spool, &r->batch, 4096);
        same(message_number(r->batch.payloads[0]), dropped);
        dropped += r->batch.n;
        spool_drop(r->spool, &r->batch);
    }
    assert_true(dropped < n / 4); // about a segment
    same(drain_numbers(r, dropped), n + 5 - dropped);
}

static void test_too_long(void **state)
{
    struct spool_rig *r = *state;
    AUTO_FREE char *long_text = x_zalloc(SPOOL_PAYLOAD_MAX + 1);
    struct str payload = {long_text, SPOOL_PAYLOAD_MAX + 1};
    rig_open(r);
    same(spool_append(r->spool, &payload, 1, &r->err), -EMSGSIZE);
    payload.n--;
    assert_ok(spool_append(r->spool, &payload, 1, &r->err), &r->err);
    payload.n = 0;
    assert_ok(spool_append(r->spool, &payload, 1, &r->err), &r->err);
    spool_read(r->spool, &r->batch, 100);
    same(r->batch.n, 1);
    same(r->batch.payloads[0].n, SPOOL_PAYLOAD_MAX);
    spool_drop(r->spool, &r->batch);
    spool_read(r->spool, &r->batch, 100);
    same(r->batch.n, 1);
    same(r->batch.payloads[0].n, 0);
}

static char *read_file(const char *path, size_t *ret_n)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    char *p = x_alloc((size_t)st.st_size);
    same(read(fd, p, (size_t)st.st_size), st.st_size);
    close(fd);
    *ret_n = (size_t)st.st_size;
    return p;
}

static void write_file(const char *path, const char *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    same(write(fd, p, n), (int64_t)n);
    close(fd);
}

// A crash may leave any part of the end behind: what is whole is kept, and appending goes on.
static void test_torn(void **state)
{
    struct spool_rig *r = *state;
    char path[256];
    size_t n;
    rig_open(r);
    for (uint64_t i = 0; i < 4; i++) {
        assert_ok(append_numbers(r->spool, i * 2, 2, &r->err), &r->err);
    }
    spool_close(r->spool);
    assert_true(segment_path(r, 0, path));
    AUTO_FREE char *whole = read_file(path, &n);
    for (size_t cut = 0; cut < n; cut += 5 + cut % 4) {
        write_file(path, whole, cut);
        rig_open(r);
        struct spool_stats stats = spool_stats(r->spool);
        same(append_numbers(r->spool, 1000, 3, &r->err), 0);
        spool_read(r->spool, &r->batch, 1 << 20);
        uint64_t kept = 0;
        while (kept < r->batch.n && message_number(r->batch.payloads[kept]) == kept) {
            kept++;
        }
        assert_true(kept < 8);
        same(message_number(r->batch.payloads[kept]), 1000);
        same(r->batch.n, kept + 3);
        same(spool_stats(r->spool).damaged, 0);
        assert_true(cut < 56 || stats.cut + (uint64_t)stats.bytes == cut);
        spool_drop(r->spool, &r->batch);
        spool_close(r->spool);
    }
    rig_open(r);
}

// Every message but those that stand where the damage is comes out, and none that never went in.
static void test_damage(void **state)
{
    struct spool_rig *r = *state;
    char path[256], second[256];
    size_t n;
    r->config.segment_bytes = 10000;
    rig_open(r);
    uint64_t count = 0;
    for (; !segment_path(r, 1, second); count += 2) {
        assert_ok(append_numbers(r->spool, count, 2, &r->err), &r->err);
    }
    spool_close(r->spool);
    assert_true(segment_path(r, 0, path));
    AUTO_FREE char *first = read_file(path, &n);
    size_t n_second;
    AUTO_FREE char *other = read_file(second, &n_second);
    for (size_t at = sizeof(uint64_t) * 7; at < n; at += 17) {
        size_t length = at % 4 == 0 ? MIN((size_t)700, n - at) : 1;
        AUTO_FREE char *bad = x_alloc(n);
        memcpy(bad, first, n);
        for (size_t i = 0; i < length; i++) {
            bad[at + i] = (char)(bad[at + i] ^ 0x41);
        }
        write_file(path, bad, n);
        write_file(second, other, n_second);
        rig_open(r);
        uint64_t got = 0, last = 0;
        for (spool_read(r->spool, &r->batch, 900); r->batch.n > 0;
             spool_read(r->spool, &r->batch, 900)) {
            for (size_t i = 0; i < r->batch.n; i++, got++) {
                uint64_t number = message_number(r->batch.payloads[i]);
                assert_true(got == 0 || number > last);
                last = number;
            }
            spool_drop(r->spool, &r->batch);
        }
        same(last, count - 1);
        assert_true(got < count && got >= count - (length > 1 ? 20 : 1));
        uint64_t places = spool_stats(r->spool).damaged; // a payload, and the heads behind it
        assert_true(places >= 1 && places <= (length > 1 ? 3 : 1));
        spool_close(r->spool);
    }
    rig_open(r);
}

static void test_bad_head(void **state)
{
    struct spool_rig *r = *state;
    char path[256], aside[300];
    size_t n;
    r->config.segment_bytes = 3000;
    rig_open(r);
    for (uint64_t i = 0; i < 20; i++) {
        assert_ok(append_numbers(r->spool, i, 1, &r->err), &r->err);
    }
    spool_close(r->spool);
    assert_true(segment_path(r, 0, path));
    AUTO_FREE char *text = read_file(path, &n);
    text[20] ^= 1;
    write_file(path, text, n);
    rig_open(r);
    same(spool_stats(r->spool).damaged, 1);
    snprintf(aside, sizeof(aside), "%s.damaged", path);
    same(access(aside, F_OK), 0);
    spool_read(r->spool, &r->batch, 1);
    uint64_t from = message_number(r->batch.payloads[0]);
    assert_true(from > 0);
    same(drain_numbers(r, from), 20 - from);
}

// A position that is lost makes messages come again; one of another spool means nothing.
static void test_position(void **state)
{
    struct spool_rig *r = *state;
    char path[80], old[8];
    rig_open(r);
    assert_ok(append_numbers(r->spool, 0, 10, &r->err), &r->err);
    spool_read(r->spool, &r->batch, 1000);
    assert_true(r->batch.n < 10);
    spool_drop(r->spool, &r->batch);
    uint64_t from = r->batch.n;
    rig_reopen(r);
    spool_read(r->spool, &r->batch, 1);
    same(message_number(r->batch.payloads[0]), from);
    snprintf(path, sizeof(path), "%s/position", r->dir);
    int fd = open(path, O_RDWR);
    same(pread(fd, old, 8, 24), 8);
    old[0] ^= 1;
    same(pwrite(fd, old, 8, 24), 8);
    close(fd);
    rig_reopen(r);
    same(drain_numbers(r, 0), 10);
}

int main(void)
{
#define RIG(f) TEST_WITH(f, rig_setup, rig_teardown)
    return TEST_RUN(RIG(test_order), RIG(test_again), RIG(test_one_process), RIG(test_permissions),
                    RIG(test_limit), RIG(test_too_long), RIG(test_torn), RIG(test_damage),
                    RIG(test_bad_head), RIG(test_position));
}
