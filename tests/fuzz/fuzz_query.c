// Query parameters of the API: "name=value&name=value", each route's table in turn. Values are
// taken as they stand: decoding is the HTTP library's.
#include "fuzz.h"

#include <assert.h>

#include "api/route.h"

enum { PAIRS_MAX = 300 };

// Whoever is refused learns why, and which parameter it was if it was one.
static void parse(const struct api_route *route, const struct param_pair *pairs, size_t n)
{
    struct arena a = {0};
    struct error err = {0};
    struct str name;
    void *into = arena_alloc(&a, route->size + 1);
    memset(into, 0, route->size);
    int r = params_parse(route->params, pairs, n, into, &a, &name, &err);
    if (r < 0) {
        assert(err.msg[0] != '\0' && str_present(name));
    }
    for (size_t i = 0; r == 0 && i < n; i++) { // each one that passed is in the table
        bool known = false;
        for (const struct param *p = route->params; p && p->name; p++) {
            known |= str_eq(pairs[i].name, str_of(p->name));
        }
        assert(known);
    }
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size}, one;
    struct param_pair pairs[PAIRS_MAX];
    size_t n = 0;
    while (n < PAIRS_MAX && str_split(&text, '&', &one)) {
        struct str name, value = one;
        (void)str_split(&value, '=', &name);
        pairs[n++] = (struct param_pair){name, value};
    }
    for (size_t i = 0; i < n_api_routes; i++) {
        parse(api_routes[i], pairs, n);
    }
    return 0;
}
