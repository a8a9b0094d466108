#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"

static void must(bool good, const char *what)
{
    if (!good) {
        fail_at(__FILE__, __LINE__, "%s: %s\n", what, strerror(errno));
    }
}

static _Noreturn void become(const char *path, const char *const *options, int in, int out)
{
    const char *argv[10] = {path};
    for (size_t i = 0; i < 8 && options[i]; i++) {
        argv[i + 1] = options[i];
    }
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    execv(path, (char *const *)(uintptr_t)argv);
    _exit(127);
}

static void next_line(FILE *from, char *to, size_t room)
{
    struct pollfd p = {.fd = fileno(from), .events = POLLIN};
    must(poll(&p, 1, TEST_PATIENCE_MS) == 1, "no answer in time");
    must(fgets(to, (int)room, from) != NULL, "no answer");
    to[strcspn(to, "\n")] = '\0';
}

void fake_start(struct fake *f, const char *path, const char *const *options)
{
    int in[2], out[2];
    *f = (struct fake){.control = -1};
    signal(SIGPIPE, SIG_IGN); // what has ended is said by the test, not by a signal
    must(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0, "pipe");
    f->pid = fork();
    must(f->pid >= 0, "fork");
    if (f->pid == 0) {
        become(path, options, in[0], out[1]);
    }
    close(in[0]);
    close(out[1]);
    f->in = in[1];
    f->out = out[0];
    f->lines = fdopen(f->out, "r");
    next_line(f->lines, f->ready, sizeof(f->ready));
}

int loopback_connect(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

void fake_dial(struct fake *f)
{
    int control = 0;
    assert_int_equal(sscanf(f->ready, "listening %d control %d", &f->port, &control), 2);
    f->control = loopback_connect(control);
    must(f->control >= 0, "the control channel");
    f->answers = fdopen(f->control, "r");
}

static bool has_ended(pid_t pid, int *status)
{
    for (int i = 0; i < TEST_PATIENCE_MS; i++) {
        if (waitpid(pid, status, WNOHANG) == pid) {
            return true;
        }
        poll(NULL, 0, 1);
    }
    return false;
}

void fake_stop(struct fake *f)
{
    int status = 0;
    close(f->in);
    bool ended = has_ended(f->pid, &status);
    if (!ended) {
        kill(f->pid, SIGKILL);
        waitpid(f->pid, &status, 0);
    }
    fclose(f->lines);
    if (f->answers) {
        fclose(f->answers);
    }
    assert_true(ended);
    assert_true(WIFEXITED(status));
    assert_i64(WEXITSTATUS(status), 0);
}

GTAP_PRINTF(3, 0) static const char *ask(int to, FILE *from, const char *fmt, va_list args)
{
    static char answer[1 << 16];
    char line[4096];
    int n = vsnprintf(line, sizeof(line) - 1, fmt, args);
    assert_true(n >= 0 && n < (int)sizeof(line) - 1);
    line[n] = '\n';
    must(write(to, line, (size_t)n + 1) == n + 1, "cannot tell it");
    next_line(from, answer, sizeof(answer));
    return answer;
}

const char *fake_tell(struct fake *f, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const char *answer = ask(f->control, f->answers, fmt, args);
    va_end(args);
    return answer;
}

const char *fake_say(struct fake *f, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const char *answer = ask(f->in, f->lines, fmt, args);
    va_end(args);
    return answer;
}

void fake_must(struct fake *f, const char *line)
{
    const char *answer = fake_tell(f, "%s", line);
    if (strncmp(answer, "ok", 2) != 0) {
        fail_at(__FILE__, __LINE__, "%s: %s\n", line, answer);
    }
}

int64_t fake_stat(struct fake *f, const char *name)
{
    const char *answer = fake_tell(f, "stats");
    bson_t *stats = from_json(answer + strcspn(answer, "{"));
    bson_iter_t at, found;
    assert_true(bson_iter_init(&at, stats) && bson_iter_find_descendant(&at, name, &found));
    int64_t value = bson_iter_as_int64(&found);
    bson_destroy(stats);
    return value;
}

mongoc_client_t *fake_client(const struct fake *f, const char *options)
{
    char *uri AUTO_FREE = x_asprintf("mongodb://127.0.0.1:%d/?%s", f->port, options);
    mongoc_client_t *client = mongoc_client_new(uri);
    assert_non_null(client);
    mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
    return client;
}

bson_t *from_json(const char *json)
{
    bson_error_t err;
    bson_t *b = bson_new_from_json((const uint8_t *)json, -1, &err);
    if (!b) {
        fail_at(__FILE__, __LINE__, "%s: %s\n", json, err.message);
    }
    return b;
}

ssize_t hear(int fd, void *to, size_t room, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, ms) == 0) {
        return -2;
    }
    return recv(fd, to, room, 0);
}
