#include "test.h"

#include <errno.h>

#include "base/time.h"

static void test_parse_iso(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t s, ns;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0, 0},
        {"1970-01-01", 0, 0},
        {"1970-01-01T00:00:00.000000001Z", 0, 1},
        {"2026-11-23T14:00:00Z", 1795442400, 0},
        {"2026-11-23T14:00:00", 1795442400, 0},
        {"2026-11-23 14:00:00", 1795442400, 0},
        {"2026-11-23t14:00:00z", 1795442400, 0},
        {"2026-11-23T15:30:00+01:30", 1795442400, 0},
        {"2026-11-23T15:30:00+0130", 1795442400, 0},
        {"2026-11-23T06:00:00-08:00", 1795442400, 0},
        {"2026-11-23T14:00:00-00:00", 1795442400, 0},
        {"2026-11-22T14:01:00-23:59", 1795442400, 0},
        {"2026-11-23T14:00:00.5Z", 1795442400, 500000000},
        {"2026-11-23T14:00:00.123456789Z", 1795442400, 123456789},
        {"2026-11-23T14:00:00.1234567899999Z", 1795442400, 123456789},
        {"2026-11-23T14:00:00.9999999999999999999999999Z", 1795442400, 999999999},
        {"2026-11-23T14:00:00.5+00:00", 1795442400, 500000000},
        {"2000-02-29T00:00:00Z", 951782400, 0},
        {"2024-02-29T23:59:59Z", 1709251199, 0},
        {"2100-02-28T23:59:59Z", 4107542399, 0},
        {"2100-03-01", 4107542400, 0},
        {"2199-12-31T23:59:59.999999999Z", 7258118399, 999999999},
        {"2200-01-01T00:30:00+01:00", 7258116600, 0},
        {"1969-12-31T23:00:00-01:00", 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t t = -77;
        if (time_parse_iso(str_of(rows[i].text), &t) != 0) {
            fail_at(__FILE__, __LINE__, "'%s' refused\n", rows[i].text);
        }
        assert_i64(t, rows[i].s * NS_PER_S + rows[i].ns);
    }
}

static void test_parse_iso_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int want;
    } rows[] = {
        {"", -EINVAL},
        {NULL, -EINVAL},
        {"now", -EINVAL},
        {"2026", -EINVAL},
        {"2026-11", -EINVAL},
        {"2026-1-02", -EINVAL},
        {"26-11-23", -EINVAL},
        {"20261123T140000Z", -EINVAL},
        {"2026/11/23", -EINVAL},
        {"2026-11-23T", -EINVAL},
        {"2026-11-23Z", -EINVAL},
        {"2026-11-23T14", -EINVAL},
        {"2026-11-23T14:00", -EINVAL},
        {"2026-11-23T14:00:00.", -EINVAL},
        {"2026-11-23T14:00:00.Z", -EINVAL},
        {"2026-11-23T14:00:00,5Z", -EINVAL},
        {"2026-11-23T14:00:00 Z", -EINVAL},
        {"2026-11-23T14:00:00ZZ", -EINVAL},
        {" 2026-11-23T14:00:00Z", -EINVAL},
        {"2026-11-23T14:00:00Z ", -EINVAL},
        {"2026-11-23T14:00:00+1", -EINVAL},
        {"2026-11-23T14:00:00+01", -EINVAL},
        {"2026-11-23T14:00:00+01:", -EINVAL},
        {"2026-11-23T14:00:00+01:60", -EINVAL},
        {"2026-11-23T14:00:00+24:00", -EINVAL},
        {"2026-11-23T14:00:00Europe/Berlin", -EINVAL},
        {"2026-11-23T24:00:00Z", -EINVAL},
        {"2026-11-23T23:60:00Z", -EINVAL},
        {"2016-12-31T23:59:60Z", -EINVAL},
        {"2026-00-10", -EINVAL},
        {"2026-13-10", -EINVAL},
        {"2026-01-00", -EINVAL},
        {"2026-01-32", -EINVAL},
        {"2026-04-31", -EINVAL},
        {"2026-02-29", -EINVAL},
        {"2024-02-30", -EINVAL},
        {"2100-02-29", -EINVAL},
        {"1900-02-29", -EINVAL},
        {"-026-11-23", -EINVAL},
        {"+2026-11-23", -EINVAL},
        {"1969-12-31T23:59:59.999999999Z", -ERANGE},
        {"1970-01-01T00:00:00+00:01", -ERANGE},
        {"2200-01-01T00:00:00Z", -ERANGE},
        {"2199-12-31T23:59:59-00:01", -ERANGE},
        {"9999-12-31T23:59:59Z", -ERANGE},
        {"0000-01-01", -ERANGE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t t = 77;
        if (time_parse_iso(str_of(rows[i].text), &t) != rows[i].want) {
            fail_at(__FILE__, __LINE__, "'%s' not refused rightly\n", rows[i].text);
        }
        assert_i64(t, 77);
    }
}

