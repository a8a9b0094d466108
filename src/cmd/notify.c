#include "cmd/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/decimal.h"

// An address that begins with '@' is in the abstract name space, where a zero stands for it.
static int connect_to(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || n >= sizeof(a.sun_path)) {
        return -1;
    }
    memcpy(a.sun_path, path, n);
    if (path[0] == '@') {
        a.sun_path[0] = '\0';
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&a, length) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

// The watchdog is meant for the process that WATCHDOG_PID names, when it names one.
static int64_t watchdog(const char *(*getenv)(const char *name))
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    int64_t us = 0, meant = getpid();
    if (!usec || decimal_parse(str_of(usec), 0, &us) < 0 || us <= 0 || us > INT64_MAX / NS_PER_US) {
        return 0;
    }
    if (pid && (decimal_parse(str_of(pid), 0, &meant) < 0 || meant != getpid())) {
        return 0;
    }
    return us * NS_PER_US / 2;
}

void notifier_init(struct notifier *n, const char *(*getenv)(const char *name))
{
    const char *path = getenv("NOTIFY_SOCKET");
    *n = (struct notifier){.fd = path ? connect_to(path) : -1, .watchdog_ns = watchdog(getenv)};
}

void notifier_done(struct notifier *n)
{
    if (n->fd >= 0) {
        close(n->fd);
    }
    n->fd = -1;
}

void notifier_tell(struct notifier *n, const char *text)
{
    if (n->fd >= 0) {
        (void)send(n->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

void notifier_alive(struct notifier *n, struct mono now)
{
    if (n->watchdog_ns > 0 && now.ns - n->last_alive.ns >= n->watchdog_ns) {
        n->last_alive = now;
        notifier_tell(n, "WATCHDOG=1");
    }
}
