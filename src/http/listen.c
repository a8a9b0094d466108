#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "http/server_impl.h"

enum { BACKLOG = 1024, PORT_MAX = 65535 };

static bool is_loopback(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)a;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
}

static int refuse_address(const char *text, struct error *err)
{
    return error_set(err, -EINVAL,
                     "'%s' is no address to listen on: 127.0.0.1:8080, [::1]:8080, localhost:8080, "
                     "or :8080 for all",
                     text);
}

// "HOST:PORT": the host without brackets, empty for all.
static int split(const char *text, char **ret_host, char **ret_port)
{
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
    if (digits == 0 || digits > 5 || colon[1 + digits] != '\0') {
        return -EINVAL;
    }
    bool bracketed = n >= 2 && text[0] == '[' && text[n - 1] == ']';
    *ret_host = bracketed ? x_strndup(text + 1, n - 2) : x_strndup(text, n);
    *ret_port = x_strdup(colon + 1);
    return 0;
}

static int resolve(const char *host, const char *port, struct http_address *ret)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int r = getaddrinfo(*host ? host : NULL, port, &hints, &found);
    if (r != 0) {
        return -EINVAL;
    }
    const struct addrinfo *best = found; // for all addresses: IPv6's, which take IPv4 as well
    for (const struct addrinfo *a = found; a && !*host; a = a->ai_next) {
        best = a->ai_family == AF_INET6 ? a : best;
    }
    *ret = (struct http_address){.n = best->ai_addrlen};
    memcpy(&ret->socket, best->ai_addr, best->ai_addrlen);
    ret->local = is_loopback(&ret->socket);
    freeaddrinfo(found);
    return 0;
}

int address_parse(const char *text, struct http_address *ret, struct error *err)
{
    AUTO_FREE char *host = NULL, *port = NULL;
    if (split(text, &host, &port) < 0 || strtoul(port, NULL, 10) > PORT_MAX ||
        resolve(host, port, ret) < 0) {
        return refuse_address(text, err);
    }
    return 0;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage a;
    socklen_t n = sizeof(a);
    if (getsockname(fd, (struct sockaddr *)&a, &n) < 0) {
        return 0;
    }
    return ntohs(a.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&a)->sin6_port
                                         : ((const struct sockaddr_in *)&a)->sin_port);
}

static int bind_and_listen(int fd, const struct http_address *a)
{
    int yes = 1, no = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (a->socket.ss_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
    }
    if (bind(fd, (const struct sockaddr *)&a->socket, a->n) < 0 || listen(fd, BACKLOG) < 0) {
        return -errno;
    }
    return 0;
}

// Without IPv6 in the kernel, "all" is all of IPv4.
static int open_socket(const struct http_address *a, struct http_address *ret)
{
    *ret = *a;
    int fd = socket(a->socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 || errno != EAFNOSUPPORT || a->local) {
        return fd < 0 ? -errno : fd;
    }
    struct sockaddr_in all = {.sin_family = AF_INET};
    all.sin_port = ((const struct sockaddr_in6 *)&a->socket)->sin6_port;
    *ret = (struct http_address){.n = sizeof(all)};
    memcpy(&ret->socket, &all, sizeof(all));
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd < 0 ? -errno : fd;
}

static const char *advice(int code)
{
    switch (code) {
    case -EADDRINUSE:
        return ": another program listens there; stop it, or give another port";
    case -EACCES:
        return ": ports below 1024 need CAP_NET_BIND_SERVICE; give a higher one";
    case -EADDRNOTAVAIL:
        return ": no interface of this machine has that address";
    default:
        return "";
    }
}

int address_listen(const char *text, const struct http_address *a, int *ret_fd, uint16_t *ret_port,
                   struct error *err)
{
    struct http_address used;
    int fd = open_socket(a, &used);
    int r = fd < 0 ? fd : bind_and_listen(fd, &used);
    if (r < 0) {
        if (fd >= 0) {
            close(fd);
        }
        return error_set(err, r, "cannot listen on %s: %s%s", text, error_name(r), advice(r));
    }
    *ret_fd = fd;
    *ret_port = port_of(fd);
    return 0;
}
