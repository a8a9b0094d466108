#include <stdlib.h>
#include <zlib.h>

#include "base/alloc.h"
#include "http/server_impl.h"

// After too much was sent, so much more is read and thrown away, so that the client sees the answer
// instead of a connection that breaks off.
#define DISCARD_MAX ((size_t)1 << 20)
enum { BODY_START = 4096 };

static void note_memory(struct http_exchange *x)
{
    if (x->visitor) {
        crowd_holds(&x->listener->server->crowd, x->visitor, x->cap_body);
    }
}

static bool reserve_body(struct http_exchange *x, size_t n)
{
    size_t cap = MAX(x->cap_body * 2, (size_t)BODY_START);
    cap = MIN(MAX(cap, n), x->route->body_max);
    if (n <= x->cap_body && x->body) {
        return true;
    }
    if (!server_take_memory(x->listener->server, cap - x->cap_body)) {
        x->crowded = true;
        crowd_relieve(&x->listener->server->crowd, x->visitor); // so that it fares better next time
        return false;
    }
    x->body = x_realloc_array(x->body, cap + HTTP_BODY_PADDING, 1);
    x->cap_body = cap;
    note_memory(x);
    return true;
}

void body_drop(struct http_exchange *x)
{
    server_give_memory(x->listener->server, x->cap_body);
    free(x->body);
    x->body = NULL;
    x->cap_body = 0;
    note_memory(x);
}

bool body_discards(const struct http_exchange *x)
{
    struct str length = http_header(x, "Content-Length");
    bool chunked = str_present(http_header(x, "Transfer-Encoding"));
    unsigned long long n = str_present(length) ? strtoull(length.p, NULL, 10) : 0;
    return !str_present(http_header(x, "Expect")) && (chunked || (n > 0 && n <= DISCARD_MAX));
}

bool body_take(struct http_exchange *x, const char *p, size_t n)
{
    if (x->answered) { // refused by its header already
        x->n_body += n;
        return x->n_body <= DISCARD_MAX;
    }
    if (!x->too_large && !x->crowded && n > x->route->body_max - x->n_body) {
        x->too_large = true;
        body_drop(x);
    }
    if (!x->too_large && !x->crowded && reserve_body(x, x->n_body + n)) {
        memcpy(x->body + x->n_body, p, n);
    }
    if (x->crowded) { // what it holds is needed by those who can be served
        body_drop(x);
    }
    x->n_body += n;
    return !(x->too_large || x->crowded) || x->n_body <= x->route->body_max + DISCARD_MAX;
}

// 0, or the status to refuse with.
static int unpack_stream(struct http_exchange *packed, struct http_exchange *plain)
{
    enum { GZIP_ONLY = 16 };
    z_stream z = {.next_in = (unsigned char *)packed->body, .avail_in = (unsigned)packed->n_body};
    if (inflateInit2(&z, MAX_WBITS + GZIP_ONLY) != Z_OK) {
        return 503;
    }
    int r = Z_OK, status = 0;
    while (r == Z_OK && status == 0) {
        if (plain->n_body == plain->route->body_max) {
            status = 413;
        } else if (!reserve_body(plain, plain->n_body + 1)) {
            status = 503;
        } else {
            z.next_out = (unsigned char *)plain->body + plain->n_body;
            z.avail_out = (unsigned)(plain->cap_body - plain->n_body);
            r = inflate(&z, Z_NO_FLUSH);
            plain->n_body = plain->cap_body - z.avail_out;
            if (r == Z_STREAM_END && z.avail_in > 0) { // another member: RFC 1952, 2.2
                r = inflateReset(&z);
            }
        }
    }
    bool whole = r == Z_STREAM_END && z.avail_in == 0;
    inflateEnd(&z);
    return status ? status : whole ? 0 : 400;
}

int body_unpack(struct http_exchange *x)
{
    struct str encoding = http_header(x, "Content-Encoding");
    if (!str_present(encoding) || str_glob(STR("identity"), encoding)) {
        return 0;
    }
    if (!(x->route->flags & HTTP_GZIP) || !str_glob(STR("gzip"), encoding)) {
        return 415;
    }
    struct http_exchange plain = {.listener = x->listener, .route = x->route};
    int status = x->n_body ? unpack_stream(x, &plain) : 400;
    body_drop(x);
    x->body = plain.body;
    x->n_body = plain.n_body;
    x->cap_body = plain.cap_body;
    return status;
}

const char *body_trouble(int status)
{
    switch (status) {
    case 400:
        return "the body is no whole gzip stream";
    case 413:
        return "the body is too large: send fewer records at a time";
    case 415:
        return "the body's Content-Encoding must be gzip, or none";
    default:
        return "the server holds as many bodies as it may: try again";
    }
}
