#include <errno.h>

#include "base/flat_json.h"
#include "test.h"

enum { FIELDS_MAX = 4 };

static void test_objects(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *fields[FIELDS_MAX][2]; // name, value; NULL: absent
    } rows[] = {
        {"{}", 0, {{0}}},
        {" { } \r\n", 0, {{0}}},
        {"{\"a\":1}", 1, {{"a", "1"}}},
        {"{ \"a\" : -1.5e3 , \"b\" : \"x\" }", 2, {{"a", "-1.5e3"}, {"b", "x"}}},
        {"{\"t\":true,\"f\":false,\"n\":null,\"e\":\"\"}",
         4,
         {{"t", "true"}, {"f", "false"}, {"n", NULL}, {"e", ""}}},
        {"{\"a,}\":\"{\\\"q\\\":1}\"}", 1, {{"a,}", "{\"q\":1}"}}},
        {"{\"a\":\"\\\\ \\/ \\b\\f\\n\\r\\t\"}", 1, {{"a", "\\ / \b\f\n\r\t"}}},
        {"{\"a\":\"\\u00fc\\u20AC\"}", 1, {{"a", "\xc3\xbc\xe2\x82\xac"}}},
        {"{\"a\":\"\\ud83d\\ude00\"}", 1, {{"a", "\xf0\x9f\x98\x80"}}},
        {"{\"a\":\"gr\xc3\xbcn\"}", 1, {{"a", "gr\xc3\xbcn"}}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct flat_json j = {.rest = str_of(rows[i].text), .arena = &a};
        struct error err = {0};
        struct str name, value;
        for (size_t k = 0; k < rows[i].n; k++) {
            assert_ok(flat_json_next(&j, &name, &value, &err), &err);
            assert_str(name, rows[i].fields[k][0]);
            assert_str(value, rows[i].fields[k][1]);
        }
        assert_i64(flat_json_next(&j, &name, &value, &err), 0);
        arena_done(&a);
    }
}

static void test_refuses(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "[]",
        "\"a\"",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":}",
        "{\"a\":1",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{\"a\":{}}",
        "{\"a\":[1]}",
        "{\"a\":word}",
        "{\"a\":1x}",
        "{\"a\":'x'}",
        "{\"a\":\"x}",
        "{\"a\":\"x\\\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\\ud83d\"}",
        "{\"a\":\"\\ud83d\\u0041\"}",
        "{\"a\":\"\\ude00\"}",
        "{\"a\":\"two\nlines\"}",
        "{\"a\":1} x",
        "{\"a\":1}{}",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct flat_json j = {.rest = str_of(rows[i]), .arena = &a};
        struct error err = {0};
        struct str name, value;
        int r = 1;
        for (int k = 0; k < FIELDS_MAX && r > 0; k++) {
            r = flat_json_next(&j, &name, &value, &err);
        }
        if (r != -EINVAL || err.msg[0] == '\0') {
            fail_at(__FILE__, __LINE__, "'%s' was taken (%d)\n", rows[i], r);
        }
        arena_done(&a);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_objects), TEST(test_refuses));
}
