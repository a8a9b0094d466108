#include "output/sink.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "model/encode.h"

enum { CHUNK_BYTES = 256 << 10 };

struct sink {
    const struct sink_driver *driver;
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

static int flush(struct sink *s, struct error *err)
{
    int r = write_all(s->text.p, s->text.n, err);
    buf_clear(&s->text);
    return r;
}

static int stdout_write(struct sink *s, const struct record *records, size_t n, struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        record_encode(&s->text, &records[i]);
        buf_char(&s->text, '\n');
        if (s->text.n >= CHUNK_BYTES) {
            r = flush(s, err);
        }
    }
    return r < 0 ? r : flush(s, err);
}

static int null_write(struct sink *s, const struct record *records, size_t n, struct error *err)
{
    (void)s, (void)records, (void)n, (void)err;
    return 0;
}

static const struct sink_driver drivers[] = {
    {.scheme = "stdout", .write = stdout_write},
    {.scheme = "null", .write = null_write},
};

static const struct sink_driver *find_driver(const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(drivers); i++) {
        size_t n = strlen(drivers[i].scheme);
        if (strncmp(text, drivers[i].scheme, n) == 0 && text[n] == ':') {
            return &drivers[i];
        }
    }
    return NULL;
}

bool sink_known(const char *text)
{
    return find_driver(text) != NULL;
}

int sink_open(const char *text, struct sink **ret, struct error *err)
{
    const struct sink_driver *driver = find_driver(text);
    if (driver == NULL) {
        return error_set(err, -EINVAL, "%s: is not an output; known: stdout:, null:", text);
    }
    if (text[strlen(driver->scheme) + 1] != '\0') {
        return error_set(err, -EINVAL, "%s: nothing may follow %s:", text, driver->scheme);
    }
    struct sink *s = x_zalloc(sizeof(*s));
    s->driver = driver;
    buf_init(&s->text, CHUNK_BYTES + 2 * (size_t)RECORD_BYTES_MAX);
    *ret = s;
    return 0;
}

void sink_close(struct sink *s)
{
    if (s) {
        buf_done(&s->text);
        free(s);
    }
}

int sink_write(struct sink *s, const struct record *records, size_t n, struct error *err)
{
    return s->driver->write(s, records, n, err);
}
