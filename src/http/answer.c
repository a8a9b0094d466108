#include "http/answer.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <zlib.h>

#include "base/alloc.h"

enum { MESSAGE_MAX = 1024, TAGS_MAX = 4096, PACK_FROM = 1024, PACK_LEVEL = 4 };

// ---- what later answers need of the header -----------------------------------------------------

// "gzip", "gzip;q=0.5", "*", but not "gzip;q=0".
static bool accepts(struct str accept, struct str coding)
{
    struct str item, name, quality;
    while (str_split(&accept, ',', &item)) {
        quality = item;
        (void)str_split(&quality, ';', &name);
        name = str_trim(name);
        bool none = str_present(quality) && (str_glob(STR("*q=0"), str_trim(quality)) ||
                                             str_glob(STR("*q=0.0*"), str_trim(quality)));
        if (str_glob(coding, name) || str_eq(name, STR("*"))) {
            return !none;
        }
    }
    return false;
}

// The origin as configured, absent when it is none of those.
static struct str known_origin(const struct http_config *c, struct str origin)
{
    struct str rest = str_of(c->cors_origins), one;
    while (str_present(origin) && str_split(&rest, ',', &one)) {
        if (str_eq(str_trim(one), origin)) {
            return str_trim(one);
        }
    }
    return STR_NONE;
}

void answer_note(struct http_exchange *x)
{
    struct str tags = http_header(x, "If-None-Match");
    struct str accept = http_header(x, "Accept-Encoding");
    x->takes_gzip = str_present(accept) && accepts(accept, STR("gzip"));
    if (str_present(tags) && tags.n <= TAGS_MAX) {
        x->if_none_match = x_strndup(tags.p, tags.n);
    }
    if (route_is_shared(x->listener, x->path)) {
        x->origin = known_origin(&x->listener->server->config, http_header(x, "Origin"));
    }
}

bool answer_preflight(struct http_exchange *x, struct str allow)
{
    if (!str_eq(x->method, STR("OPTIONS")) || !str_present(x->origin)) {
        return false;
    }
    AUTO_FREE char *headers = x_asprintf(
        "Access-Control-Allow-Methods: " STR_FMT
        "\nAccess-Control-Allow-Headers: Authorization, Content-Type, If-None-Match, Last-Event-ID"
        "\nAccess-Control-Max-Age: 600\nAllow: " STR_FMT,
        STR_ARG(allow), STR_ARG(allow));
    http_answer(x, 204, NULL, headers, STR(""));
    return true;
}

// "https://host", "http://[::1]:80": as browsers write it, in lower case and without a path.
static bool is_origin(struct str s)
{
    struct str host = s;
    if (str_starts(s, STR("https://"))) {
        host = (struct str){s.p + 8, s.n - 8};
    } else if (str_starts(s, STR("http://"))) {
        host = (struct str){s.p + 7, s.n - 7};
    } else {
        return false;
    }
    for (size_t i = 0; i < host.n; i++) {
        unsigned char c = (unsigned char)host.p[i];
        if (!islower(c) && !isdigit(c) && !strchr(".-:[]", c)) {
            return false;
        }
    }
    return host.n > 0;
}

char *answer_bad_origin(const char *origins)
{
    struct str rest = str_of(origins), one;
    while (str_split(&rest, ',', &one)) {
        if (!is_origin(str_trim(one))) {
            return x_strndup(one.p, one.n);
        }
    }
    return NULL;
}

// ---- entity tags -------------------------------------------------------------------------------

// Whether a list of tags has this one, weak or not, packed or not: they stand for the same.
static bool has_tag(struct str list, const char *tag)
{
    struct str one;
    AUTO_FREE char *plain = x_asprintf("\"%s\"", tag), *packed = x_asprintf("\"%s+gzip\"", tag);
    while (str_split(&list, ',', &one)) {
        one = str_trim(one);
        if (str_starts(one, STR("W/"))) {
            one = (struct str){one.p + 2, one.n - 2};
        }
        if (str_eq(one, STR("*")) || str_eq(one, str_of(plain)) || str_eq(one, str_of(packed))) {
            return true;
        }
    }
    return false;
}

// What is packed is not the same bytes, so a strong tag must not be the same.
bool http_not_modified(struct http_exchange *x, const char *tag)
{
    snprintf(x->etag, sizeof(x->etag), "\"%.*s%s\"", HTTP_ETAG_MAX, tag,
             x->takes_gzip ? "+gzip" : "");
    if (!x->if_none_match || !has_tag(str_of(x->if_none_match), tag)) {
        return false;
    }
    http_answer(x, 304, NULL, NULL, STR(""));
    return true;
}

// ---- the answer --------------------------------------------------------------------------------

static bool is_text(const char *type)
{
    static const char *const patterns[] = {"text/*",
                                           "application/json*",
                                           "application/*+json*",
                                           "application/javascript*",
                                           "application/openmetrics*",
                                           "image/svg+xml*"};
    for (size_t i = 0; type && i < ARRAY_LEN(patterns); i++) {
        if (str_glob(str_of(patterns[i]), str_of(type))) {
            return true;
        }
    }
    return false;
}

static bool worth_packing(const struct http_exchange *x, const char *type, const char *headers,
                          struct str body)
{
    return x->takes_gzip && body.n > PACK_FROM && body.n < UINT32_MAX && is_text(type) &&
           !(headers && str_glob(STR("*content-encoding:*"), str_of(headers)));
}

