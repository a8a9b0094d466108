#include "test.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/uri.h"

static struct arena arena;

static int teardown(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static struct uri parsed(const char *text)
{
    struct uri u;
    struct error err = {0};
    assert_ok(uri_parse(&arena, str_of(text), &u, &err), &err);
    return u;
}

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text, *scheme, *path;
        size_t options;
    } rows[] = {
        {"file:-", "file", "-", 0},
        {"nvml:", "nvml", "", 0},
        {"file:a b.ndjson", "file", "a b.ndjson", 0},
        {"file:a%20b%3Fc", "file", "a b?c", 0},
        {"file:a%2fb%2Fc", "file", "a/b/c", 0},
        {"file:what?now?follow=1", "file", "what?now", 1},
        {"file:x?", "file", "x", 0},
        {"sqlite:/var/lib/gtap.db?sync=full&cache=64", "sqlite", "/var/lib/gtap.db", 2},
        {"vllm+http://localhost:8000/metrics", "vllm+http", "//localhost:8000/metrics", 0},
        {"HTTP://Host/Path", "http", "//Host/Path", 0},
        {"x1.y-z:p", "x1.y-z", "p", 0},
        {"a::b", "a", ":b", 0},
        {"file:100%25", "file", "100%", 0},
        {"file:\xc3\xa9%C3%A9", "file", "\xc3\xa9\xc3\xa9", 0},
        {"file:a+b", "file", "a+b", 0},
        {"file:%ff?a=%C3%A9", "file", "\xff", 1}, // a path is bytes
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct uri u = parsed(rows[i].text);
        assert_str(u.text, rows[i].text);
        assert_str(u.scheme, rows[i].scheme);
        assert_str(u.path, rows[i].path);
        assert_i64((int64_t)u.n_options, (int64_t)rows[i].options);
    }
}

static void test_options(void **state)
{
    (void)state;
    struct uri u = parsed("x:p?a=1&b=&c&d=x%26y%3Dz&e=f=g&h%20i=j");
    static const struct {
        const char *key, *value;
    } rows[] = {
        {"a", "1"}, {"b", ""}, {"d", "x&y=z"}, {"e", "f=g"}, {"h i", "j"}, {"z", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_str(uri_option(&u, rows[i].key), rows[i].value);
    }
    assert_str(uri_option(&u, "c"), "");
}

static void test_parse_refuses(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "file",
        ":x",
        "1x:y",
        "-:x",
        "a_b:x",
        "a b:c",
        "\xc3\xa9:x",
        "x:%",
        "x:%4",
        "x:%4g",
        "x:%g4",
        "x:a%00b",
        "x:%2",
        "x:p?a=%0",
        "x:p?%=1",
        "x:p?=1",
        "x:p?a=1&a=2",
        "x:p?a=1&&",
        "x:p?&",
        "x:p?a&b=%00",
        "x:p?a&%61=1",
        "x:?a=%ff",
        "x:?a=%C3",
        "x:?\xff=1",
        "x:?a=\xed\xa0\x80",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct uri u;
        struct error err = {0};
        if (uri_parse(&arena, str_of(rows[i]), &u, &err) != -EINVAL) {
            fail_at(__FILE__, __LINE__, "'%s' not refused\n", rows[i]);
        }
        assert_i64(err.code, -EINVAL);
        assert_true(strlen(err.msg) > 0);
    }
    static const struct str nul[] = {STR("x:a\0b"), STR("x:p?a\0=1"), STR("x:p?a=\0")};
    struct uri u;
    for (size_t i = 0; i < ARRAY_LEN(nul); i++) {
        assert_i64(uri_parse(&arena, nul[i], &u, NULL), -EINVAL);
    }
    assert_i64(uri_parse(&arena, STR_NONE, &u, NULL), -EINVAL);
}

static void test_bounds(void **state)
{
    (void)state;
    static char text[URI_MAX + 2];
    struct uri u;
    memset(text, 'a', sizeof(text) - 1);
    text[1] = ':';
    assert_i64(uri_parse(&arena, (struct str){text, URI_MAX}, &u, NULL), 0);
    assert_i64((int64_t)u.path.n, URI_MAX - 2);
    assert_i64(uri_parse(&arena, (struct str){text, URI_MAX + 1}, &u, NULL), -EINVAL);

    struct buf b;
    buf_init(&b, URI_MAX);
    buf_cstr(&b, "x:?o0=1");
    for (int i = 1; i < URI_OPTIONS_MAX; i++) {
        buf_printf(&b, "&o%d=1", i);
    }
    assert_i64(uri_parse(&arena, buf_view(&b), &u, NULL), 0);
    assert_i64((int64_t)u.n_options, URI_OPTIONS_MAX);
    buf_cstr(&b, "&more=1");
    assert_i64(uri_parse(&arena, buf_view(&b), &u, NULL), -EINVAL);
    buf_done(&b);
}

static void test_outlives_its_text(void **state)
{
    (void)state;
    char text[] = "Demo:path?k=v";
    struct uri u;
    assert_i64(uri_parse(&arena, str_of(text), &u, NULL), 0);
    memset(text, '#', sizeof(text) - 1);
    assert_str(u.text, "Demo:path?k=v");
    assert_str(u.scheme, "demo");
    assert_str(u.path, "path");
    assert_str(uri_option(&u, "k"), "v");
}

