// A fake MongoDB server for tests and benchmarks: fast, and at fault when told to.
//
//     fake_mongod [--keep | --ids | --forget] [--of NAME,...] [--standalone] [--bind ADDRESS]
//                 [--port N] [--control N] [--memory MB] [--expect IDS] [--leash]
//
// --keep (the default) remembers documents, at most --memory MB of them (2048), --ids only a hash
// of each _id, --forget nothing, which with --of is about the collections of these names alone; see
// docs.h; with --expect there is room for so many ids in each collection from the beginning, so
// that the cost of a record does not grow with their number. Port 0, the default, is a free one.
// The first line of stdout is "listening PORT control PORT" once both are open. --leash: ends when
// stdin does, so that it does not outlive the test that holds the other end. Without --standalone
// it is the primary of a replica set "fake".
//
// The control channel takes a line at a time and answers each by "ok", perhaps with more behind it,
// or by "error" and why:
//
//     fail WHAT ...          see faults.h; answers with the fault's number
//     clear                  no more faults; what is stalled stays so
//     primary                after not-primary: primary again
//     down, up               closes all connections and the port, and opens it again
//     stats                  one JSON object: what was done, and how often each fault struck
//     ids COLLECTION         how many documents
//     has COLLECTION ID      1 or 0; the ID as JSON (Extended JSON for other types), or bare text
//     find COLLECTION [FILTER]   "ok N" and N lines of JSON
//     reset                  forgets documents, faults and counts; primary again
//     quit
//
// What a real server does and this one does not: transactions, authentication, TLS, compression,
// projections (whole documents are answered), unique indexes but that on _id, TTL. Queries, updates
// and pipelines that it does not understand are refused, never half done.
//
// COLLECTION is "database.collection", or the name alone, in whichever database it is first found.
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/decimal.h"
#include "control.h"
#include "server.h"

enum { READ_ROOM = 256 << 10, LINE_MAX_BYTES = 1 << 20, KEEP_ROOM = 4 << 20 };

enum role { ROLE_LISTENER, ROLE_CONTROL_LISTENER, ROLE_CLIENT, ROLE_CONTROL, ROLE_LEASH };
enum ending { GO_ON, CLOSE, RESET };

struct conn {
    enum role role;
    int fd;
    bool stalled;
    uint8_t *in;
    size_t n, cap;
    struct buf out;
    size_t sent, until; // until: of out, what is sent; the rest never is
    int64_t due_ns;     // 0, or when sending may begin, by the monotonic clock
    enum ending ending; // when what is to be sent is sent
    uint32_t events;    // that epoll waits for
    struct conn *prev, *next;
};

struct fake {
    struct server server;
    int epoll;
    struct in_addr bind;
    uint16_t port, control_port;
    struct conn *conns, *dead; // dead: closed, freed when no event can be about them
    bool done;
};

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "fake_mongod: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// ---- connections ---------------------------------------------------------------------------

static void watch(struct fake *f, struct conn *c, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (c->events != events && epoll_ctl(f->epoll, EPOLL_CTL_MOD, c->fd, &e) < 0) {
        give_up("epoll");
    }
    c->events = events;
}

static struct conn *conn_new(struct fake *f, enum role role, int fd)
{
    struct conn *c = x_zalloc(sizeof(*c));
    *c = (struct conn){.role = role, .fd = fd, .events = EPOLLIN, .next = f->conns};
    buf_init(&c->out, REPLY_MAX + 64);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(f->epoll, EPOLL_CTL_ADD, fd, &e) < 0) {
        give_up("epoll");
    }
    if (c->next) {
        c->next->prev = c;
    }
    f->conns = c;
    return c;
}

static void conn_end(struct fake *f, struct conn *c, enum ending how)
{
    struct linger none = {.l_onoff = 1};
    if (c->fd < 0) {
        return;
    }
    if (how == RESET) {
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    }
    close(c->fd);
    c->fd = -1;
    f->server.count.open -= c->role == ROLE_CLIENT;
    *(c->prev ? &c->prev->next : &f->conns) = c->next;
    if (c->next) {
        c->next->prev = c->prev;
    }
    c->next = f->dead;
    f->dead = c;
}

static void bury(struct fake *f)
{
    while (f->dead) {
        struct conn *c = f->dead;
        f->dead = c->next;
        buf_done(&c->out);
        free(c->in);
        free(c);
    }
}

