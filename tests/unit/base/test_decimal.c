#include "test.h"

#include <errno.h>
#include <string.h>

#include "base/decimal.h"
#include "base/wide.h"

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int scale;
        int64_t want;
    } rows[] = {
        {"0", 0, 0},
        {"-0", 9, 0},
        {"0.0", 3, 0},
        {"1", 0, 1},
        {"1", 9, 1000000000},
        {"-1.5", 1, -15},
        {"2.48", 9, 2480000000},
        {"0.000000001", 9, 1},
        {"007", 0, 7},
        {"1e3", 0, 1000},
        {"1E+3", 0, 1000},
        {"1e-3", 3, 1},
        {"1.25e2", 0, 125},
        {"12500e-4", 2, 125},
        {"0e99999999999999999999", 18, 0},
        {"0.000e-99999999999999999999", 18, 0},
        {"1e-99999999999999999999", 18, 0},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"9.223372036854775807", 18, INT64_MAX},
        {"-9.223372036854775808", 18, INT64_MIN},
        {"9223372036854775807.4", 0, INT64_MAX},
        {"0.00000000000000000000000000000000000000000000000000009e52", 1, 9},
        {"1000000000000000000000000000000000000000000000000000e-51", 0, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t got = -77;
        assert_i64(decimal_parse(str_of(rows[i].text), rows[i].scale, &got), 0);
        assert_i64(got, rows[i].want);
    }
}

static void test_rounds_half_to_even(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want;
    } rows[] = {
        {"0.5", 0},
        {"1.5", 2},
        {"2.5", 2},
        {"3.5", 4},
        {"-0.5", 0},
        {"-1.5", -2},
        {"-2.5", -2},
        {"0.50000000000000000000000000000000001", 1},
        {"2.50000000000000000000000000000000001", 3},
        {"2.5000000000000000000000000000", 2},
        {"2.49999999999999999999999999999999", 2},
        {"0.51", 1},
        {"0.4999", 0},
        {"0.6", 1},
        {"0.05", 0},
        {"0.09", 0},
        {"5e-1", 0},
        {"15e-1", 2},
        {"51e-2", 1},
        {"999e-3", 1},
        {"0.95e1", 10},
        {"0.85e1", 8},
        {"9e-30", 0},
        {"9223372036854775806.5", 9223372036854775806},
        {"-9223372036854775808.5", INT64_MIN},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t got = -77;
        assert_i64(decimal_parse(str_of(rows[i].text), 0, &got), 0);
        assert_i64(got, rows[i].want);
    }
}

static void test_parse_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int scale, want;
    } rows[] = {
        {"", 0, -EINVAL},
        {NULL, 0, -EINVAL},
        {"-", 0, -EINVAL},
        {"+1", 0, -EINVAL},
        {"--1", 0, -EINVAL},
        {".5", 0, -EINVAL},
        {"1.", 0, -EINVAL},
        {"1.e3", 0, -EINVAL},
        {"1e", 0, -EINVAL},
        {"1e+", 0, -EINVAL},
        {"1e5.0", 0, -EINVAL},
        {" 1", 0, -EINVAL},
        {"1 ", 0, -EINVAL},
        {"1,5", 0, -EINVAL},
        {"0x10", 0, -EINVAL},
        {"NaN", 0, -EINVAL},
        {"inf", 0, -EINVAL},
        {"1_000", 0, -EINVAL},
        {"1.5.5", 0, -EINVAL},
        {"9223372036854775808", 0, -ERANGE},
        {"-9223372036854775809", 0, -ERANGE},
        {"9223372036854775807.5", 0, -ERANGE},
        {"-9223372036854775809e0", 0, -ERANGE},
        {"9.3", 18, -ERANGE},
        {"1e19", 0, -ERANGE},
        {"1e10", 9, -ERANGE},
        {"1e999999999999999999999", 0, -ERANGE},
        {"18446744073709551616", 0, -ERANGE},
        {"18446744073709551615.5", 0, -ERANGE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t got = 77;
        assert_i64(decimal_parse(str_of(rows[i].text), rows[i].scale, &got), rows[i].want);
        assert_i64(got, 77);
    }
    int64_t got;
    assert_i64(decimal_parse(STR("1\0"), 0, &got), -EINVAL);
}

// A megabyte of digits is read in one pass, whatever the exponent claims.
static void test_long_text(void **state)
{
    (void)state;
    static char text[1 << 20];
    memset(text, '0', sizeof(text));
    text[1] = '.';
    text[sizeof(text) - 1] = '1';
    int64_t v = -1;
    assert_i64(decimal_parse((struct str){text, sizeof(text)}, 18, &v), 0);
    assert_i64(v, 0);
    text[0] = '5';
    assert_i64(decimal_parse((struct str){text, sizeof(text)}, 18, &v), 0);
    assert_i64(v, 5000000000000000000);
    memset(text, '9', sizeof(text));
    assert_i64(decimal_parse((struct str){text, sizeof(text)}, 0, &v), -ERANGE);
}

static const struct {
    int64_t v;
    int scale;
    const char *full, *brief;
} formats[] = {
    {0, 0, "0", "0"},
    {0, 9, "0.000000000", "0"},
    {120000000, 9, "0.120000000", "0.12"},
    {1, 9, "0.000000001", "0.000000001"},
    {-1, 9, "-0.000000001", "-0.000000001"},
    {1000000000, 9, "1.000000000", "1"},
    {-2500000000, 9, "-2.500000000", "-2.5"},
    {100, 0, "100", "100"},
    {100, 1, "10.0", "10"},
    {INT64_MAX, 18, "9.223372036854775807", "9.223372036854775807"},
    {INT64_MIN, 18, "-9.223372036854775808", "-9.223372036854775808"},
    {INT64_MIN, 0, "-9223372036854775808", "-9223372036854775808"},
};

static void test_format(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        buf_clear(&b);
        decimal_format(&b, formats[i].v, formats[i].scale);
        assert_str(buf_view(&b), formats[i].full);
        int64_t back;
        assert_i64(decimal_parse(buf_view(&b), formats[i].scale, &back), 0);
        assert_i64(back, formats[i].v);
        buf_clear(&b);
        decimal_format_short(&b, formats[i].v, formats[i].scale);
        assert_str(buf_view(&b), formats[i].brief);
    }
    buf_done(&b);
}

static void test_format_i128(void **state)
{
    (void)state;
    const i128 max = (i128)(~(u128)0 >> 1);
    const struct {
        i128 v;
        int scale;
        const char *text;
    } rows[] = {
        {0, 0, "0"},
        {0, 9, "0.000000000"},
        {-5, 9, "-0.000000005"},
        {(i128)INT64_MAX * 1000, 9, "9223372036854.775807000"},
        {max, 0, "170141183460469231731687303715884105727"},
        {-max - 1, 0, "-170141183460469231731687303715884105728"},
        {max, 38, "1.70141183460469231731687303715884105727"},
        {-max - 1, 9, "-170141183460469231731687303715.884105728"},
    };
    struct buf b;
    buf_init(&b, 100);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_clear(&b);
        decimal_format_i128(&b, rows[i].v, rows[i].scale);
        assert_str(buf_view(&b), rows[i].text);
    }
    buf_done(&b);
}

int main(void)
{
    return TEST_RUN(TEST(test_parse), TEST(test_rounds_half_to_even), TEST(test_parse_refuses),
                    TEST(test_long_text), TEST(test_format), TEST(test_format_i128));
}
