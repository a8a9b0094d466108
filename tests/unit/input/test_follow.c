#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "lines_of.h"

enum { TEXT_LIMIT = 1 << 24 };

static struct harness h;
static struct buf notes; // what came since take_notes()

static int setup(void **state)
{
    (void)state;
    harness_init(&h);
    buf_init(&notes, TEXT_LIMIT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_done(&notes);
    harness_done(&h);
    return 0;
}

// Reads until nothing comes, through the answers that only say that a file was changed.
static int drain(struct input *in)
{
    struct error err = {0};
    int r = INPUT_MORE;
    buf_clear(&notes);
    for (int i = 0; i < 4 && r == INPUT_MORE; i++) {
        r = harness_drain(in, &notes, &err);
    }
    assert_ok(r, &err);
    return r;
}

// The request ids that came, in order: "a b c".
static void assert_requests(const char *want)
{
    struct buf got;
    buf_init(&got, TEXT_LIMIT);
    static const char mark[] = "\"request_id\":\"";
    for (const char *p = notes.p ? strstr(notes.p, mark) : NULL; p; p = strstr(p, mark)) {
        p += sizeof(mark) - 1;
        buf_printf(&got, "%s%.*s", got.n ? " " : "", (int)strcspn(p, "\""), p);
    }
    assert_str(got.n ? buf_view(&got) : STR(""), want);
    buf_done(&got);
}

static void test_follow_reads_what_is_added(void **state)
{
    (void)state;
    harness_write(&h, "log", STR(USAGE_LINE("a") "\n"));
    struct input *in = harness_open(&h, "file:%s?follow=1", harness_path(&h, "log"));
    assert_false(input_info(in)->finite);
    assert_int_equal(drain(in), INPUT_MORE);
    assert_requests("a");
    assert_int_equal(drain(in), INPUT_MORE);
    assert_requests("");
    static const char half[] = USAGE_LINE("b");
    harness_append(&h, "log", (struct str){half, 20});
    drain(in);
    assert_requests(""); // not finished yet
    harness_append(&h, "log", (struct str){half + 20, sizeof(half) - 21});
    drain(in);
    assert_requests("");
    harness_append(&h, "log", STR("\n" USAGE_LINE("c") "\n"));
    drain(in);
    assert_requests("b c");
    assert_non_null(strstr(notes.p, "3 log#"));
    input_close(in);
}

static void test_follow_takes_up_a_rotated_file(void **state)
{
    (void)state;
    harness_write(&h, "log", STR(USAGE_LINE("a") "\n" USAGE_LINE("b") "\n"));
    const char *path = harness_path(&h, "log");
    struct input *in = harness_open(&h, "file:%s?follow=1", path);
    drain(in);
    assert_requests("a b");
    // Renamed: what is still written to it counts, also a last line without an end.
    assert_int_equal(rename(path, harness_path(&h, "log.1")), 0);
    drain(in);
    assert_requests("");
    harness_append(&h, "log.1", STR(USAGE_LINE("c") "\n" USAGE_LINE("d")));
    harness_write(&h, "log", STR(USAGE_LINE("e") "\n"));
    drain(in);
    assert_requests("c d e");
    // Numbers begin again with the file, positions go on.
    assert_non_null(strstr(notes.p, "5 log#"));
    assert_non_null(strstr(notes.p, ":000000000001 "));
    harness_append(&h, "log", STR(USAGE_LINE("f") "\n"));
    drain(in);
    assert_requests("f");
    assert_non_null(strstr(notes.p, ":000000000002 "));
    input_close(in);
}

// As somebody for whom modes count.
static void become_nobody(bool nobody)
{
    static const uid_t id = 65534;
    uid_t uid = getuid();
    assert_int_equal(seteuid(nobody && uid == 0 ? id : uid), 0);
}

// logrotate makes a file first and gives it its owner and mode then.
static void test_follow_waits_for_permission(void **state)
{
    (void)state;
    struct error err = {0};
    const char *path = harness_path(&h, "log");
    assert_int_equal(chmod(h.dir, 0755), 0);
    harness_write(&h, "log", STR(USAGE_LINE("a") "\n"));
    struct input *in = harness_open(&h, "file:%s?follow=1", path);
    drain(in);
    for (int again = 0; again < 2; again++) { // the patience is for each file anew
        assert_int_equal(rename(path, harness_path(&h, "log.1")), 0);
        harness_write(&h, "log", STR(USAGE_LINE("b") "\n"));
        assert_int_equal(chmod(path, 0), 0);
        become_nobody(true);
        for (int i = 0; i < 4; i++) {
            drain(in);
            assert_requests("");
        }
        become_nobody(false);
        assert_int_equal(chmod(path, 0600), 0);
        drain(in);
        assert_requests("b");
    }
    assert_int_equal(rename(path, harness_path(&h, "log.1")), 0);
    harness_write(&h, "log", STR(USAGE_LINE("c") "\n"));
    assert_int_equal(chmod(path, 0), 0);
    become_nobody(true);
    int r = INPUT_MORE;
    for (int i = 0; i < 1000 && r == INPUT_MORE; i++) {
        r = harness_drain(in, &notes, &err);
    }
    become_nobody(false);
    assert_int_equal(r, -EACCES);
    assert_non_null(strstr(err.msg, "/log' cannot be read: Permission denied"));
    input_close(in);
}

static void test_follow_sees_truncation(void **state)
{
    (void)state;
    harness_write(&h, "log", STR(USAGE_LINE("a") "\n" USAGE_LINE("b") "\n"));
    struct input *in = harness_open(&h, "file:%s?follow=1", harness_path(&h, "log"));
    drain(in);
    assert_requests("a b");
    harness_write(&h, "log", STR(USAGE_LINE("c") "\n"));
    drain(in);
    assert_requests("c");
    assert_non_null(strstr(notes.p, "3 log#"));
    input_close(in);
}

static void test_follow_waits_for_a_file(void **state)
{
    (void)state;
    const char *path = harness_path(&h, "later");
    struct input *in = harness_open(&h, "file:%s?follow=1", path);
    assert_int_equal(drain(in), INPUT_MORE);
    assert_requests("");
    harness_write(&h, "later", STR(USAGE_LINE("a") "\n"));
    drain(in);
    assert_requests("a");
    assert_non_null(strstr(notes.p, "1 later#"));
    assert_int_equal(unlink(path), 0);
    drain(in);
    assert_requests("");
    harness_write(&h, "later", STR(USAGE_LINE("b") "\n"));
    drain(in);
    assert_requests("b");
    input_close(in);
}

// The same ids and the same rest, whether a run was interrupted or not.
static void test_follow_resumes(void **state)
{
    (void)state;
    harness_write(&h, "log", STR(USAGE_LINE("a") "\n" USAGE_LINE("b") "\n"));
    struct batch b;
    batch_init(&b);
    struct input *in = harness_open(&h, "file:%s?follow=1", harness_path(&h, "log"));
    assert_int_equal(input_next(in, &b, NULL), INPUT_MORE);
    assert_i64(b.position, 2);
    uint64_t fingerprint = input_info(in)->fingerprint;
    input_close(in);
    harness_append(&h, "log", STR(USAGE_LINE("c") "\n"));
    in = harness_open(&h, "file:%s?follow=1", harness_path(&h, "log"));
    assert_true(input_info(in)->fingerprint == fingerprint);
    assert_int_equal(input_seek(in, b.position, b.offset, NULL), 0);
    drain(in);
    assert_requests("c");
    assert_non_null(strstr(notes.p, "3 log#"));
    assert_non_null(strstr(notes.p, ":000000000003 "));
    input_close(in);
    batch_done(&b);
}

static void test_packed_data_cannot_be_followed(void **state)
{
    (void)state;
    struct buf packed;
    buf_init(&packed, TEXT_LIMIT);
    harness_pack(&packed, AS_GZIP, STR(USAGE_LINE("a") "\n"));
    harness_write(&h, "log.gz", buf_view(&packed));
    struct input *in = harness_open(&h, "file:%s?follow=1", harness_path(&h, "log.gz"));
    struct error err = {0};
    assert_int_equal(harness_drain(in, &notes, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "without follow=1"));
    input_close(in);
    buf_done(&packed);
}

static int open_writer(const char *fifo)
{
    int fd = open(fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void write_all(int fd, struct str s)
{
    assert_int_equal(write(fd, s.p, s.n), s.n);
}

static void test_fifo_ends_with_its_writers(void **state)
{
    (void)state;
    const char *path = harness_path(&h, "fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    struct input *in = harness_open(&h, "file:%s", path);
    assert_true(input_info(in)->finite);
    assert_int_equal(drain(in), INPUT_MORE); // no writer has come
    int fd = open_writer(path);
    assert_int_equal(drain(in), INPUT_MORE);
    write_all(fd, STR(USAGE_LINE("a") "\n{\"ts\":"));
    assert_int_equal(drain(in), INPUT_MORE);
    assert_requests("a");
    write_all(fd, STR("}\n" USAGE_LINE("b")));
    close(fd);
    assert_int_equal(drain(in), INPUT_END);
    assert_requests("b");
    assert_non_null(strstr(notes.p, "2 ! "));
    input_close(in);
}

static void test_packed_fifo(void **state)
{
    (void)state;
    struct buf packed;
    buf_init(&packed, TEXT_LIMIT);
    harness_pack(&packed, AS_ZSTD, STR(USAGE_LINE("a") "\n" USAGE_LINE("b") "\n"));
    const char *path = harness_path(&h, "fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    struct input *in = harness_open(&h, "file:%s", path);
    int fd = open_writer(path);
    for (size_t i = 0; i < packed.n; i++) { // as slowly as bytes can come
        write_all(fd, (struct str){packed.p + i, 1});
        assert_int_equal(drain(in), INPUT_MORE);
    }
    assert_requests("a b");
    close(fd);
    assert_int_equal(drain(in), INPUT_END);
    input_close(in);
    buf_done(&packed);
}

static void test_followed_fifo_outlives_its_writers(void **state)
{
    (void)state;
    const char *path = harness_path(&h, "fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    struct input *in = harness_open(&h, "file:%s?follow=1", path);
    for (int i = 0; i < 2; i++) {
        int fd = open_writer(path);
        write_all(fd, STR(USAGE_LINE("a") "\n"));
        close(fd);
        assert_int_equal(drain(in), INPUT_MORE);
        assert_requests("a");
        assert_int_equal(drain(in), INPUT_MORE);
    }
    input_close(in);
}

static void read_stdin(struct buf *ret)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    write_all(ends[1], STR(USAGE_LINE("a") "\n"));
    close(ends[1]);
    harness_read_all(&h, ret, "file:-");
}

static void test_stdin_never_makes_the_same_id_twice(void **state)
{
    (void)state;
    struct buf first, second;
    int saved = dup(STDIN_FILENO);
    read_stdin(&first);
    read_stdin(&second);
    assert_true(dup2(saved, STDIN_FILENO) >= 0);
    close(saved);
    assert_true(str_starts(buf_view(&first), STR("1 stdin#")));
    assert_true(str_starts(buf_view(&second), STR("1 stdin#")));
    assert_false(str_eq(buf_view(&first), buf_view(&second)));
    buf_done(&first);
    buf_done(&second);
    struct input *in = harness_open(&h, "file:-");
    struct error err = {0};
    assert_true(input_info(in)->fingerprint == 0);
    assert_int_equal(input_seek(in, 1, -1, &err), -ESTALE);
    input_close(in);
}

#define FOLLOW_TEST(f) TEST_WITH(f, setup, teardown)

int main(void)
{
    return TEST_RUN(FOLLOW_TEST(test_follow_reads_what_is_added),
                    FOLLOW_TEST(test_follow_takes_up_a_rotated_file),
                    FOLLOW_TEST(test_follow_waits_for_permission),
                    FOLLOW_TEST(test_follow_sees_truncation),
                    FOLLOW_TEST(test_follow_waits_for_a_file), FOLLOW_TEST(test_follow_resumes),
                    FOLLOW_TEST(test_packed_data_cannot_be_followed),
                    FOLLOW_TEST(test_fifo_ends_with_its_writers), FOLLOW_TEST(test_packed_fifo),
                    FOLLOW_TEST(test_followed_fifo_outlives_its_writers),
                    FOLLOW_TEST(test_stdin_never_makes_the_same_id_twice));
}
