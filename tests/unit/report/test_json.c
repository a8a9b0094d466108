#include "base/time.h"
#include "report/json.h"
#include "test.h"

static void test_object(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1024);
    struct json j = {.b = &b};
    json_open(&j, NULL, '{');
    json_str(&j, "s", STR("a"));
    json_str(&j, "none", STR_NONE);
    json_str(&j, "empty", STR(""));
    json_int(&j, "i", -7);
    json_int(&j, "wide", (i128)INT64_MAX * 10);
    json_double(&j, "d", 0.1);
    json_double(&j, "nan", (double)NAN);
    json_double(&j, "inf", (double)-INFINITY);
    json_bool(&j, "t", true);
    json_bool(&j, "f", false);
    json_null(&j, "n");
    json_time(&j, "at", 1500 * NS_PER_MS);
    json_name(&j, "raw");
    buf_cstr(&b, "1e3");
    json_close(&j, '}');
    assert_str(buf_view(&b), "{\"s\":\"a\",\"none\":null,\"empty\":\"\",\"i\":-7,"
                             "\"wide\":92233720368547758070,\"d\":0.1,\"nan\":null,\"inf\":null,"
                             "\"t\":true,\"f\":false,\"n\":null,"
                             "\"at\":\"1970-01-01T00:00:01.500Z\",\"raw\":1e3}");
    buf_done(&b);
}

static void test_nesting(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1024);
    struct json j = {.b = &b};
    json_open(&j, NULL, '{');
    json_open(&j, "empty", '[');
    json_close(&j, ']');
    json_open(&j, "list", '[');
    json_int(&j, NULL, 1);
    json_open(&j, NULL, '{');
    json_close(&j, '}');
    json_str(&j, NULL, STR("x"));
    json_close(&j, ']');
    json_bool(&j, "after", true);
    json_close(&j, '}');
    assert_str(buf_view(&b), "{\"empty\":[],\"list\":[1,{},\"x\"],\"after\":true}");
    buf_done(&b);
}

// RFC 8259, section 7; what is not UTF-8 becomes U+FFFD.
static void test_escapes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"a\"b", "\"a\\\"b\""},
        {"a\\b", "\"a\\\\b\""},
        {"a/b", "\"a/b\""},
        {"\x01", "\"\\u0001\""},
        {"\x1b[31m", "\"\\u001b[31m\""},
        {"\n", "\"\\n\""},
        {"gr\xc3\xbcn", "\"gr\xc3\xbcn\""},
        {"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""},
        {"\xff", "\"\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b;
        buf_init(&b, 256);
        struct json j = {.b = &b};
        json_str(&j, NULL, str_of(rows[i].text));
        assert_str(buf_view(&b), rows[i].want);
        buf_done(&b);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_object), TEST(test_nesting), TEST(test_escapes));
}
