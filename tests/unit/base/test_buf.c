#include "test.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static struct buf buf;

static int setup(void **state)
{
    (void)state;
    buf_init(&buf, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_done(&buf);
    return 0;
}

static void test_appends(void **state)
{
    (void)state;
    assert_str(buf_view(&buf), "");
    buf_cstr(&buf, "a");
    buf_str(&buf, STR("bc"));
    buf_str(&buf, STR_NONE);
    buf_char(&buf, '-');
    buf_add(&buf, "d\0e", 3);
    buf_printf(&buf, "[%5.2f|%s]", 3.14159, "x");
    buf_printf(&buf, "%s", "");
    assert_i64((int64_t)buf.n, 16);
    assert_memory_equal(buf.p, "abc-d\0e[ 3.14|x]", 17); // and the NUL
    assert_true(buf_ok(&buf));
}

static void test_integers(void **state)
{
    (void)state;
    static const struct {
        int64_t v;
        const char *text;
    } rows[] = {
        {0, "0"},
        {7, "7"},
        {-1, "-1"},
        {1000000000, "1000000000"},
        {INT64_MAX, "9223372036854775807"},
        {INT64_MIN, "-9223372036854775808"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_clear(&buf);
        buf_i64(&buf, rows[i].v);
        assert_str(buf_view(&buf), rows[i].text);
    }
    buf_clear(&buf);
    buf_u64(&buf, UINT64_MAX);
    assert_str(buf_view(&buf), "18446744073709551615");
}

static void test_doubles_are_short_and_exact(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *text;
    } rows[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {2.0 / 3, "0.6666666666666666"},
        {5e-324, "4.94065645841247e-324"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {1e21, "1e+21"},
        {1e22, "1e+22"},
        {1e23, "1e+23"},
        {123456789012345678.0, "1.2345678901234568e+17"},
        {-2.5, "-2.5"},
        {9007199254740993.0, "9007199254740992"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_clear(&buf);
        buf_double(&buf, rows[i].v);
        assert_str(buf_view(&buf), rows[i].text);
    }
}

static void test_random_doubles_read_back(void **state)
{
    (void)state;
    uint64_t x = 88172645463325252U;
    for (int i = 0; i < 20000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        double v;
        memcpy(&v, &x, sizeof(v));
        if (!isfinite(v)) {
            continue;
        }
        buf_clear(&buf);
        buf_double(&buf, v);
        double back = strtod(buf.p, NULL);
        assert_memory_equal(&back, &v, sizeof(v));
    }
}

// What buf_double() promises, by trying: the fewest digits of 15 to 17 that read back.
static void shortest(char *text, size_t size, double v)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, v);
        double back = strtod(text, NULL);
        if (memcmp(&back, &v, sizeof(v)) == 0) {
            return;
        }
    }
}

// Amounts and rates as reports have them, and the neighbours of powers of ten and two.
static double usual(uint64_t x)
{
    double tens = 1e-5, twos = 1.0 / 65536;
    for (uint64_t i = 0; i < (x >> 8 & 31); i++) {
        tens *= i < 21 ? 10 : 1;
        twos *= 2;
    }
    switch (x & 7) {
    case 0:
        return nextafter(tens, (x & 1 << 20) ? 0 : 1e300);
    case 1:
        return nextafter(twos, (x & 1 << 20) ? 0 : 1e300);
    case 2:
        return (x & 1 << 20) ? tens : twos;
    case 3:
        return (double)(x >> 40) / 1e6;
    default:
        return tens * (double)(x >> 12) / (double)(UINT64_C(1) << 52);
    }
}

static void test_usual_doubles_are_the_shortest(void **state)
{
    (void)state;
    uint64_t x = 88172645463325252U;
    for (int i = 0; i < 50000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        char text[64] = "";
        double v = (x & 1 << 21) ? usual(x) : -usual(x);
        shortest(text, sizeof(text), v);
        buf_clear(&buf);
        buf_double(&buf, v);
        assert_str(buf_view(&buf), text);
    }
}

static void test_limit_is_exact_and_sticky(void **state)
{
    (void)state;
    struct buf small;
    buf_init(&small, 5);
    buf_cstr(&small, "12345");
    assert_true(buf_ok(&small));
    buf_char(&small, '6');
    assert_false(buf_ok(&small));
    assert_str(buf_view(&small), "12345");
    assert_i64(small.p[5], '\0');
    buf_add(&small, "", 0);
    assert_false(buf_ok(&small));

    buf_clear(&small);
    assert_true(buf_ok(&small));
    buf_cstr(&small, "123456");
    assert_str(buf_view(&small), "");
    buf_cstr(&small, "1");
    assert_false(buf_ok(&small));
    assert_str(buf_view(&small), "");

    buf_clear(&small);
    buf_cstr(&small, "123");
    buf_i64(&small, -12);
    assert_false(buf_ok(&small));
    assert_str(buf_view(&small), "123");

    buf_clear(&small);
    buf_printf(&small, "%d", 123456);
    assert_false(buf_ok(&small));
    assert_str(buf_view(&small), "");
    buf_done(&small);
}

