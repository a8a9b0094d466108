#include "http/server_impl.h"

static bool is_prefix(const char *path)
{
    return str_ends(str_of(path), STR("/*"));
}

// "/a/*" matches "/a/x" with the rest "x", but neither "/a" nor "/a/".
static bool path_matches(const char *pattern, struct str path, struct str *ret_rest)
{
    struct str p = str_of(pattern);
    *ret_rest = STR_NONE;
    if (!is_prefix(pattern)) {
        return str_eq(p, path);
    }
    p.n--; // the star
    if (path.n <= p.n || !str_starts(path, p)) {
        return false;
    }
    *ret_rest = (struct str){path.p + p.n, path.n - p.n};
    return true;
}

static bool method_matches(const char *of_route, struct str method)
{
    bool head = str_eq(method, STR("HEAD")) && strcmp(of_route, "GET") == 0;
    return head || str_eq(method, str_of(of_route));
}

const struct http_route *route_find(const struct http_listener *l, struct str method,
                                    struct str path, void **ret_ctx, struct str *ret_rest,
                                    int *ret_status, struct buf *ret_allow)
{
    for (size_t t = 0; t < l->n_tables; t++) {
        for (size_t i = 0; i < l->tables[t].n; i++) {
            const struct http_route *r = &l->tables[t].routes[i];
            if (!path_matches(r->path, path, ret_rest)) {
                continue;
            }
            if (method_matches(r->method, method)) {
                *ret_ctx = l->tables[t].ctx;
                return r;
            }
            buf_printf(ret_allow, "%s%s%s", ret_allow->n ? ", " : "", r->method,
                       strcmp(r->method, "GET") == 0 ? ", HEAD" : "");
        }
    }
    *ret_status = ret_allow->n ? 405 : 404;
    return NULL;
}

bool route_exists(const struct http_listener *l, const struct http_route *r)
{
    for (size_t t = 0; t < l->n_tables; t++) {
        for (size_t i = 0; i < l->tables[t].n; i++) {
            const struct http_route *old = &l->tables[t].routes[i];
            if (strcmp(old->path, r->path) == 0 && strcmp(old->method, r->method) == 0) {
                return true;
            }
        }
    }
    return false;
}

bool route_is_shared(const struct http_listener *l, struct str path)
{
    struct str rest;
    for (size_t t = 0; t < l->n_tables; t++) {
        for (size_t i = 0; i < l->tables[t].n; i++) {
            const struct http_route *r = &l->tables[t].routes[i];
            if (r->flags & HTTP_CORS && path_matches(r->path, path, &rest)) {
                return true;
            }
        }
    }
    return false;
}