// Answers nothing from here on; sees when the client goes.
static void conn_stall(struct fake *f, struct conn *c)
{
    c->stalled = true;
    watch(f, c, EPOLLRDHUP);
}

static void sent_all(struct fake *f, struct conn *c)
{
    if (c->ending != GO_ON) {
        conn_end(f, c, c->ending);
        return;
    }
    buf_clear(&c->out);
    if (c->out.cap > KEEP_ROOM) {
        buf_done(&c->out);
        buf_init(&c->out, REPLY_MAX + 64);
    }
    c->sent = c->until = 0;
    watch(f, c, EPOLLIN);
}

static void conn_send(struct fake *f, struct conn *c)
{
    if (c->due_ns > 0 && now_ns() < c->due_ns) {
        watch(f, c, EPOLLRDHUP);
        return;
    }
    c->due_ns = 0;
    while (c->sent < c->until) {
        ssize_t n = send(c->fd, c->out.p + c->sent, c->until - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            watch(f, c, EPOLLOUT);
            return;
        }
        if (n < 0 && errno != EINTR) {
            conn_end(f, c, CLOSE);
            return;
        }
        c->sent += n > 0 ? (size_t)n : 0;
    }
    sent_all(f, c);
}

// ---- up and down ---------------------------------------------------------------------------

static int listen_at(struct in_addr at, uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = at, .sin_port = htons(*port)};
    socklen_t size = sizeof(a);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 512) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &size) < 0) {
        give_up("cannot listen");
    }
    *port = ntohs(a.sin_port);
    return fd;
}

static bool is_up(const struct fake *f)
{
    for (const struct conn *c = f->conns; c; c = c->next) {
        if (c->role == ROLE_LISTENER) {
            return true;
        }
    }
    return false;
}

static void go_down(struct fake *f)
{
    struct conn *next = f->conns;
    while (next) {
        struct conn *c = next;
        next = c->next;
        if (c->role == ROLE_LISTENER || c->role == ROLE_CLIENT) {
            conn_end(f, c, CLOSE);
        }
    }
}

// ---- requests ------------------------------------------------------------------------------

// Before anything is done; false: nothing is.
static bool before_request(struct fake *f, struct conn *c, const struct fault *fault)
{
    if (fault && fault->kind == FAULT_STALL) {
        conn_stall(f, c);
        return false;
    }
    if (fault && fault->kind == FAULT_DROP) {
        conn_end(f, c, CLOSE);
        return false;
    }
    return true;
}

static void after_request(struct fake *f, struct conn *c, const struct fault *fault)
{
    c->until = c->out.n;
    if (fault && fault->kind == FAULT_STALL_AFTER) {
        conn_stall(f, c);
        return;
    }
    if (fault && fault->kind == FAULT_LOST) {
        conn_end(f, c, CLOSE);
        return;
    }
    if (fault && fault->kind == FAULT_RESET) {
        c->until = c->out.n / 2;
        c->ending = RESET;
    }
    if (fault && fault->kind == FAULT_SLOW) {
        c->due_ns = now_ns() + fault->number * 1000000;
    }
    if (!buf_ok(&c->out)) {
        conn_end(f, c, CLOSE); // no answer is as large as that
        return;
    }
    conn_send(f, c);
}

static void on_request(struct fake *f, struct conn *c, const uint8_t *p, uint32_t n)
{
    struct request r;
    if (!request_parse(&r, p, n)) {
        conn_end(f, c, CLOSE);
        return;
    }
    bool refusing = false;
    struct str ns = server_ns(&f->server, &r);
    const struct fault *fault = faults_pick(&f->server.faults, r.name, ns, &refusing);
    if (!before_request(f, c, fault)) {
        return;
    }
    size_t mark = answer_begin(&c->out, &r);
    server_run(&f->server, &r, fault, refusing, &c->out);
    answer_end(&c->out, mark);
    if (r.unheard) {
        buf_clear(&c->out);
    }
    after_request(f, c, fault);
}

static void on_line(struct fake *f, struct conn *c, const uint8_t *p, size_t n)
{
    struct str line = {(const char *)p, n};
    enum control_act act = control_run(&f->server, str_trim(line), &c->out);
    f->done = f->done || act == CONTROL_QUIT;
    if (act == CONTROL_DOWN) {
        go_down(f);
    } else if (act == CONTROL_UP && !is_up(f)) {
        conn_new(f, ROLE_LISTENER, listen_at(f->bind, &f->port));
    }
    c->until = c->out.n;
    conn_send(f, c); // it is so by the time that it is said
}

