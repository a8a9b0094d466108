// The dashboard as it is served: packed or plain, with validators, under a strict policy.
#include "api/assets.h"

#include <zlib.h>

#include "http_client.h"

struct fixture {
    struct http_server *server;
    char *answer;
};

static int set_up(void **state)
{
    struct fixture *f = x_zalloc(sizeof(*f));
    struct http_config http = {.address = "127.0.0.1:0"};
    struct error err;
    *state = f;
    return http_server_new(&http, &f->server, &err) < 0 || assets_add(f->server, &err) < 0 ||
           http_server_start(f->server, &err) < 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    http_server_free(f->server);
    free(f->answer);
    free(f);
    return 0;
}

static const char *get(struct fixture *f, const char *path, const char *headers)
{
    AUTO_FREE char *request =
        x_asprintf("GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s\r\n", path, headers);
    free(f->answer);
    f->answer = client_ask(http_server_port(f->server, 0), request);
    return f->answer;
}

static const struct asset *asset(const char *name)
{
    for (size_t i = 0; i < n_assets; i++) {
        if (strcmp(assets[i].name, name) == 0) {
            return &assets[i];
        }
    }
    fail_msg("%s is not there", name);
    return NULL;
}

static void test_page(void **state)
{
    struct fixture *f = *state;
    const char *a = get(f, "/", "");
    assert_i64(client_status(a), 200);
    assert_non_null(strstr(a, "\r\nContent-Type: text/html; charset=utf-8\r\n"));
    AUTO_FREE char *policy = x_asprintf("\r\nContent-Security-Policy: %s\r\n", assets_policy);
    assert_non_null(strstr(a, policy));
    assert_non_null(strstr(a, "\r\nX-Content-Type-Options: nosniff\r\n"));
    assert_non_null(strstr(a, "\r\nReferrer-Policy: no-referrer\r\n"));
    assert_non_null(strstr(a, "\r\nCache-Control: private, no-cache\r\n"));
    assert_non_null(strstr(a, "\r\nVary: Accept-Encoding\r\n"));
    assert_null(strstr(a, "no-store"));
    assert_null(strstr(a, "\r\nContent-Encoding:"));
    assert_i64((int64_t)strlen(client_body(a)), (int64_t)asset("index.html")->n_plain);
    assert_non_null(strstr(client_body(a), "<!doctype html>"));
    AUTO_FREE char *index = x_strdup(client_body(a));
    assert_string_equal(client_body(get(f, "/assets/index.html", "")), index);
}

// From here alone, and inline only what is named by its hash: tests/e2e compares these.
static void test_policy(void **state)
{
    (void)state;
    struct str rest = str_of(assets_policy), one;
    static const char *const want[] = {
        "default-src 'none'", "script-src 'self' 'sha256-*'", "style-src 'sha256-*'",
        "connect-src 'self'", "img-src 'self' data:",         "base-uri 'none'",
        "form-action 'none'", "frame-ancestors 'none'",
    };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(str_split(&rest, ';', &one));
        assert_true(str_glob(str_of(want[i]), str_trim(one)));
    }
    assert_false(str_present(rest));
    assert_null(strstr(assets_policy, "unsafe"));
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what)) {
        n++;
    }
    return n;
}

static void test_inline(void **state)
{
    struct fixture *f = *state;
    const char *page = client_body(get(f, "/", ""));
    static const char *const never[] = {" style=", " onclick=", " onload="};
    for (size_t i = 0; i < ARRAY_LEN(never); i++) {
        assert_null(strstr(page, never[i]));
    }
    assert_int_equal(count(page, "<style"), 1);
    assert_int_equal(count(page, "<style>") + count(page, "<script>"),
                     count(assets_policy, "'sha256-"));
    for (const char *at = strstr(page, "<script "); at; at = strstr(at + 1, "<script ")) {
        const char *end = strchr(at, '>');
        assert_non_null(end);
        assert_non_null(memmem(at, (size_t)(end - at), " src=", 5));
    }
}

