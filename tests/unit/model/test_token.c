#include "test.h"

#include <errno.h>

#include "base/decimal.h"
#include "model/token.h"

static void test_scaled(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int scale, result;
        int64_t want;
    } rows[] = {
        {"0", 0, 0, 0},
        {"-0", 9, 0, 0},
        {"1", 0, 0, 1},
        {"1", 18, 0, 1000000000000000000},
        {"2.48", 9, 0, 2480000000},
        {"2.5", 0, 0, 2},
        {"3.5", 0, 0, 4},
        {"0.0000005", 6, 0, 0},
        {"0.0000015", 6, 0, 2},
        {"1795442400.123456789", 9, 0, 1795442400123456789},
        {"123456789012345678", 0, 0, 123456789012345678},
        {"9223372036854775807", 0, 0, INT64_MAX},
        {"-9223372036854775808", 0, 0, INT64_MIN},
        {"-12.5", 1, 0, -125},
        {"1e3", 2, 0, 100000},
        {"1E-3", 3, 0, 1},
        {"10", 18, -ERANGE, 0},
        {"9223372036854775808", 0, -ERANGE, 0},
        {"999999999999999999", 1, -ERANGE, 0},
        {"1e400", 0, -ERANGE, 0},
        {"00", 0, -EINVAL, 0},
        {"01", 0, -EINVAL, 0},
        {"-01", 0, -EINVAL, 0},
        {"00.5", 0, -EINVAL, 0},
        {"", 0, -EINVAL, 0},
        {"-", 0, -EINVAL, 0},
        {"+1", 0, -EINVAL, 0},
        {".5", 1, -EINVAL, 0},
        {"1.", 1, -EINVAL, 0},
        {"-1.", 1, -EINVAL, 0},
        {"1.2.3", 3, -EINVAL, 0},
        {"1.e3", 0, -EINVAL, 0},
        {"1e", 0, -EINVAL, 0},
        {"1e+", 0, -EINVAL, 0},
        {"1e1.0", 0, -EINVAL, 0},
        {"1 ", 0, -EINVAL, 0},
        {"0x1", 0, -EINVAL, 0},
        {"Infinity", 0, -EINVAL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t got = 0;
        int r = number_scaled(str_of(rows[i].text), rows[i].scale, &got);
        if (r != rows[i].result || got != rows[i].want) {
            fail_at(__FILE__, __LINE__, "%s: %d, %lld\n", rows[i].text, r, (long long)got);
        }
    }
}

// The short way reads what the long way reads, or nothing.
static void test_plain(void **state)
{
    (void)state;
    static const char *const whole[] = {"0",   "7",           "10",           "905",
                                        "000", "18446744073", "1234567890123"};
    static const char *const fraction[] = {"",     ".",          ".0",          ".5",
                                           ".125", ".000000001", ".12345678901"};
    for (size_t i = 0; i < ARRAY_LEN(whole) * ARRAY_LEN(fraction) * 10; i++) {
        char text[64];
        const char *f = fraction[i / ARRAY_LEN(whole) % ARRAY_LEN(fraction)];
        snprintf(text, sizeof(text), "%s%s", whole[i % ARRAY_LEN(whole)], f);
        int scale = (int)(i / (ARRAY_LEN(whole) * ARRAY_LEN(fraction)));
        int64_t got, want;
        if (number_plain(str_of(text), scale, &got)) {
            assert_false(token_malformed(str_of(text)));
            assert_i64(decimal_parse(str_of(text), scale, &want), 0);
            assert_i64(got, want);
        } else if (strlen(text) <= 18 && strlen(f) <= (size_t)scale) {
            assert_true(token_malformed(str_of(text)) ||
                        decimal_parse(str_of(text), scale, &want) == -ERANGE);
        }
    }
}

static void test_integer(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int result;
        int64_t want;
    } rows[] = {
        {"0", 0, 0},
        {"0.000", 0, 0},
        {"0e-7", 0, 0},
        {"-0.0e9", 0, 0},
        {"12", 0, 12},
        {"-12", 0, -12},
        {"12.0", 0, 12},
        {"1.2e1", 0, 12},
        {"1200e-2", 0, 12},
        {"1200.00e-2", 0, 12},
        {"0.12E+2", 0, 12},
        {"1e18", 0, 1000000000000000000},
        {"9223372036854775807.0", 0, INT64_MAX},
        {"12.5", -EDOM, 0},
        {"1.25e1", -EDOM, 0},
        {"1200e-3", -EDOM, 0},
        {"1e-1", -EDOM, 0},
        {"1e-99999999999999999999", -EDOM, 0},
        {"0.000000000000000000001", -EDOM, 0},
        {"1e99999999999999999999", -ERANGE, 0},
        {"9223372036854775808", -ERANGE, 0},
        {"1e", -EINVAL, 0},
        {"012", -EINVAL, 0},
        {"1.0.0", -EINVAL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t got = 0;
        int r = number_integer(str_of(rows[i].text), &got);
        if (r != rows[i].result || (r == 0 && got != rows[i].want)) {
            fail_at(__FILE__, __LINE__, "%s: %d, %lld\n", rows[i].text, r, (long long)got);
        }
    }
}

static void test_negative(void **state)
{
    (void)state;
    static const char *const negative[] = {"-1", "-0.001", "-1e-999", "-10", "-0.10e5"};
    static const char *const not_negative[] = {"1", "0", "-0", "-0.000", "-0e9", "-0.0E-1", "1e-9"};
    for (size_t i = 0; i < ARRAY_LEN(negative); i++) {
        assert_true(number_negative(str_of(negative[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(not_negative); i++) {
        assert_false(number_negative(str_of(not_negative[i])));
    }
}

static void test_types(void **state)
{
    (void)state;
    static const struct {
        const char *token, *type;
        bool malformed;
    } rows[] = {
        {"\"a\"", "a string", false},
        {"{", "an object", false},
        {"[", "an array", false},
        {"true", "a boolean", false},
        {"false", "a boolean", false},
        {"null", "null", false},
        {"-1.5e3", "a number", false},
        {"tru", "a boolean", true},
        {"falsey", "a boolean", true},
        {"nul", "null", true},
        {"1x", "a number", true},
        {"}", NULL, true},
        {"N", NULL, true},
        {"'a'", NULL, true},
        {":", NULL, true},
        {"\x80", NULL, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str token = str_of(rows[i].token);
        assert_int_equal(token_malformed(token), rows[i].malformed);
        if (rows[i].type) {
            assert_string_equal(token_type(token), rows[i].type);
        }
    }
    assert_true(token_is_null(STR("null")));
    assert_false(token_is_null(STR("nul")));
    assert_true(token_is_number(STR("-")));
    assert_false(token_is_number(STR("+1")));
}

int main(void)
{
    return TEST_RUN(TEST(test_scaled), TEST(test_plain), TEST(test_integer), TEST(test_negative),
                    TEST(test_types));
}
