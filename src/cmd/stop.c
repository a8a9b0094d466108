#include "cmd/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static const int signals[] = {SIGINT, SIGTERM};

// A signal handler has no argument of ours: what it needs must be global.
static volatile int stop_fd = -1, told_fd = -1;
static const char *volatile told_text;

static volatile unsigned limit_s;
static const char *volatile limit_line;

static void on_limit(int number)
{
    (void)number;
    ssize_t written = write(STDERR_FILENO, limit_line, strlen(limit_line));
    (void)written;
    _exit(0);
}

static void on_signal(int number)
{
    (void)number;
    int saved = errno;
    if (limit_s > 0) {
        alarm(limit_s);
    }
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        signal(signals[i], SIG_DFL);
    }
    ssize_t written = write(stop_fd, &(uint64_t){1}, sizeof(uint64_t));
    (void)written;      // an eventfd's counter does not run over by one
    if (told_fd >= 0) { // send(2) and strlen(3) may be called here: signal-safety(7)
        (void)send(told_fd, told_text, strlen(told_text), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    errno = saved;
}

void stop_tells(int socket, const char *text)
{
    told_fd = -1;
    told_text = text;
    told_fd = socket;
}

void stop_within(unsigned seconds, const char *line)
{
    struct sigaction action = {.sa_handler = on_limit};
    limit_line = line;
    limit_s = seconds;
    sigaction(SIGALRM, &action, NULL);
}

static volatile sig_atomic_t reload_asked;

static void on_hangup(int number)
{
    (void)number;
    reload_asked = 1;
}

bool stop_reload_asked(void)
{
    if (!reload_asked) {
        return false;
    }
    reload_asked = 0; // one that comes just before this is answered by the same reading
    return true;
}

int stop_on_signals(int *ret_fd, struct error *err)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        return error_set(err, -errno, "eventfd: %s", error_name(errno));
    }
    stop_fd = fd;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        sigaction(signals[i], &action, NULL);
    }
    struct sigaction hangup = {.sa_handler = on_hangup, .sa_flags = SA_RESTART};
    sigaction(SIGHUP, &hangup, NULL);
    *ret_fd = fd;
    return 0;
}
