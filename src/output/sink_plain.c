// stdout: and null:, the sinks that need no more than this process.
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "model/encode.h"
#include "output/sink_impl.h"

enum { CHUNK_BYTES = 256 << 10 };

struct stdout_sink {
    struct sink base;
    struct buf text; // encoded, not yet written
};

static int write_failed(struct error *err)
{
    if (errno == EPIPE) {
        return error_set(err, -EPIPE, "stdout: nobody reads it any more");
    }
    return error_set(err, -errno, "stdout: %s", error_name(errno));
}

// All of it, also to a pipe that somebody made non-blocking.
static int write_all(const char *p, size_t n, struct error *err)
{
    while (n > 0) {
        ssize_t written = write(STDOUT_FILENO, p, n);
        if (written >= 0) {
            p += written;
            n -= (size_t)written;
        } else if (errno == EAGAIN) {
            struct pollfd writable = {.fd = STDOUT_FILENO, .events = POLLOUT};
            (void)poll(&writable, 1, -1);
        } else if (errno != EINTR) {
            return write_failed(err);
        }
    }
    return 0;
}

static int flush(struct stdout_sink *s, struct error *err)
{
    int r = write_all(s->text.p, s->text.n, err);
    buf_clear(&s->text);
    return r;
}

static int stdout_write(struct sink *base, const struct record *records, size_t n,
                        enum sink_place *ret, struct error *err)
{
    struct stdout_sink *s = (struct stdout_sink *)base;
    int r = 0;
    *ret = SINK_PASSED;
    for (size_t i = 0; r == 0 && i < n; i++) {
        record_encode(&s->text, &records[i]);
        buf_char(&s->text, '\n');
        if (s->text.n >= CHUNK_BYTES) {
            r = flush(s, err);
        }
    }
    return r < 0 ? r : flush(s, err);
}

static void stdout_close(struct sink *base)
{
    buf_done(&((struct stdout_sink *)base)->text);
}

static int stdout_open(const struct uri *uri, const struct sink_env *env, struct sink **ret,
                       struct error *err)
{
    (void)uri, (void)err;
    struct stdout_sink *s = x_zalloc(sizeof(*s));
    sink_init(&s->base, &sink_stdout, env);
    buf_init(&s->text, CHUNK_BYTES + 2 * (size_t)RECORD_BYTES_MAX);
    *ret = &s->base;
    return 0;
}

const struct sink_driver sink_stdout = {
    .scheme = "stdout",
    .open = stdout_open,
    .write = stdout_write,
    .close = stdout_close,
};

static int null_write(struct sink *s, const struct record *records, size_t n, enum sink_place *ret,
                      struct error *err)
{
    (void)s, (void)records, (void)n, (void)err;
    *ret = SINK_PASSED;
    return 0;
}

static void null_close(struct sink *s)
{
    (void)s;
}

static int null_open(const struct uri *uri, const struct sink_env *env, struct sink **ret,
                     struct error *err)
{
    (void)uri, (void)err;
    *ret = x_zalloc(sizeof(**ret));
    sink_init(*ret, &sink_null, env);
    return 0;
}

const struct sink_driver sink_null = {
    .scheme = "null",
    .open = null_open,
    .write = null_write,
    .close = null_close,
};
