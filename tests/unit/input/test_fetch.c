// What of fetching needs no network; the rest is in tests/integration/test_servers.py.
#include "input/fetch.h"

#include <errno.h>

#include "harness.h"

static struct harness h;

static int setup(void **state)
{
    (void)state;
    harness_init(&h);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harness_done(&h);
    return 0;
}

static void test_urls(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *model, *url; // url NULL: refused
    } rows[] = {
        {"vllm+http://localhost:8000/metrics", NULL, "http://localhost:8000/metrics"},
        {"vllm+https://h/a/b?every=1s", NULL, "https://h/a/b"},
        {"vllm+http://h", NULL, "http://h/default"},
        {"vllm+http://h/", NULL, "http://h/default"},
        {"vllm+http://h:8000?gpus=0", "m x&y", "http://h:8000/default?model=m+x%26y"},
        {"vllm+http://[::1]:80/metrics", NULL, "http://[::1]:80/metrics"},
        {"vllm+http://h/m%3Fname[]=x", NULL, "http://h/m?name[]=x"},
        {"vllm+http://h/m%3Fname[]=x", "y", "http://h/m?name[]=x&model=y"},
        {"vllm+http:h", NULL, NULL},
        {"vllm+http://", NULL, NULL},
        {"vllm+http://h:99999/", NULL, NULL},
        {"vllm+http://u@h/", NULL, NULL},
        {"vllm+http://u:p@h/", NULL, NULL},
        {"vllm+http:///etc/passwd", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct uri uri;
        struct error err = {0};
        const char *url = NULL;
        assert_ok(uri_parse(&h.arena, str_of(rows[i].uri), &uri, &err), &err);
        int r = fetch_url(&uri, "/default", str_of(rows[i].model), &h.arena, &url, &err);
        assert_int_equal(r, rows[i].url ? 0 : -EINVAL);
        if (rows[i].url && strcmp(url, rows[i].url) != 0) {
            fail_msg("%s: %s", rows[i].uri, url);
        }
    }
}

static void test_authorization_from_a_file(void **state)
{
    (void)state;
    static const struct {
        const char *text, *header; // NULL: refused
    } rows[] = {
        {"abc123", "Authorization: Bearer abc123"},
        {"  abc123\r\n", "Authorization: Bearer abc123"},
        {"Bearer abc", "Authorization: Bearer abc"},
        {"Basic dXNlcjpw\n", "Authorization: Basic dXNlcjpw"},
        {"", NULL},
        {"\n", NULL},
        {"a\nb", NULL},
        {"a\rX-Other: b", NULL},
        {"a\tb", NULL},
    };
    struct buf got;
    struct error err = {0};
    buf_init(&got, 2 * FETCH_AUTH_MAX);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        harness_write(&h, "token", str_of(rows[i].text));
        int r = fetch_read_auth(harness_path(&h, "token"), &got, &err);
        assert_int_equal(r, rows[i].header ? 0 : -EINVAL);
        if (rows[i].header) {
            assert_str(buf_view(&got), rows[i].header);
        } else {
            assert_null(strstr(err.msg, "Other")); // never what the file holds
        }
    }
    char long_text[FETCH_AUTH_MAX + 1];
    memset(long_text, 'x', sizeof(long_text));
    for (size_t n = FETCH_AUTH_MAX; n <= FETCH_AUTH_MAX + 1; n++) {
        harness_write(&h, "token", (struct str){long_text, n});
        int r = fetch_read_auth(harness_path(&h, "token"), &got, &err);
        assert_int_equal(r, n == FETCH_AUTH_MAX ? 0 : -EINVAL);
    }
    assert_int_equal(fetch_read_auth(harness_path(&h, "none"), &got, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "auth="));
    buf_done(&got);
}

int main(void)
{
    return TEST_RUN(TEST_WITH(test_urls, setup, teardown),
                    TEST_WITH(test_authorization_from_a_file, setup, teardown));
}
