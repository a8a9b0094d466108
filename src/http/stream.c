#include "http/stream.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "http/answer.h"
#include "http/stream_impl.h"

// What the kernel may hold of what a listener has not read. Without a bound it is megabytes, so
// that it would take long to see who does not read.
enum { SEND_BUFFER = 64 * 1024, BLOCK_BYTES = 1024 };

// What was sent, as often as it is needed. Under the stream's lock.
struct chunk {
    size_t refs, n;
    char text[];
};

struct http_listening {
    struct http_stream *stream;
    struct http_exchange *x;
    struct http_listening *next, *previous;
    struct chunk *current; // what is being read, from `at` on; NULL: nothing
    size_t at;
    uint64_t seq; // of the chunk after that
    bool suspended, over, cut;
};

// The newest chunks are in `ring`, those of [first, end). Lock order: a response's (which
// libmicrohttpd holds around reading), the stream's, the crowd's. The server's is never taken
// under a stream's.
struct http_stream {
    struct http_server *server;
    struct http_stream *next; // of the server's
    struct http_stream_config config;

    pthread_mutex_t lock; // of what follows
    struct chunk *ring[HTTP_STREAM_BACKLOG], *greeting;
    uint64_t first, end;
    size_t bytes;
    struct http_listening *listeners;
    size_t n_listeners;
    uint64_t n_joined, n_cut;
    bool ended;
};

// ---- chunks --------------------------------------------------------------------------------

static struct chunk *chunk_new(struct str text)
{
    if (text.n == 0) {
        return NULL;
    }
    struct chunk *c = x_alloc(sizeof(*c) + text.n);
    c->refs = 1;
    c->n = text.n;
    memcpy(c->text, text.p, text.n);
    return c;
}

static struct chunk *chunk_ref(struct chunk *c)
{
    if (c) {
        c->refs++;
    }
    return c;
}

static void chunk_drop(struct chunk *c)
{
    if (c && --c->refs == 0) {
        free(c);
    }
}

static void drop_oldest(struct http_stream *st)
{
    struct chunk *c = TAKE_PTR(st->ring[st->first % HTTP_STREAM_BACKLOG]);
    st->first++;
    st->bytes -= c->n;
    chunk_drop(c);
}

// Takes the chunk over. Without listeners nothing needs to be kept.
static void push(struct http_stream *st, struct chunk *c)
{
    if (st->n_listeners == 0) {
        chunk_drop(c);
        return;
    }
    if (st->end - st->first == st->config.backlog) {
        drop_oldest(st);
    }
    st->ring[st->end++ % HTTP_STREAM_BACKLOG] = c;
    st->bytes += c->n;
    while (st->bytes > st->config.backlog_bytes && st->end - st->first > 1) {
        drop_oldest(st);
    }
}

// ---- a stream ------------------------------------------------------------------------------

struct http_stream *http_stream_new(struct http_server *s, const struct http_stream_config *c)
{
    struct http_stream *st = x_zalloc(sizeof(*st));
    st->server = s;
    st->config = *c;
    st->config.backlog = MIN(MAX(c->backlog, (size_t)1), (size_t)HTTP_STREAM_BACKLOG);
    pthread_mutex_init(&st->lock, NULL);
    st->next = s->streams;
    s->streams = st;
    return st;
}

void http_stream_free(struct http_stream *st)
{
    if (!st) {
        return;
    }
    while (st->first < st->end) {
        drop_oldest(st);
    }
    chunk_drop(st->greeting);
    pthread_mutex_destroy(&st->lock);
    free(st);
}

// ---- listening -----------------------------------------------------------------------------

// The chunk to read on in; false: there is none now.
static bool advance(struct http_listening *l)
{
    struct http_stream *st = l->stream;
    if (l->current && l->at < l->current->n) {
        return true;
    }
    chunk_drop(TAKE_PTR(l->current));
    l->at = 0;
    if (l->seq < st->first) { // what it would get next is gone
        l->over = true;
    } else if (l->seq < st->end) {
        l->current = chunk_ref(st->ring[l->seq++ % HTTP_STREAM_BACKLOG]);
    }
    return l->current != NULL;
}

static ssize_t read_on(void *cls, uint64_t pos, char *to, size_t max)
{
    struct http_listening *l = cls;
    struct http_stream *st = l->stream;
    size_t n = 0;
    (void)pos;
    pthread_mutex_lock(&st->lock);
    while (n < max && advance(l)) {
        size_t part = MIN(max - n, l->current->n - l->at);
        memcpy(to + n, l->current->text + l->at, part);
        l->at += part;
        n += part;
    }
    bool over = n == 0 && l->over;
    if (n == 0 && !over) {
        l->suspended = true;
        MHD_suspend_connection(l->x->connection);
    }
    pthread_mutex_unlock(&st->lock);
    return over ? MHD_CONTENT_READER_END_OF_STREAM : (ssize_t)n;
}

