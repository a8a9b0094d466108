#include "http/crowd.h"

#include <sys/socket.h>

#include "base/alloc.h"

void crowd_init(struct http_crowd *c, size_t most, size_t most_of_one, int64_t patience_ns)
{
    *c = (struct http_crowd){.most = most, .most_of_one = most_of_one, .patience_ns = patience_ns};
    pthread_mutex_init(&c->lock, NULL);
}

void crowd_done(struct http_crowd *c)
{
    pthread_mutex_destroy(&c->lock);
}

static void link_newest(struct http_crowd *c, struct http_visitor *v)
{
    v->older = c->newest;
    v->newer = NULL;
    *(c->newest ? &c->newest->newer : &c->oldest) = v;
    c->newest = v;
    v->waiting = true;
}

static void unlink_visitor(struct http_crowd *c, struct http_visitor *v)
{
    if (!v->waiting) {
        return;
    }
    *(v->older ? &v->older->newer : &c->oldest) = v->newer;
    *(v->newer ? &v->newer->older : &c->newest) = v->older;
    v->waiting = false;
}

// Its thread sees the end of the stream and closes it.
static void cut(struct http_crowd *c, struct http_visitor *v)
{
    unlink_visitor(c, v);
    v->cut = true;
    c->turned_away++;
    shutdown(v->fd, SHUT_RDWR);
}

static struct http_visitor *longest_waiting(const struct http_crowd *c, bool of_one,
                                            uint64_t address)
{
    struct http_visitor *v = c->oldest;
    while (v && of_one && v->address != address) {
        v = v->newer;
    }
    return v;
}

// Room for one more: of the same address when that has too many waiting, else of all.
static void make_room(struct http_crowd *c, uint64_t address)
{
    size_t of_one = 0;
    for (const struct http_visitor *v = c->oldest; v && c->most_of_one < c->most; v = v->newer) {
        of_one += v->address == address;
    }
    bool one = of_one >= c->most_of_one;
    if (!one && c->n < c->most) {
        return;
    }
    struct http_visitor *v = longest_waiting(c, one, address);
    if (v) {
        cut(c, v);
    }
}

struct http_visitor *crowd_enter(struct http_crowd *c, int fd, uint64_t address, struct mono now)
{
    struct http_visitor *v = x_zalloc(sizeof(*v));
    *v = (struct http_visitor){.fd = fd, .address = address, .since = now};
    pthread_mutex_lock(&c->lock);
    make_room(c, address);
    c->n++;
    link_newest(c, v);
    pthread_mutex_unlock(&c->lock);
    return v;
}

void crowd_leave(struct http_crowd *c, struct http_visitor *v)
{
    pthread_mutex_lock(&c->lock);
    unlink_visitor(c, v);
    c->n -= !v->listens;
    pthread_mutex_unlock(&c->lock);
    free(v);
}

void crowd_served(struct http_crowd *c, struct http_visitor *v)
{
    pthread_mutex_lock(&c->lock);
    unlink_visitor(c, v);
    pthread_mutex_unlock(&c->lock);
}

void crowd_waits(struct http_crowd *c, struct http_visitor *v, struct mono now)
{
    pthread_mutex_lock(&c->lock);
    c->n += v->listens;
    v->listens = false;
    if (!v->cut) {
        unlink_visitor(c, v);
        v->since = now;
        link_newest(c, v);
    }
    pthread_mutex_unlock(&c->lock);
}

void crowd_listens(struct http_crowd *c, struct http_visitor *v)
{
    pthread_mutex_lock(&c->lock);
    unlink_visitor(c, v);
    c->n -= !v->listens;
    v->listens = true;
    pthread_mutex_unlock(&c->lock);
}

void crowd_cut(struct http_crowd *c, struct http_visitor *v)
{
    pthread_mutex_lock(&c->lock);
    if (!v->cut) {
        cut(c, v);
    }
    pthread_mutex_unlock(&c->lock);
}

void crowd_holds(struct http_crowd *c, struct http_visitor *v, size_t n)
{
    pthread_mutex_lock(&c->lock);
    v->holds = n;
    pthread_mutex_unlock(&c->lock);
}

void crowd_relieve(struct http_crowd *c, const struct http_visitor *v)
{
    pthread_mutex_lock(&c->lock);
    struct http_visitor *other = c->oldest;
    while (other && (other == v || other->holds == 0)) {
        other = other->newer;
    }
    if (other) {
        cut(c, other);
    }
    pthread_mutex_unlock(&c->lock);
}

int64_t crowd_sweep(struct http_crowd *c, struct mono now)
{
    pthread_mutex_lock(&c->lock);
    while (c->oldest && now.ns - c->oldest->since.ns > c->patience_ns) {
        cut(c, c->oldest);
    }
    int64_t left = c->patience_ns - (c->oldest ? now.ns - c->oldest->since.ns : 0);
    pthread_mutex_unlock(&c->lock);
    return left;
}
