// A client for tests of what is served: one request a connection, over the loopback interface. It
// waits for what must come, and fails the test when that takes longer than a deadline.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "test.h"

enum { CLIENT_ANSWER_MAX = 1 << 16 };

static inline int client_dial(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static inline void client_say(int fd, struct str text)
{
    while (text.n > 0) {
        ssize_t n = send(fd, text.p, text.n, MSG_NOSIGNAL);
        if (n <= 0) {
            return; // the server had enough; its answer is there
        }
        text = (struct str){text.p + n, text.n - (size_t)n};
    }
}

// Everything until the server closes the connection. The text is the caller's.
static inline char *client_hear(int fd)
{
    char *answer = x_alloc(CLIENT_ANSWER_MAX);
    size_t n = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    ssize_t got = 1;
    while (got > 0) {
        assert_true(poll(&p, 1, TEST_PATIENCE_MS) > 0);
        got = recv(fd, answer + n, CLIENT_ANSWER_MAX - 1 - n, 0);
        n += got > 0 ? (size_t)got : 0;
    }
    answer[n] = '\0';
    close(fd);
    return answer;
}

static inline char *client_ask(uint16_t port, const char *text)
{
    int fd = client_dial(port);
    client_say(fd, str_of(text));
    return client_hear(fd);
}

// Sends it; the answer is heard from the returned connection. headers: whole lines.
static inline int client_send(uint16_t port, const char *path, const char *headers, struct str body)
{
    AUTO_FREE char *head = x_asprintf("POST %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                                      "Content-Length: %zu\r\n%s\r\n",
                                      path, body.n, headers);
    int fd = client_dial(port);
    client_say(fd, str_of(head));
    client_say(fd, body);
    return fd;
}

static inline char *client_post(uint16_t port, const char *path, const char *headers,
                                struct str body)
{
    return client_hear(client_send(port, path, headers, body));
}

static inline int client_status(const char *answer)
{
    int status = 0;
    return sscanf(answer, "HTTP/1.1 %d ", &status) == 1 ? status : 0;
}

static inline const char *client_body(const char *answer)
{
    const char *at = strstr(answer, "\r\n\r\n");
    assert_non_null(at);
    return at + 4;
}

// Polls until the condition holds.
static inline void client_await(bool (*holds)(void *ctx), void *ctx)
{
    for (int i = 0; !holds(ctx); i++) {
        assert_true(i < TEST_PATIENCE_MS);
        poll(NULL, 0, 1);
    }
}