static void test_limits_at_the_ends(void **state)
{
    (void)state;
    struct buf none;
    buf_init(&none, 0);
    buf_add(&none, "", 0);
    assert_true(buf_ok(&none));
    buf_char(&none, 'x');
    assert_false(buf_ok(&none));
    buf_done(&none);

    struct buf huge;
    buf_init(&huge, SIZE_MAX);
    buf_cstr(&huge, "abc");
    assert_null(buf_reserve(&huge, SIZE_MAX));
    assert_false(buf_ok(&huge));
    assert_str(buf_view(&huge), "abc");
    buf_done(&huge);
}

static void test_reserve(void **state)
{
    (void)state;
    buf_cstr(&buf, "ab");
    char *at = buf_reserve(&buf, 3);
    assert_non_null(at);
    memcpy(at, "cde", 3);
    buf.n += 3;
    assert_str(str_of(buf.p), "abcde");
    assert_null(buf_reserve(&buf, 1 << 20));
}

static void test_done_can_be_used_again(void **state)
{
    (void)state;
    buf_cstr(&buf, "abc");
    buf_done(&buf);
    assert_str(buf_view(&buf), "");
    buf_cstr(&buf, "again");
    assert_str(buf_view(&buf), "again");
}

#define FFFD "\xef\xbf\xbd"

static void test_json_strings(void **state)
{
    (void)state;
    static const struct {
        struct str in;
        const char *out;
    } rows[] = {
        {STR_NONE, "null"},
        {STR(""), "\"\""},
        {STR("plain text"), "\"plain text\""},
        {STR("a\"b\\c/d"), "\"a\\\"b\\\\c/d\""},
        {STR("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\""},
        {STR("a\0b\x1f\x7f"), "\"a\\u0000b\\u001f\x7f\""},
        {STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {STR("\x80"), "\"" FFFD "\""},
        {STR("a\xff"
             "b"),
         "\"a" FFFD "b\""},
        {STR("\xc0\xaf"), "\"" FFFD FFFD "\""},          // overlong '/'
        {STR("\xe0\x80\xaf"), "\"" FFFD FFFD FFFD "\""}, // overlong, three bytes
        {STR("\xf0\x80\x80\x80"), "\"" FFFD FFFD FFFD FFFD "\""},
        {STR("\xed\xa0\x80"), "\"" FFFD FFFD FFFD "\""}, // a surrogate
        {STR("\xed\x9f\xbf"), "\"\xed\x9f\xbf\""},       // the last before them
        {STR("\xee\x80\x80"), "\"\xee\x80\x80\""},       // the first after them
        {STR("\xf4\x8f\xbf\xbf"), "\"\xf4\x8f\xbf\xbf\""},
        {STR("\xf4\x90\x80\x80"), "\"" FFFD FFFD FFFD FFFD "\""}, // past U+10FFFF
        {STR("\xf5\x80\x80\x80"), "\"" FFFD FFFD FFFD FFFD "\""},
        {STR("\xe2\x82"), "\"" FFFD FFFD "\""}, // cut short
        {STR("\xe2\x82\""), "\"" FFFD FFFD "\\\"\""},
        {STR("\xc3\n"), "\"" FFFD "\\n\""},
        {STR("\xf0\x9f\x98"), "\"" FFFD FFFD FFFD "\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_clear(&buf);
        buf_json_str(&buf, rows[i].in);
        assert_str(buf_view(&buf), rows[i].out);
    }
}

int main(void)
{
    return TEST_RUN(TEST_WITH(test_appends, setup, teardown),
                    TEST_WITH(test_integers, setup, teardown),
                    TEST_WITH(test_doubles_are_short_and_exact, setup, teardown),
                    TEST_WITH(test_random_doubles_read_back, setup, teardown),
                    TEST_WITH(test_usual_doubles_are_the_shortest, setup, teardown),
                    TEST_WITH(test_limit_is_exact_and_sticky, setup, teardown),
                    TEST_WITH(test_limits_at_the_ends, setup, teardown),
                    TEST_WITH(test_reserve, setup, teardown),
                    TEST_WITH(test_done_can_be_used_again, setup, teardown),
                    TEST_WITH(test_json_strings, setup, teardown));
}