static void test_format_iso(void **state)
{
    (void)state;
    static const struct {
        int64_t t;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00Z"},
        {1, "1970-01-01T00:00:00.000000001Z"},
        {1000, "1970-01-01T00:00:00.000001Z"},
        {1000000, "1970-01-01T00:00:00.001Z"},
        {120000000, "1970-01-01T00:00:00.120Z"},
        {1795442400000000000, "2026-11-23T14:00:00Z"},
        {951782400000000000, "2000-02-29T00:00:00Z"},
        {TIME_MAX, "2200-01-01T00:00:00Z"},
        {-1, "1969-12-31T23:59:59.999999999Z"},
        {-NS_PER_DAY, "1969-12-31T00:00:00Z"},
        {INT64_MAX, "2262-04-11T23:47:16.854775807Z"},
    };
    struct buf b;
    buf_init(&b, 64);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_clear(&b);
        time_format_iso(&b, rows[i].t);
        assert_str(buf_view(&b), rows[i].text);
    }
    buf_done(&b);
}

// Every day from 1900 to 2200, against a calendar counted up by hand.
static void test_every_day(void **state)
{
    (void)state;
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t day = -25567;
    for (int year = 1900; year <= 2200; year++) {
        bool leap = year % 4 == 0 && (year % 100 != 0 || year == 2000);
        for (int month = 1; month <= 12; month++) {
            int length = lengths[month - 1] + (month == 2 && leap);
            for (int d = 1; d <= length; d++, day++) {
                struct civil c = time_civil(day * NS_PER_DAY + NS_PER_DAY - 1);
                assert_true(c.year == year && c.month == month && c.day == d);
                assert_true(c.hour == 23 && c.minute == 59 && c.second == 59);
                c.hour = c.minute = c.second = 0;
                assert_i64(time_from_civil(c), day * NS_PER_DAY);
            }
        }
    }
}

static void test_iso_reads_back(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 64);
    uint64_t x = 1;
    for (int i = 0; i < 20000; i++) {
        x = x * 6364136223846793005U + 1442695040888963407U;
        int64_t t = (int64_t)((x >> 1) % (uint64_t)TIME_MAX), back;
        t -= i % 4 == 0 ? t % NS_PER_S : i % 4 == 1 ? t % NS_PER_MS : 0;
        buf_clear(&b);
        time_format_iso(&b, t);
        assert_i64(time_parse_iso(buf_view(&b), &back), 0);
        assert_i64(back, t);
    }
    buf_done(&b);
}