// Handles one request or line at the front; how many bytes it was, 0: it is not all there.
static size_t handle_one(struct fake *f, struct conn *c, const uint8_t *p, size_t n)
{
    if (c->role == ROLE_CONTROL) {
        const uint8_t *end = memchr(p, '\n', n);
        if (!end) {
            return 0;
        }
        on_line(f, c, p, (size_t)(end - p));
        return (size_t)(end - p) + 1;
    }
    uint32_t length = n < HEADER_SIZE ? 1 : message_length(p);
    if (length == 0) {
        conn_end(f, c, CLOSE);
    } else if (n >= HEADER_SIZE && n >= length) {
        on_request(f, c, p, length);
        return length;
    }
    return 0;
}

static bool is_open(const struct conn *c)
{
    return c->fd >= 0 && !c->stalled && c->ending == GO_ON;
}

static void handle_all(struct fake *f, struct conn *c)
{
    size_t at = 0, used = 1;
    while (used > 0 && is_open(c) && c->until == 0 && at < c->n) {
        used = handle_one(f, c, c->in + at, c->n - at);
        at += used;
    }
    if (at > 0 && is_open(c)) {
        ARRAY_DROP_FRONT(c->in, c->n, at);
    }
}

// How many bytes are wanted in all: the message that has begun, or what there is.
static size_t wanted(const struct conn *c)
{
    size_t least = c->n + READ_ROOM;
    if (c->role == ROLE_CONTROL) {
        return MIN(least, (size_t)LINE_MAX_BYTES);
    }
    size_t length = c->n >= HEADER_SIZE ? message_length(c->in) : 0;
    return MAX(least, length);
}

static void conn_read(struct fake *f, struct conn *c)
{
    size_t want = wanted(c);
    if (want > c->cap) {
        c->cap = want;
        c->in = x_realloc_array(c->in, c->cap, 1);
    }
    ssize_t n = c->cap > c->n ? recv(c->fd, c->in + c->n, c->cap - c->n, 0) : 0;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        conn_end(f, c, CLOSE);
        return;
    }
    c->n += n > 0 ? (size_t)n : 0;
    handle_all(f, c);
}

// ---- accepting -----------------------------------------------------------------------------

static void on_connect(struct fake *f, int fd)
{
    int one = 1;
    bool unused;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    struct conn *c = conn_new(f, ROLE_CLIENT, fd);
    f->server.count.connections++;
    f->server.count.open++;
    const struct fault *fault = faults_pick(&f->server.faults, STR("connect"), STR(""), &unused);
    if (fault && fault->kind == FAULT_RESET) {
        conn_end(f, c, RESET);
    } else {
        before_request(f, c, fault);
    }
}

static void on_accept(struct fake *f, const struct conn *listener)
{
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0 && listener->role == ROLE_LISTENER) {
        on_connect(f, fd);
    } else if (fd >= 0) {
        conn_new(f, ROLE_CONTROL, fd);
    }
}

// ---- the loop ------------------------------------------------------------------------------

static void on_event(struct fake *f, struct conn *c, uint32_t events)
{
    char unread[256];
    if (c->fd < 0) {
        return; // it was closed by an event before
    }
    if (c->role == ROLE_LISTENER || c->role == ROLE_CONTROL_LISTENER) {
        on_accept(f, c);
    } else if (c->role == ROLE_LEASH) {
        f->done = read(c->fd, unread, sizeof(unread)) == 0;
    } else if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) {
        conn_end(f, c, CLOSE);
    } else if (events & EPOLLOUT) {
        conn_send(f, c);
        handle_all(f, c);
    } else {
        conn_read(f, c);
    }
}

// Milliseconds until an answer is due, -1: none is.
static int next_due(const struct fake *f, int64_t now)
{
    int64_t first = INT64_MAX;
    for (const struct conn *c = f->conns; c; c = c->next) {
        first = c->due_ns > 0 ? MIN(first, c->due_ns) : first;
    }
    if (first == INT64_MAX) {
        return -1;
    }
    return (int)MIN(MAX((first - now + 999999) / 1000000, 0), 60000);
}

