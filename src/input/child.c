#include "input/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"

enum { READ, WRITE };
#define LOOK_NS (5 * NS_PER_MS)

static void close_pair(const int *ends)
{
    close(ends[READ]);
    close(ends[WRITE]);
}

static int set_actions(posix_spawn_file_actions_t *a, const int *out, const int *err)
{
    int r = posix_spawn_file_actions_addopen(a, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    r = r ? r : posix_spawn_file_actions_adddup2(a, out[WRITE], STDOUT_FILENO);
    return r ? r : posix_spawn_file_actions_adddup2(a, err[WRITE], STDERR_FILENO);
}

static int set_attributes(posix_spawnattr_t *a)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int r = posix_spawnattr_setsigmask(a, &none);
    r = r ? r : posix_spawnattr_setsigdefault(a, &all);
    r = r ? r : posix_spawnattr_setpgroup(a, 0);
    return r ? r
             : posix_spawnattr_setflags(a, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                               POSIX_SPAWN_SETPGROUP);
}

static int spawn(pid_t *ret, const char *program, const char *const *argv, const int *out,
                 const int *err)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int r = posix_spawn_file_actions_init(&actions);
    if (r != 0) {
        return -r;
    }
    r = posix_spawnattr_init(&attributes);
    if (r == 0) {
        r = set_actions(&actions, out, err);
        r = r ? r : set_attributes(&attributes);
        // posix_spawn() takes the words as they were before const.
        r = r ? r
              : posix_spawnp(ret, program, &actions, &attributes, (char **)(uintptr_t)argv,
                             environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

int child_start(struct child *c, const char *program, const char *const *argv, struct error *err)
{
    int out[2], errors[2];
    *c = (struct child){0};
    if (pipe2(out, O_CLOEXEC) < 0) {
        return error_set(err, -errno, "%s: %s", program, error_name(-errno));
    }
    if (pipe2(errors, O_CLOEXEC) < 0) {
        int r = error_set(err, -errno, "%s: %s", program, error_name(-errno));
        close_pair(out);
        return r;
    }
    int r = spawn(&c->pid, program, argv, out, errors);
    if (r < 0) {
        c->pid = 0;
        close_pair(out);
        close_pair(errors);
        return error_set(err, r, "%s cannot be run: %s", program, error_name(r));
    }
    close(out[WRITE]);
    close(errors[WRITE]);
    c->out = out[READ];
    c->err = errors[READ];
    fcntl(c->out, F_SETFL, O_NONBLOCK);
    fcntl(c->err, F_SETFL, O_NONBLOCK);
    return 0;
}

static void hear(struct child *c, char byte)
{
    if (byte != '\n') {
        if (c->n_line < sizeof(c->line) - 1) {
            c->line[c->n_line++] = byte >= ' ' && byte <= '~' ? byte : '?';
        }
        return;
    }
    struct str line = str_trim((struct str){c->line, c->n_line});
    if (line.n > 0) {
        snprintf(c->said, sizeof(c->said), STR_FMT, STR_ARG(line));
    }
    c->n_line = 0;
}

static void hear_all(struct child *c)
{
    char text[1024];
    ssize_t n;
    while ((n = read(c->err, text, sizeof(text))) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            hear(c, text[i]);
        }
    }
}

ssize_t child_read(struct child *c, char *p, size_t n)
{
    hear_all(c);
    ssize_t got = read(c->out, p, n);
    if (got < 0) {
        return errno == EINTR || errno == EAGAIN ? -EAGAIN : 0;
    }
    return got;
}

static bool has_ended(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

// Waits for its end without reaping it. A look every few milliseconds needs no newer kernel.
static bool ends_within(pid_t pid, int64_t ns)
{
    struct timespec look = {.tv_nsec = LOOK_NS};
    for (int64_t waited = 0; waited < ns && !has_ended(pid); waited += LOOK_NS) {
        (void)ppoll(NULL, 0, &look, NULL);
    }
    return has_ended(pid);
}

int child_end(struct child *c, bool finished, int64_t patience_ns)
{
    int status = 0;
    if (c->pid == 0) {
        return 0;
    }
    if (!ends_within(c->pid, finished ? patience_ns : 0)) {
        kill(-c->pid, SIGTERM);
        (void)ends_within(c->pid, patience_ns);
    }
    kill(-c->pid, SIGKILL); // also what it started itself
    hear_all(c);
    hear(c, '\n');
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) {
    }
    close(c->out);
    close(c->err);
    c->pid = 0;
    return status;
}

void child_words(int status, char *ret, size_t n)
{
    if (WIFSIGNALED(status)) {
        snprintf(ret, n, "signal %d ended it", WTERMSIG(status));
    } else {
        snprintf(ret, n, "it ended with status %d", WEXITSTATUS(status));
    }
}