static uint64_t address_of(const struct http_exchange *x)
{
    return x->visitor ? x->visitor->address : 0;
}

// Under the lock: why it may not join; NULL: it may.
static const char *refusal(const struct http_stream *st, const struct http_exchange *x)
{
    const struct http_server *s = st->server;
    size_t of_one = 0, most = s->config.streams,
           most_of_one = s->main_address.local ? most : (most + 3) / 4;
    for (const struct http_listening *l = st->listeners; l; l = l->next) {
        of_one += address_of(l->x) == address_of(x);
    }
    if (st->ended) {
        return "the server is stopping: ask again";
    }
    if (st->n_listeners >= most) {
        return "as many listen as may: ask again later";
    }
    return of_one >= most_of_one
               ? "as many listen from this address as may: close one, or ask again later"
               : NULL;
}

static const char *enter(struct http_stream *st, struct http_listening *l)
{
    pthread_mutex_lock(&st->lock);
    const char *why = refusal(st, l->x);
    if (!why) {
        l->current = chunk_ref(st->greeting);
        l->seq = st->end;
        l->next = st->listeners;
        if (l->next) {
            l->next->previous = l;
        }
        st->listeners = l;
        st->n_listeners++;
        st->n_joined++;
    }
    pthread_mutex_unlock(&st->lock);
    return why;
}

void stream_leave(struct http_listening *l)
{
    struct http_stream *st = l->stream;
    pthread_mutex_lock(&st->lock);
    *(l->previous ? &l->previous->next : &st->listeners) = l->next;
    if (l->next) {
        l->next->previous = l->previous;
    }
    st->n_listeners--;
    chunk_drop(l->current);
    pthread_mutex_unlock(&st->lock);
    free(l);
}

void http_stream_join(struct http_stream *st, struct http_exchange *x)
{
    struct http_listening *l = x_zalloc(sizeof(*l));
    *l = (struct http_listening){.stream = st, .x = x};
    struct MHD_Response *r =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_on, l, NULL);
    const char *why = r ? enter(st, l) : "there is no memory for it: ask again later";
    if (why) {
        if (r) {
            MHD_destroy_response(r);
        }
        free(l);
        http_refuse(x, 503, "%s", why);
        return;
    }
    int bytes = SEND_BUFFER;
    if (x->visitor) {
        (void)setsockopt(x->visitor->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    }
    answer_headers(r, x, "", st->config.type, st->config.headers);
    exchange_listens(x, r, l);
    if (st->config.joined) {
        st->config.joined(st->config.ctx);
    }
}

// ---- sending -------------------------------------------------------------------------------

static void wake(struct http_listening *l)
{
    if (l->suspended) {
        l->suspended = false;
        MHD_resume_connection(l->x->connection);
    }
}

// It is still at what was sent before all that is kept.
static void cut_if_slow(struct http_listening *l)
{
    if (l->seq < l->stream->first && !l->cut && l->x->visitor) {
        l->cut = true;
        l->stream->n_cut++;
        crowd_cut(&l->stream->server->crowd, l->x->visitor);
    }
}

size_t http_stream_send(struct http_stream *st, struct str text, struct str greeting)
{
    struct chunk *c = chunk_new(text), *g = chunk_new(greeting);
    pthread_mutex_lock(&st->lock);
    chunk_drop(st->greeting);
    st->greeting = g;
    if (c) {
        push(st, c);
    }
    for (struct http_listening *l = st->listeners; c && l; l = l->next) {
        wake(l);
        cut_if_slow(l);
    }
    size_t listeners = st->n_listeners;
    pthread_mutex_unlock(&st->lock);
    return listeners;
}

void streams_end(struct http_server *s, bool for_good)
{
    for (struct http_stream *st = s->streams; st; st = st->next) {
        pthread_mutex_lock(&st->lock);
        st->ended |= for_good;
        for (struct http_listening *l = st->listeners; l; l = l->next) {
            l->over = true;
            wake(l);
        }
        pthread_mutex_unlock(&st->lock);
    }
}

struct http_stream_stats http_stream_stats(const struct http_stream *st)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&st->lock;
    pthread_mutex_lock(lock);
    struct http_stream_stats stats = {
        .listeners = st->n_listeners, .joined = st->n_joined, .cut = st->n_cut};
    pthread_mutex_unlock(lock);
    return stats;
}