static void test_messages_hide_secrets(void **state)
{
    (void)state;
    struct uri u;
    struct error err = {0};
    const char *text = "mongodb://joe:hunter2@db.example/x%zz?password=hunter2";
    assert_i64(uri_parse(&arena, str_of(text), &u, &err), -EINVAL);
    assert_null(strstr(err.msg, "hunter2"));
    assert_non_null(strstr(err.msg, "mongodb://***@db.example"));
}

static void test_integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int r;
        int64_t want;
    } rows[] = {
        {"x:", 0, 42},
        {"x:?n=7", 0, 7},
        {"x:?n=-5", 0, -5},
        {"x:?n=100", 0, 100},
        {"x:?n=101", -EINVAL, 42},
        {"x:?n=-6", -EINVAL, 42},
        {"x:?n=", -EINVAL, 42},
        {"x:?n", -EINVAL, 42},
        {"x:?n=1.0", -EINVAL, 42},
        {"x:?n=1e1", -EINVAL, 42},
        {"x:?n=-", -EINVAL, 42},
        {"x:?n=+1", -EINVAL, 42},
        {"x:?n= 1", -EINVAL, 42},
        {"x:?n=99999999999999999999", -EINVAL, 42},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct uri u = parsed(rows[i].text);
        int64_t v = 42;
        assert_i64(uri_option_i64(&u, "n", -5, 100, &v, NULL), rows[i].r);
        assert_i64(v, rows[i].want);
    }
    struct uri u = parsed("x:?n=101");
    struct error err;
    int64_t v;
    assert_i64(uri_option_i64(&u, "n", -5, 100, &v, &err), -EINVAL);
    assert_str(str_of(err.msg), "'x:': option n=101 must be a whole number from -5 to 100");
}

static void test_doubles(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int r;
        double want;
    } rows[] = {
        {"x:", 0, 0.5},
        {"x:?f=0", 0, 0},
        {"x:?f=1", 0, 1},
        {"x:?f=2.5e-1", 0, 0.25},
        {"x:?f=1.01", -EINVAL, 0.5},
        {"x:?f=-0.1", -EINVAL, 0.5},
        {"x:?f=", -EINVAL, 0.5},
        {"x:?f=nan", -EINVAL, 0.5},
        {"x:?f=inf", -EINVAL, 0.5},
        {"x:?f=0x1", -EINVAL, 0.5},
        {"x:?f=1e", -EINVAL, 0.5},
        {"x:?f=0.5%20", -EINVAL, 0.5},
        {"x:?f=+1", -EINVAL, 0.5},
        {"x:?f=1e999", -EINVAL, 0.5},
        {"x:?f=0..5", -EINVAL, 0.5},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct uri u = parsed(rows[i].text);
        double v = 0.5;
        assert_i64(uri_option_double(&u, "f", 0, 1, &v, NULL), rows[i].r);
        assert_near(v, rows[i].want, 0);
    }
}

static void test_durations_and_money(void **state)
{
    (void)state;
    struct uri u = parsed("x:?d=1m30s&bad=soon&p=2.5&neg=-1&tiny=0.000000001");
    int64_t v = 3;
    struct error err;
    assert_ok(uri_option_duration(&u, "d", &v, &err), &err);
    assert_i64(v, INT64_C(90000000000));
    assert_ok(uri_option_duration(&u, "none", &v, &err), &err);
    assert_i64(v, INT64_C(90000000000));
    assert_i64(uri_option_duration(&u, "bad", &v, &err), -EINVAL);
    assert_ok(uri_option_money(&u, "p", &v, &err), &err);
    assert_i64(v, INT64_C(2500000000));
    assert_ok(uri_option_money(&u, "tiny", &v, &err), &err);
    assert_i64(v, 1);
    assert_i64(uri_option_money(&u, "neg", &v, &err), -EINVAL);
    assert_i64(uri_option_money(&u, "bad", &v, &err), -EINVAL);
    assert_i64(v, 1);
}

static void test_known_options(void **state)
{
    (void)state;
    static const char *const known[] = {"a", "b", NULL};
    static const char *const none[] = {NULL};
    struct error err;
    struct uri u = parsed("x:p?b=1&a=2");
    assert_ok(uri_options_known(&u, known, &err), &err);
    u = parsed("x:p?b=1&c=2");
    assert_i64(uri_options_known(&u, known, &err), -EINVAL);
    assert_str(str_of(err.msg), "'x:p': unknown option 'c'; known are: a, b");
    assert_i64(uri_options_known(&u, none, &err), -EINVAL);
    assert_str(str_of(err.msg), "'x:p': unknown option 'b'; known are: none");
    static const char *const prefix[] = {"p.*", NULL};
    u = parsed("x:p?p.a=1&p.b.c=2");
    assert_ok(uri_options_known(&u, prefix, &err), &err);
    u = parsed("x:p?p.=1");
    assert_i64(uri_options_known(&u, prefix, &err), -EINVAL);
    assert_str(str_of(err.msg), "'x:p': unknown option 'p.'; known are: p.*");
}

int main(void)
{
    return TEST_RUN(
        TEST_WITH(test_parse, NULL, teardown), TEST_WITH(test_options, NULL, teardown),
        TEST_WITH(test_parse_refuses, NULL, teardown), TEST_WITH(test_bounds, NULL, teardown),
        TEST_WITH(test_outlives_its_text, NULL, teardown),
        TEST_WITH(test_messages_hide_secrets, NULL, teardown),
        TEST_WITH(test_integers, NULL, teardown), TEST_WITH(test_doubles, NULL, teardown),
        TEST_WITH(test_durations_and_money, NULL, teardown),
        TEST_WITH(test_known_options, NULL, teardown));
}
