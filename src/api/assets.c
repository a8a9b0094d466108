#include "api/assets.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/alloc.h"

#define FOR_EVER "Cache-Control: public, max-age=31536000, immutable\n"

static const struct asset *find_asset(struct str name)
{
    for (size_t i = 0; i < n_assets; i++) {
        if (str_eq(name, str_of(assets[i].name))) {
            return &assets[i];
        }
    }
    return NULL;
}

// What it was before it was packed: ours, so whole. The text is the caller's; NULL: no memory.
static char *unpack(const struct asset *a)
{
    enum { GZIP_ONLY = 16 };
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)a->packed,
                  .avail_in = (unsigned)a->n_packed};
    if (inflateInit2(&z, MAX_WBITS + GZIP_ONLY) != Z_OK) {
        return NULL;
    }
    char *plain = x_alloc(a->n_plain + 1);
    z.next_out = (unsigned char *)plain;
    z.avail_out = (unsigned)a->n_plain + 1;
    int r = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    if (r != Z_STREAM_END || z.total_out != a->n_plain) {
        free(plain);
        return NULL;
    }
    return plain;
}

static void answer_plain(struct http_exchange *x, const struct asset *a, const char *headers)
{
    AUTO_FREE char *plain = unpack(a);
    if (plain) {
        http_answer(x, 200, a->type, headers, (struct str){plain, a->n_plain});
    } else {
        http_refuse(x, 503, "there is no memory for this page: ask again");
    }
}

// Unless it is asked for by its version, a name stays while what it has changes with the program: a
// browser asks each time, and is mostly told that it has it already.
static void answer_asset(struct http_exchange *x, const struct asset *a, bool versioned)
{
    if (http_not_modified(x, a->digest)) {
        return;
    }
    bool packed = http_takes_gzip(x);
    AUTO_FREE char *headers = x_asprintf("Content-Security-Policy: %s\n"
                                         "Referrer-Policy: no-referrer\n"
                                         "Cross-Origin-Resource-Policy: same-origin\n%s%s",
                                         assets_policy, versioned ? FOR_EVER : "",
                                         packed ? "Content-Encoding: gzip\n" : "");
    if (packed) {
        http_answer(x, 200, a->type, headers, (struct str){(const char *)a->packed, a->n_packed});
    } else {
        answer_plain(x, a, headers);
    }
}

static void serve_named(struct http_exchange *x, struct str name, bool versioned)
{
    const struct asset *a = find_asset(name);
    if (a) {
        answer_asset(x, a, versioned);
    } else {
        http_refuse(x, 404, "there is nothing here: the dashboard is at /");
    }
}

static bool is_version(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!isxdigit((unsigned char)s.p[i])) {
            return false;
        }
    }
    return s.n == strlen(assets_version);
}

static void serve_index(void *ctx, struct http_exchange *x)
{
    (void)ctx;
    serve_named(x, STR("index.html"), false);
}

// VERSION/NAME, or NAME. A page that a former program served asks for its own version, and gets
// what there is now.
static void serve_asset(void *ctx, struct http_exchange *x)
{
    struct str version, name = http_rest(x);
    (void)ctx;
    if (str_split(&name, '/', &version) && !str_present(name)) {
        serve_named(x, version, false);
    } else if (is_version(version)) {
        serve_named(x, name, str_eq(version, str_of(assets_version)));
    } else {
        serve_named(x, http_rest(x), false);
    }
}

static const struct http_route routes[] = {
    {.method = "GET", .path = "/", .handle = serve_index, .help = "the dashboard"},
    {.method = "GET", .path = "/assets/*", .handle = serve_asset, .help = "what it consists of"},
};

int assets_add(struct http_server *server, struct error *err)
{
    return http_server_add(server, NULL, routes, ARRAY_LEN(routes), NULL, err);
}