static void test_packed(void **state)
{
    struct fixture *f = *state;
    const struct asset *page = asset("index.html");
    const char *a = get(f, "/", "Accept-Encoding: br, gzip;q=0.5\r\n");
    char plain[CLIENT_ANSWER_MAX];
    assert_non_null(strstr(a, "\r\nContent-Encoding: gzip\r\n"));
    assert_non_null(strstr(a, "+gzip\"\r\n"));
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)client_body(a),
                  .avail_in = (unsigned)page->n_packed,
                  .next_out = (unsigned char *)plain,
                  .avail_out = sizeof(plain)};
    assert_int_equal(inflateInit2(&z, MAX_WBITS + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    inflateEnd(&z);
    assert_i64((int64_t)z.total_out, (int64_t)page->n_plain);
    assert_memory_equal(plain, client_body(get(f, "/", "")), page->n_plain);
}

static void test_validators(void **state)
{
    struct fixture *f = *state;
    const struct asset *page = asset("index.html");
    AUTO_FREE char *plain = x_asprintf("If-None-Match: \"%s\"\r\n", page->digest);
    AUTO_FREE char *both = x_asprintf("If-None-Match: \"x\", W/\"%s+gzip\"\r\n"
                                      "Accept-Encoding: gzip\r\n",
                                      page->digest);
    assert_i64(client_status(get(f, "/", plain)), 304);
    assert_string_equal(client_body(f->answer), "");
    assert_non_null(strstr(f->answer, "\r\nETag: \""));
    assert_i64(client_status(get(f, "/", both)), 304);
    assert_i64(client_status(get(f, "/", "If-None-Match: *\r\n")), 304);
}

static void test_names(void **state)
{
    struct fixture *f = *state;
    static const char *const nothing[] = {"/assets/", "/assets/none.js", "/assets/../index.html",
                                          "/assets/index.html/", "/index.html"};
    for (size_t i = 0; i < ARRAY_LEN(nothing); i++) {
        assert_i64(client_status(get(f, nothing[i], "")), 404);
    }
    for (size_t i = 0; i < n_assets; i++) {
        AUTO_FREE char *path = x_asprintf("/assets/%s", assets[i].name);
        assert_i64(client_status(get(f, path, "If-None-Match: \"other\"\r\n")), 200);
        assert_non_null(strstr(f->answer, assets[i].type));
    }
    const char *chart = strstr(get(f, "/assets/chart.js", "Accept-Encoding: gzip\r\n"), "\r\n");
    assert_non_null(chart);
    assert_non_null(strstr(get(f, "/assets/licenses.txt", ""), "Chart.js"));
}

// By its version a file is kept for ever; by another one, or none, it is asked for each time.
static void test_versions(void **state)
{
    struct fixture *f = *state;
    static const char keep[] = "\r\nCache-Control: public, max-age=31536000, immutable\r\n";
    static const char ask[] = "\r\nCache-Control: private, no-cache\r\n";
    AUTO_FREE char *own = x_asprintf("/assets/%s/app.js", assets_version);
    AUTO_FREE char *none = x_asprintf("/assets/%s/none.js", assets_version);
    AUTO_FREE char *deeper = x_asprintf("/assets/%s/%s/app.js", assets_version, assets_version);
    AUTO_FREE char *named = x_asprintf("\"assets/%s/app.js\"", assets_version);
    assert_non_null(strstr(get(f, own, ""), keep));
    AUTO_FREE char *body = x_strdup(client_body(f->answer));
    assert_non_null(strstr(get(f, "/assets/0123456789abcdef/app.js", ""), ask));
    assert_string_equal(client_body(f->answer), body);
    assert_non_null(strstr(get(f, "/assets/app.js", ""), ask));
    assert_string_equal(client_body(f->answer), body);
    assert_non_null(strstr(client_body(get(f, "/", "")), named));
    assert_i64(client_status(get(f, none, "")), 404);
    assert_i64(client_status(get(f, deeper, "")), 404);
    assert_i64(client_status(get(f, "/assets/0123456789abcdeg/app.js", "")), 404);
}

int main(void)
{
    return TEST_RUN(
        TEST_WITH(test_page, set_up, tear_down), TEST(test_policy),
        TEST_WITH(test_inline, set_up, tear_down), TEST_WITH(test_versions, set_up, tear_down),
        TEST_WITH(test_packed, set_up, tear_down), TEST_WITH(test_validators, set_up, tear_down),
        TEST_WITH(test_names, set_up, tear_down));
}
