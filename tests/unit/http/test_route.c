#include "http/server_impl.h"
#include "test.h"

static const struct http_route routes[] = {
    {.method = "GET", .path = "/health"},
    {.method = "GET", .path = "/v1/events"},
    {.method = "POST", .path = "/v1/events"},
    {.method = "GET", .path = "/requests/*"},
};
static const struct http_route more[] = {
    {.method = "GET", .path = "/"},
};

static void test_find(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        const struct http_route *route; // NULL: none
        const char *rest;
        int status;
        const char *allow;
    } rows[] = {
        {"GET", "/health", &routes[0], NULL, 0, ""},
        {"HEAD", "/health", &routes[0], NULL, 0, ""},
        {"POST", "/health", NULL, NULL, 405, "GET, HEAD"},
        {"POST", "/v1/events", &routes[2], NULL, 0, "GET, HEAD"},
        {"PUT", "/v1/events", NULL, NULL, 405, "GET, HEAD, POST"},
        {"GET", "/requests/a/b", &routes[3], "a/b", 0, ""},
        {"GET", "/requests/", NULL, NULL, 404, ""},
        {"GET", "/requests", NULL, NULL, 404, ""},
        {"GET", "/", &more[0], NULL, 0, ""},
        {"GET", "", NULL, NULL, 404, ""},
        {"GET", "/healthy", NULL, NULL, 404, ""},
        {"GET", "/Health", NULL, NULL, 404, ""},
    };
    int first, second;
    struct http_table tables[] = {{routes, ARRAY_LEN(routes), &first},
                                  {more, ARRAY_LEN(more), &second}};
    struct http_listener l = {.tables = tables, .n_tables = ARRAY_LEN(tables)};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf allow;
        struct str rest;
        void *ctx = NULL;
        int status = 0;
        buf_init(&allow, 256);
        const struct http_route *got = route_find(&l, str_of(rows[i].method), str_of(rows[i].path),
                                                  &ctx, &rest, &status, &allow);
        if (got != rows[i].route || (!got && status != rows[i].status)) {
            fail_msg("%s %s: status %d", rows[i].method, rows[i].path, status);
        }
        assert_str(buf_view(&allow), rows[i].allow);
        if (got) {
            assert_str(rest, rows[i].rest);
            assert_ptr_equal(ctx, got == more ? &second : &first);
        }
        buf_done(&allow);
    }
}

static void test_exists(void **state)
{
    (void)state;
    struct http_table table = {routes, ARRAY_LEN(routes), NULL};
    struct http_listener l = {.tables = &table, .n_tables = 1};
    assert_true(route_exists(&l, &routes[2]));
    assert_false(route_exists(&l, &more[0]));
    assert_false(route_exists(&l, &(struct http_route){.method = "PUT", .path = "/health"}));
}

int main(void)
{
    return TEST_RUN(TEST(test_find), TEST(test_exists));
}
