// What the signals do to a process: each case has a child of its own.
#include "cmd/stop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#define LINE "gtap: took too long\n"

struct child {
    pid_t pid;
    int said, to_parent; // its stderr; what it sends with stop_tells(), and then one letter "r"
};

// Ready before it returns. stop: it ends with status 3 as soon as it is told to; else never.
static struct child start(unsigned limit_s, bool stop)
{
    int said[2], told[2];
    assert_int_equal(pipe(said), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, told), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct error err;
        int fd;
        dup2(said[1], STDERR_FILENO);
        close(told[0]);
        stop_tells(told[1], "STOPPING=1");
        stop_within(limit_s, LINE);
        if (stop_on_signals(&fd, &err) < 0 || write(told[1], "r", 1) != 1) {
            _exit(9);
        }
        struct pollfd p = {.fd = fd, .events = POLLIN};
        while (poll(&p, 1, -1) != 1 || !stop) {
        }
        _exit(3);
    }
    close(said[1]);
    close(told[1]);
    char ready;
    assert_int_equal(read(told[0], &ready, 1), 1);
    return (struct child){pid, said[0], told[0]};
}

static int end(struct child *c)
{
    int status;
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    close(c->to_parent);
    close(c->said);
    return status;
}

static void assert_says(int fd, const char *want)
{
    char text[64] = "";
    ssize_t n = read(fd, text, sizeof(text) - 1);
    assert_true(n >= 0);
    assert_string_equal(text, want);
}

static void the_first_signal_is_seen_and_told(void **state)
{
    (void)state;
    const int signals[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < 2; i++) {
        struct child c = start(0, true);
        kill(c.pid, signals[i]);
        assert_says(c.to_parent, "STOPPING=1");
        int status = end(&c);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 3);
    }
}

static void the_next_one_ends_at_once(void **state)
{
    (void)state;
    struct child c = start(0, false);
    kill(c.pid, SIGTERM);
    assert_says(c.to_parent, "STOPPING=1"); // it has come
    kill(c.pid, SIGTERM);
    int status = end(&c);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void what_takes_too_long_ends_by_itself(void **state)
{
    (void)state;
    struct child c = start(1, false);
    kill(c.pid, SIGTERM);
    assert_says(c.said, LINE);
    int status = end(&c);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_hangup_asks_for_one_reload(void **state)
{
    (void)state;
    struct error err;
    int fd;
    assert_ok(stop_on_signals(&fd, &err), &err);
    assert_false(stop_reload_asked());
    raise(SIGHUP);
    assert_true(stop_reload_asked());
    assert_false(stop_reload_asked());
    close(fd);
}

int main(void)
{
    return TEST_RUN(TEST(the_first_signal_is_seen_and_told), TEST(the_next_one_ends_at_once),
                    TEST(what_takes_too_long_ends_by_itself), TEST(a_hangup_asks_for_one_reload));
}
