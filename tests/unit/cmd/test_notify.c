#include "cmd/notify.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "test.h"

static char socket_path[64], usec[32], pid[32];

static const char *environment(const char *name)
{
    const char *value = strcmp(name, "NOTIFY_SOCKET") == 0   ? socket_path
                        : strcmp(name, "WATCHDOG_USEC") == 0 ? usec
                        : strcmp(name, "WATCHDOG_PID") == 0  ? pid
                                                             : "";
    return *value ? value : NULL;
}

// The manager's end. An '@' stands for the zero of an abstract address.
static int manager(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = strlen(socket_path);
    memcpy(a.sun_path, socket_path, n);
    if (a.sun_path[0] == '@') {
        a.sun_path[0] = '\0';
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, length), 0);
    return fd;
}

static void assert_told(int fd, const char *want)
{
    char text[256];
    ssize_t n = recv(fd, text, sizeof(text), MSG_DONTWAIT);
    assert_str(((struct str){n < 0 ? NULL : text, n < 0 ? 0 : (size_t)n}), want);
}

static void tell_over(const char *path)
{
    struct notifier n;
    snprintf(socket_path, sizeof(socket_path), "%s", path);
    int fd = manager();
    notifier_init(&n, environment);
    assert_true(n.fd >= 0);
    notifier_tell(&n, "READY=1");
    notifier_tell(&n, "STATUS=fine");
    assert_told(fd, "READY=1");
    assert_told(fd, "STATUS=fine");
    assert_told(fd, NULL);
    notifier_done(&n);
    close(fd);
}

static void test_both_kinds_of_address(void **state)
{
    (void)state;
    char path[] = "/tmp/gtap-notify-XXXXXX";
    assert_non_null(mkdtemp(path));
    AUTO_FREE char *file = x_asprintf("%s/s", path);
    tell_over(file);
    unlink(file);
    rmdir(path);
    AUTO_FREE char *name = x_asprintf("@gtap-notify-%ld", (long)getpid());
    tell_over(name);
}

static void test_nobody(void **state)
{
    (void)state;
    static const char *const rows[] = {"", "relative", "/nonexistent/socket", "@gtap-nobody-there"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct notifier n;
        snprintf(socket_path, sizeof(socket_path), "%s", rows[i]);
        notifier_init(&n, environment);
        assert_i64(n.fd, -1);
        notifier_tell(&n, "READY=1"); // and nothing happens
        notifier_done(&n);
    }
}

static void test_watchdog(void **state)
{
    (void)state;
    static const struct {
        const char *usec, *pid; // "=": this process
        int64_t every;
    } rows[] = {
        {"", "", 0},
        {"30000000", "", 15 * NS_PER_S},
        {"30000000", "=", 15 * NS_PER_S},
        {"30000000", "1", 0},
        {"30000000", "x", 0},
        {"0", "", 0},
        {"-5", "", 0},
        {"many", "", 0},
        {"9223372036854775807", "", 0},
    };
    socket_path[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct notifier n;
        snprintf(usec, sizeof(usec), "%s", rows[i].usec);
        snprintf(pid, sizeof(pid), "%s", rows[i].pid);
        if (rows[i].pid[0] == '=') {
            snprintf(pid, sizeof(pid), "%ld", (long)getpid());
        }
        notifier_init(&n, environment);
        assert_i64(n.watchdog_ns, rows[i].every);
        notifier_done(&n);
    }
}

static void test_alive_when_due(void **state)
{
    (void)state;
    struct notifier n;
    snprintf(socket_path, sizeof(socket_path), "@gtap-alive-%ld", (long)getpid());
    snprintf(usec, sizeof(usec), "20000000");
    pid[0] = '\0';
    int fd = manager();
    notifier_init(&n, environment);
    notifier_alive(&n, (struct mono){100 * NS_PER_S});
    assert_told(fd, "WATCHDOG=1");
    notifier_alive(&n, (struct mono){109 * NS_PER_S});
    assert_told(fd, NULL);
    notifier_alive(&n, (struct mono){110 * NS_PER_S});
    assert_told(fd, "WATCHDOG=1");
    notifier_done(&n);
    close(fd);
}

int main(void)
{
    return TEST_RUN(TEST(test_both_kinds_of_address), TEST(test_nobody), TEST(test_watchdog),
                    TEST(test_alive_when_due));
}