static void test_parse_duration(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } rows[] = {
        {"0", 0},
        {"0s", 0},
        {"1", NS_PER_S},
        {"0.5", NS_PER_S / 2},
        {"90s", 90 * NS_PER_S},
        {"250ms", 250 * NS_PER_MS},
        {"5us", 5 * NS_PER_US},
        {"7ns", 7},
        {"5m", 300 * NS_PER_S},
        {"24h", NS_PER_DAY},
        {"7d", 7 * NS_PER_DAY},
        {"1h30m", 5400 * NS_PER_S},
        {"1d2h3m4s5ms6us7ns",
         NS_PER_DAY + 2 * NS_PER_HOUR + 184 * NS_PER_S + 5 * NS_PER_MS + 6 * NS_PER_US + 7},
        {"1.5h", 5400 * NS_PER_S},
        {"0.000000001s", 1},
        {"90m", 5400 * NS_PER_S},
        {"9223372036854775807ns", INT64_MAX},
        {"9223372036.854775807", INT64_MAX},
        {"106751d", 106751 * NS_PER_DAY},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t ns = -77;
        assert_i64(duration_parse(str_of(rows[i].text), &ns), 0);
        assert_i64(ns, rows[i].ns);
    }
}

static void test_parse_duration_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int want;
    } rows[] = {
        {"", -EINVAL},
        {NULL, -EINVAL},
        {"s", -EINVAL},
        {"-1s", -EINVAL},
        {"+1s", -EINVAL},
        {" 1s", -EINVAL},
        {"1 s", -EINVAL},
        {"1s ", -EINVAL},
        {"1S", -EINVAL},
        {"1w", -EINVAL},
        {"1hour", -EINVAL},
        {"30m1h", -EINVAL},
        {"1h1h", -EINVAL},
        {"1h30", -EINVAL},
        {"1e3s", -EINVAL},
        {".5s", -EINVAL},
        {"5.s", -EINVAL},
        {"1..5s", -EINVAL},
        {"1h-5m", -EINVAL},
        {"inf", -EINVAL},
        {"106752d", -ERANGE},
        {"9223372036854775808ns", -ERANGE},
        {"9223372037", -ERANGE},
        {"106751d24h", -ERANGE},
        {"99999999999999999999999d", -ERANGE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t ns = 77;
        if (duration_parse(str_of(rows[i].text), &ns) != rows[i].want) {
            fail_at(__FILE__, __LINE__, "'%s' not refused rightly\n", rows[i].text);
        }
        assert_i64(ns, 77);
    }
}

static void test_format_duration(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *text;
    } rows[] = {
        {0, "0s"},
        {300 * NS_PER_S, "5m"},
        {5400 * NS_PER_S, "1h30m"},
        {250 * NS_PER_MS, "250ms"},
        {7 * NS_PER_DAY, "7d"},
        {NS_PER_S + 1, "1s1ns"},
        {1, "1ns"},
        {INT64_MAX, "106751d23h47m16s854ms775us807ns"},
    };
    struct buf b;
    buf_init(&b, 64);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_clear(&b);
        duration_format(&b, rows[i].ns);
        assert_str(buf_view(&b), rows[i].text);
        int64_t back;
        assert_i64(duration_parse(buf_view(&b), &back), 0);
        assert_i64(back, rows[i].ns);
    }
    buf_done(&b);
}

static void test_floor_and_ceil(void **state)
{
    (void)state;
    static const struct {
        int64_t t, step, low, high;
    } rows[] = {
        {0, 60, 0, 0},    {1, 60, 0, 60},      {59, 60, 0, 60},      {60, 60, 60, 60},
        {-1, 60, -60, 0}, {-60, 60, -60, -60}, {-61, 60, -120, -60}, {7, 1, 7, 7},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_i64(time_floor(rows[i].t, rows[i].step), rows[i].low);
        assert_i64(time_ceil(rows[i].t, rows[i].step), rows[i].high);
    }
}

static void test_system_clock(void **state)
{
    (void)state;
    int64_t wall = clock_wall(&clock_system);
    struct mono before = clock_mono(&clock_system), after = clock_mono(&clock_system);
    assert_true(wall > 0 && wall < TIME_MAX);
    assert_true(before.ns <= after.ns);
}

int main(void)
{
    return TEST_RUN(TEST(test_parse_iso), TEST(test_parse_iso_refuses), TEST(test_format_iso),
                    TEST(test_every_day), TEST(test_iso_reads_back), TEST(test_parse_duration),
                    TEST(test_parse_duration_refuses), TEST(test_format_duration),
                    TEST(test_floor_and_ceil), TEST(test_system_clock));
}