static void send_due(struct fake *f, int64_t now)
{
    struct conn *next = f->conns;
    while (next) {
        struct conn *c = next;
        next = c->next;
        if (c->due_ns > 0 && c->due_ns <= now) {
            conn_send(f, c);
            handle_all(f, c);
        }
    }
}

static void serve(struct fake *f)
{
    struct epoll_event events[64];
    while (!f->done) {
        int n = epoll_wait(f->epoll, events, ARRAY_LEN(events), next_due(f, now_ns()));
        if (n < 0 && errno != EINTR) {
            give_up("epoll");
        }
        for (int i = 0; i < n; i++) {
            on_event(f, events[i].data.ptr, events[i].events);
        }
        send_due(f, now_ns());
        bury(f);
    }
}

// ---- the command line ----------------------------------------------------------------------

struct options {
    int memory; // enum memory
    int standalone, leash;
    int64_t port, control, memory_mb, expected;
    const char *bind, *of;
};

static void usage(void)
{
    fprintf(stderr,
            "usage: fake_mongod [--keep | --ids | --forget] [--of NAME,...] [--standalone]\n"
            "                   [--leash] [--bind ADDRESS] [--port N] [--control N]\n"
            "                   [--memory MB] [--expect IDS]\n");
    exit(2);
}

static void take_number(int64_t *ret, int64_t most)
{
    if (decimal_parse(str_of(optarg), 0, ret) < 0 || *ret < 0 || *ret > most) {
        usage();
    }
}

static struct options parse_options(int argc, char **argv)
{
    struct options o = {.memory = MEMORY_KEEP, .memory_mb = 2048, .bind = "127.0.0.1"};
    const struct option table[] = {
        {"keep", no_argument, &o.memory, MEMORY_KEEP},
        {"ids", no_argument, &o.memory, MEMORY_IDS},
        {"forget", no_argument, &o.memory, MEMORY_FORGET},
        {"of", required_argument, NULL, 'o'},
        {"standalone", no_argument, &o.standalone, 1},
        {"leash", no_argument, &o.leash, 1},
        {"bind", required_argument, NULL, 'b'},
        {"port", required_argument, NULL, 'p'},
        {"control", required_argument, NULL, 'c'},
        {"memory", required_argument, NULL, 'm'},
        {"expect", required_argument, NULL, 'e'},
        {0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
        switch (c) {
        case 0:
            break;
        case 'o':
            o.of = optarg;
            break;
        case 'b':
            o.bind = optarg;
            break;
        case 'p':
            take_number(&o.port, 65535);
            break;
        case 'c':
            take_number(&o.control, 65535);
            break;
        case 'm':
            take_number(&o.memory_mb, 1 << 20);
            break;
        case 'e':
            take_number(&o.expected, 1 << 30);
            break;
        default:
            usage();
        }
    }
    if (optind < argc) {
        usage();
    }
    return o;
}

static void open_all(struct fake *f, const struct options *o)
{
    struct in_addr loopback = {.s_addr = htonl(INADDR_LOOPBACK)};
    f->port = (uint16_t)o->port;
    f->control_port = (uint16_t)o->control;
    f->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (f->epoll < 0) {
        give_up("epoll");
    }
    conn_new(f, ROLE_LISTENER, listen_at(f->bind, &f->port));
    conn_new(f, ROLE_CONTROL_LISTENER, listen_at(loopback, &f->control_port));
    if (o->leash) {
        conn_new(f, ROLE_LEASH, STDIN_FILENO);
    }
}

int main(int argc, char **argv)
{
    struct options o = parse_options(argc, argv);
    struct fake f = {0};
    if (inet_pton(AF_INET, o.bind, &f.bind) != 1) {
        usage();
    }
    signal(SIGPIPE, SIG_IGN);
    server_init(&f.server, (enum memory)o.memory, (uint64_t)o.memory_mb << 20);
    f.server.docs.of = o.of;
    f.server.docs.expected = (size_t)o.expected;
    open_all(&f, &o);
    char *address AUTO_FREE = x_asprintf("%s:%u", o.bind, (unsigned)f.port);
    f.server.address = address;
    f.server.set_name = o.standalone ? NULL : "fake";
    printf("listening %u control %u\n", (unsigned)f.port, (unsigned)f.control_port);
    fflush(stdout);
    serve(&f);
    while (f.conns) {
        conn_end(&f, f.conns, CLOSE);
    }
    bury(&f);
    close(f.epoll);
    server_done(&f.server);
    return 0;
}