char *answer_pack(const struct http_exchange *x, const char *type, const char *headers,
                  struct str *body)
{
    enum { GZIP = 16, MEMORY = 8 };
    z_stream z = {0};
    if (!worth_packing(x, type, headers, *body) ||
        deflateInit2(&z, PACK_LEVEL, Z_DEFLATED, MAX_WBITS + GZIP, MEMORY, Z_DEFAULT_STRATEGY) !=
            Z_OK) {
        return NULL;
    }
    size_t room = deflateBound(&z, body->n);
    char *packed = x_alloc(room);
    z.next_in = (unsigned char *)(uintptr_t)body->p;
    z.avail_in = (unsigned)body->n;
    z.next_out = (unsigned char *)packed;
    z.avail_out = (unsigned)room;
    int r = deflate(&z, Z_FINISH);
    size_t n = room - z.avail_out;
    deflateEnd(&z);
    if (r != Z_STREAM_END || n >= body->n) {
        free(packed);
        return NULL;
    }
    *body = (struct str){packed, n};
    return packed;
}

static void add_header(struct MHD_Response *r, struct str line)
{
    struct str name;
    if (!str_split(&line, ':', &name) || !str_present(line)) {
        return;
    }
    AUTO_FREE char *n = x_strndup(name.p, name.n);
    struct str value = str_trim(line);
    AUTO_FREE char *v = x_strndup(value.p, value.n);
    (void)MHD_add_response_header(r, n, v); // fails on what no header may hold; then it is not sent
}

static void add_sharing(struct MHD_Response *r, const struct http_exchange *x)
{
    struct buf line;
    if (!str_present(x->origin)) {
        return;
    }
    buf_init(&line, MESSAGE_MAX);
    buf_printf(&line, "Access-Control-Allow-Origin: " STR_FMT, STR_ARG(x->origin));
    add_header(r, buf_view(&line));
    add_header(r, STR("Access-Control-Expose-Headers: ETag, Retry-After"));
    buf_done(&line);
}

void answer_headers(struct MHD_Response *r, const struct http_exchange *x, const char *tag,
                    const char *type, const char *headers)
{
    add_header(r, STR("X-Content-Type-Options: nosniff"));
    add_sharing(r, x);
    if (type) {
        (void)MHD_add_response_header(r, "Content-Type", type);
    }
    if (tag[0]) {
        (void)MHD_add_response_header(r, "ETag", tag);
    }
    struct str rest = str_of(headers), line;
    while (str_split(&rest, '\n', &line)) {
        add_header(r, line);
    }
    if (!MHD_get_response_header(r, "Vary")) {
        add_header(r, x->listener->server->config.cors_origins
                          ? STR("Vary: Accept-Encoding, Origin")
                          : STR("Vary: Accept-Encoding"));
    }
    if (!MHD_get_response_header(r, "Cache-Control")) {
        add_header(r, tag[0] ? STR("Cache-Control: private, no-cache")
                             : STR("Cache-Control: no-store"));
    }
}

struct MHD_Response *answer_response(const struct http_exchange *x, const char *tag,
                                     const char *type, const char *headers, struct str body,
                                     char *owned)
{
    if (!owned) {
        owned = x_alloc(body.n + 1); // of bytes, not text: it may hold zeros
        memcpy(owned, body.n ? body.p : "", body.n);
    }
    struct MHD_Response *r = MHD_create_response_from_buffer(body.n, owned, MHD_RESPMEM_MUST_FREE);
    if (!r) {
        free(owned);
        return NULL;
    }
    answer_headers(r, x, tag, type, headers);
    return r;
}

// ---- refusals ----------------------------------------------------------------------------------

static const char *title_of(int status)
{
    const char *title = MHD_get_reason_phrase_for((unsigned)status);
    return title ? title : "Error";
}

void answer_problem(struct buf *b, int status, const char *parameter, struct str detail)
{
    buf_cstr(b, "{\"type\":\"about:blank\",\"title\":");
    buf_json_str(b, str_of(title_of(status)));
    buf_printf(b, ",\"status\":%d,\"detail\":", status);
    buf_json_str(b, detail);
    if (parameter) {
        buf_cstr(b, ",\"parameter\":");
        buf_json_str(b, str_of(parameter));
    }
    buf_cstr(b, "}\n");
}

static void GTAP_PRINTF(4, 0) refuse(struct http_exchange *x, int status, const char *parameter,
                                     const char *fmt, va_list args)
{
    char message[MESSAGE_MAX];
    struct buf b;
    bool again = status == 429 || status == 503;
    vsnprintf(message, sizeof(message), fmt, args);
    x->etag[0] = '\0';
    buf_init(&b, ANSWER_PROBLEM_MAX);
    answer_problem(&b, status, parameter, str_of(message));
    http_answer(x, status, ANSWER_PROBLEM, again ? "Retry-After: 1" : NULL, buf_view(&b));
    buf_done(&b);
}

void http_refuse(struct http_exchange *x, int status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    refuse(x, status, NULL, fmt, args);
    va_end(args);
}

void http_refuse_parameter(struct http_exchange *x, const char *name, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    refuse(x, 400, name, fmt, args);
    va_end(args);
}
