#include <string.h>

#include "http/server_impl.h"

// A proxy and the server behind it must agree on where a request ends, or a client can make one
// request out of two, or two out of one (RFC 9112, 11.2). libmicrohttpd takes what follows in some
// way; here it is refused. The numbers behind the rules are RFC 9112's sections.

struct shape {
    unsigned lengths, encodings, hosts;
    bool chunked, bad_name, bad_value;
};

static bool is_token(const char *p, size_t n)
{
    static const char more[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < n; i++) {
        char c = p[i], lower = (char)(c | 0x20);
        bool plain = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
        if (!plain && (c == '\0' || !strchr(more, c))) {
            return false;
        }
    }
    return n > 0;
}

static bool has_control(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return true;
        }
    }
    return false;
}

static enum MHD_Result look(void *cls, enum MHD_ValueKind kind, const char *name, size_t n_name,
                            const char *value, size_t n_value)
{
    struct shape *s = cls;
    struct str n = {name, n_name}, v = {value, value ? n_value : 0};
    (void)kind;
    s->bad_name |= !is_token(name, n_name);
    s->bad_value |= has_control(v.p, v.n);
    s->lengths += str_glob(STR("content-length"), n);
    s->hosts += str_glob(STR("host"), n);
    if (str_glob(STR("transfer-encoding"), n)) {
        s->encodings++;
        s->chunked = str_glob(STR("chunked"), v);
    }
    return MHD_YES;
}

const char *shape_trouble(struct MHD_Connection *connection, const char *version)
{
    struct shape s = {0};
    bool modern = strcmp(version, "HTTP/1.1") == 0;
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, look, &s);
    const struct {
        bool holds;
        const char *what;
    } rules[] = {
        {s.bad_name, "a header's name has a character that no name may have"},                // 5.1
        {s.bad_value, "a header's value has a control character"},                            // 2.2
        {s.lengths > 1, "there is more than one Content-Length"},                             // 6.3
        {s.lengths && s.encodings, "there is both a Content-Length and a Transfer-Encoding"}, // 6.1
        {s.encodings > 1 || (s.encodings && !s.chunked),
         "of transfer encodings only chunked is known here"},                       // 6.1
        {s.encodings && !modern, "Transfer-Encoding needs HTTP/1.1"},               // 6.1
        {s.hosts > 1 || (modern && s.hosts == 0), "there must be one Host header"}, // 3.2
    };
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (rules[i].holds) {
            return rules[i].what;
        }
    }
    return NULL;
}
