#include "input/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "test.h"

#define PATIENCE                                                                                   \
    (TEST_PATIENCE_MS * NS_PER_MS) // never waited out by a child that does as it is told

static void start_shell(struct child *c, const char *script)
{
    struct error err;
    const char *const argv[] = {"sh", "-c", script, "a b", "$HOME", NULL};
    assert_ok(child_start(c, "sh", argv, &err), &err);
    assert_true(c->pid > 0);
}

// All that it prints, up to the end of its output.
static struct str read_all(struct child *c, char *text, size_t size)
{
    size_t n = 0;
    for (;;) {
        struct pollfd readable = {.fd = c->out, .events = POLLIN};
        assert_true(poll(&readable, 1, 60000) > 0);
        ssize_t got = child_read(c, text + n, size - n);
        if (got == 0) {
            return (struct str){text, n};
        }
        n += got > 0 ? (size_t)got : 0;
    }
}

static void assert_no_children(void)
{
    assert_true(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static void check_words(int status, const char *want)
{
    char words[64];
    child_words(status, words, sizeof(words));
    assert_string_equal(words, want);
}

static void test_words_as_they_are(void **state)
{
    (void)state;
    struct child c;
    char text[256];
    start_shell(&c, "printf '%s|%s|' \"$0\" \"$1\"; cat; exit 9");
    assert_str(read_all(&c, text, sizeof(text)), "a b|$HOME|"); // nothing comes on its stdin
    check_words(child_end(&c, true, PATIENCE), "it ended with status 9");
    assert_i64(c.pid, 0);
    assert_i64(child_end(&c, false, PATIENCE), 0);
    assert_no_children();
}

static void test_what_it_says(void **state)
{
    (void)state;
    struct child c;
    char text[256];
    start_shell(&c, "echo first >&2; echo 'the \033 end' >&2; echo >&2; printf out");
    assert_str(read_all(&c, text, sizeof(text)), "out");
    check_words(child_end(&c, true, PATIENCE), "it ended with status 0");
    assert_string_equal(c.said, "the ? end");
    start_shell(&c, "i=0; while [ $i -lt 400 ]; do printf x >&2; i=$((i + 1)); done");
    assert_str(read_all(&c, text, sizeof(text)), "");
    (void)child_end(&c, true, PATIENCE);
    assert_int_equal(strlen(c.said), CHILD_SAID_MAX - 1);
}

static void test_told_to_end(void **state)
{
    (void)state;
    struct child c;
    char text[16];
    sigset_t term, before;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &before); // ours, not its
    start_shell(&c, "echo up; exec sleep 600");
    sigprocmask(SIG_SETMASK, &before, NULL);
    while (child_read(&c, text, sizeof(text)) <= 0) {
    }
    check_words(child_end(&c, false, PATIENCE), "signal 15 ended it");
    assert_no_children();
}

// One that ignores SIGTERM, and what it started itself.
static void test_killed(void **state)
{
    (void)state;
    struct child c;
    char text[64] = "";
    size_t n = 0;
    start_shell(&c, "trap '' TERM; sleep 600 & echo $!; wait; wait");
    while (memchr(text, '\n', n) == NULL) {
        ssize_t got = child_read(&c, text + n, sizeof(text) - 1 - n);
        n += got > 0 ? (size_t)got : 0;
    }
    pid_t own = (pid_t)strtoll(text, NULL, 10);
    assert_int_equal(getpgid(own), c.pid);
    check_words(child_end(&c, false, NS_PER_MS), "signal 9 ended it");
    int status;
    assert_int_equal(waitpid(own, &status, 0), own); // ours now, see main()
    check_words(status, "signal 9 ended it");
    assert_no_children();
}

// Its output has ended and it has not: it gets its time to end, and then is told to.
static void test_lingering(void **state)
{
    (void)state;
    struct child c;
    char text[16];
    start_shell(&c, "exec >&- 2>&-; exec sleep 600");
    assert_str(read_all(&c, text, sizeof(text)), "");
    assert_true(WIFSIGNALED(child_end(&c, true, NS_PER_MS))); // the second patience is short too
    assert_no_children();
}

static void test_no_program(void **state)
{
    (void)state;
    struct child c;
    struct error err;
    const char *const argv[] = {"x", NULL};
    assert_i64(child_start(&c, "/nonexistent/nvidia-smi", argv, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "/nonexistent/nvidia-smi cannot be run"));
    assert_i64(child_start(&c, "/etc/passwd", argv, &err), -EACCES);
    assert_i64(child_end(&c, false, 0), 0);
    assert_no_children();
}

int main(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1); // orphans come to us
    return TEST_RUN(TEST(test_words_as_they_are), TEST(test_what_it_says), TEST(test_told_to_end),
                    TEST(test_killed), TEST(test_lingering), TEST(test_no_program));
}
