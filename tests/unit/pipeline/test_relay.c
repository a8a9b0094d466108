// Outputs without an engine: records pass through, in order, all that were read.
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static void use_output(struct rig *r, const char *output)
{
    r->config.output = output;
}

static void test_null(void **state)
{
    (void)state;
    struct rig r;
    struct buf load;
    rig_init(&r, "memory");
    use_output(&r, "null:");
    buf_init(&load, RIG_TEXT_MAX);
    int64_t n = put_load(&load, 0, 20000);
    buf_cstr(&load, "no record\n");
    rig_inputs(&r, rig_file(&r, "load.ndjson", &load), "seed:?duration=10s&start=2026-01-01", NULL);
    rig_must_run(&r);
    assert_true((int64_t)r.progress.records > n);
    assert_i64((int64_t)r.progress.usages, 2 * 2857);
    assert_i64((int64_t)r.progress.tokens, 2 * 2857 * 140);
    assert_i64((int64_t)r.progress.dead_letters, 1);
    assert_i64(r.progress.newest, EPOCH_NS + 20000 * NS_PER_S);
    assert_int_equal(rig_info(&r).samples, 0);
    buf_done(&load);
    rig_done(&r);
}

// Standard output is the file or pipe `fd` for the time of the run.
static int run_to(struct rig *r, int fd)
{
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    assert_true(saved >= 0 && dup2(fd, STDOUT_FILENO) >= 0);
    int result = rig_run(r);
    assert_true(dup2(saved, STDOUT_FILENO) >= 0);
    close(saved);
    return result;
}

static int open_out(struct rig *r)
{
    int fd = open(rig_path(r, "out"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

// The "event_id"s in the file, in order, each with a space behind it.
static void read_ids(int fd, struct buf *ids)
{
    struct buf text;
    buf_init(&text, RIG_TEXT_MAX);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    char part[4096];
    for (ssize_t n; (n = read(fd, part, sizeof(part))) > 0;) {
        buf_add(&text, part, (size_t)n);
    }
    buf_char(&text, '\0');
    buf_init(ids, RIG_TEXT_MAX);
    static const char key[] = "\"event_id\":\"";
    for (const char *at = strstr(text.p, key); at; at = strstr(at, key)) {
        at += sizeof(key) - 1;
        buf_add(ids, at, strcspn(at, "\""));
        buf_char(ids, ' ');
    }
    buf_char(ids, '\0');
    buf_done(&text);
}

static void test_stdout(void **state)
{
    (void)state;
    struct rig r;
    struct buf load, ids;
    rig_init(&r, "memory");
    use_output(&r, "stdout:");
    buf_init(&load, RIG_TEXT_MAX);
    put_sample(&load, "b", 2, 0, "");
    put_usage(&load, "a", 9, 5, 0, "");
    put_sample(&load, "c", 1, 0, "");
    rig_inputs(&r, rig_file(&r, "load.ndjson", &load), NULL);
    int out = open_out(&r);
    assert_ok(run_to(&r, out), &r.err);
    read_ids(out, &ids);
    assert_string_equal(ids.p, "b a c ");
    close(out);
    buf_done(&ids);
    buf_done(&load);
    rig_done(&r);
}

static int in_fd = -1;

// The second record is read when the stop comes, or just about to be.
static void feed_and_stop(struct rig *r)
{
    struct buf b;
    buf_init(&b, RIG_TEXT_MAX);
    put_sample(&b, "second", 2, 0, "");
    rig_wait_read(in_fd);
    rig_write(in_fd, &b);
    rig_wait_read(in_fd);
    rig_stop(r);
    buf_done(&b);
}

static void test_a_stop_passes_on_what_was_read(void **state)
{
    (void)state;
    struct rig r;
    struct buf b, ids;
    rig_init(&r, "memory");
    use_output(&r, "stdout:");
    rig_inputs(&r, rig_pipe(&r, "pipe", &in_fd), NULL);
    buf_init(&b, RIG_TEXT_MAX);
    put_sample(&b, "first", 1, 0, "");
    rig_write(in_fd, &b);
    int out = open_out(&r);
    rig_help(&r, feed_and_stop);
    assert_ok(run_to(&r, out), &r.err);
    read_ids(out, &ids);
    assert_string_equal(ids.p, "first second ");
    close(out);
    close(in_fd);
    buf_done(&ids);
    buf_done(&b);
    rig_done(&r);
}

static void test_nobody_reads(void **state)
{
    (void)state;
    struct rig r;
    struct buf load;
    int ends[2];
    rig_init(&r, "memory");
    use_output(&r, "stdout:");
    signal(SIGPIPE, SIG_IGN);
    buf_init(&load, RIG_TEXT_MAX);
    (void)put_load(&load, 0, 20000);
    rig_inputs(&r, rig_file(&r, "load.ndjson", &load), NULL);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    assert_int_equal(run_to(&r, ends[1]), -EPIPE);
    assert_i64((int64_t)r.progress.records, 0);
    close(ends[1]);
    buf_done(&load);
    rig_done(&r);
}

static void test_what_cannot_begin(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r, "memory");
    use_output(&r, "null:something");
    rig_inputs(&r, "seed:?duration=1s&start=2026-01-01", NULL);
    assert_int_equal(rig_run(&r), -EINVAL);
    use_output(&r, "null:");
    rig_inputs(&r, "seed:?duration=1s&start=2026-01-01", "file:/nonexistent/gtap", NULL);
    assert_int_equal(rig_run(&r), -ENOENT);
    rig_done(&r);
}

int main(void)
{
    return TEST_RUN(TEST(test_null), TEST(test_stdout), TEST(test_a_stop_passes_on_what_was_read),
                    TEST(test_nobody_reads), TEST(test_what_cannot_begin));
}
