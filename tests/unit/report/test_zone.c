#include <errno.h>
#include <time.h>

#include "report/zone.h"
#include "test.h"

#define H NS_PER_HOUR
#define MINUTE (60 * NS_PER_S)

// Clocks of 2026 in Berlin and New York, and the half hour of Lord Howe, as POSIX rules: they need
// no time zone database.
#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"
#define NEW_YORK "EST5EDT,M3.2.0,M11.1.0"

static struct zone zone_of(const char *rule)
{
    setenv("TZ", rule, 1);
    tzset();
    return zone_process(STR("Test/Zone"));
}

static int64_t at(const char *iso)
{
    int64_t t;
    assert_ok(time_parse_iso(str_of(iso), &t), NULL);
    return t;
}

static void test_parse_fixed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t minutes;
    } rows[] = {
        {"UTC", 0},      {"Z", 0},        {"+00:00", 0},    {"+02:00", 120},
        {"-0330", -210}, {"+05:45", 345}, {"-12:00", -720}, {"+14:00", 840},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct zone z;
        assert_ok(zone_parse_fixed(str_of(rows[i].text), &z, NULL), NULL);
        assert_i64(zone_offset(&z, 0), rows[i].minutes * MINUTE);
        assert_i64(zone_offset(&z, TIME_MAX), rows[i].minutes * MINUTE);
    }
}

static void test_parse_fixed_refuses(void **state)
{
    (void)state;
    static const char *const rows[] = {"",        "utc",           "+",     "2",
                                       "+25:00",  "+02:60",        "02:00", "UTC+2",
                                       "+02:00Z", "Europe/Berlin", "+2:0"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct zone z;
        struct error err = {0};
        if (zone_parse_fixed(str_of(rows[i]), &z, &err) != -EINVAL || err.msg[0] == '\0') {
            fail_at(__FILE__, __LINE__, "'%s' was taken\n", rows[i]);
        }
    }
}

// Spring: 29 March 2026, 02:00 becomes 03:00. Autumn: 25 October, 03:00 becomes 02:00.
static void test_hours_and_days(void **state)
{
    (void)state;
    struct zone z = zone_of(BERLIN);
    static const struct {
        const char *t, *hour, *day;
    } rows[] = {
        {"2026-03-29T00:59:59Z", "2026-03-29T00:00:00Z", "2026-03-29"}, // 01:59:59
        {"2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29"}, // 03:00
        {"2026-03-28T22:59:59Z", "2026-03-28T22:00:00Z", "2026-03-28"}, // 23:59:59
        {"2026-03-28T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29"}, // midnight
        {"2026-03-29T21:59:59Z", "2026-03-29T21:00:00Z", "2026-03-29"}, // 23:59:59, a day of 23 h
        {"2026-03-29T22:00:00Z", "2026-03-29T22:00:00Z", "2026-03-30"},
        {"2026-10-25T00:30:00Z", "2026-10-25T00:00:00Z", "2026-10-25"}, // 02:30 the first time
        {"2026-10-25T01:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25"}, // 02:30 the second time
        {"2026-10-25T22:59:59Z", "2026-10-25T22:00:00Z", "2026-10-25"}, // a day of 25 h
        {"2026-10-25T23:00:00Z", "2026-10-25T23:00:00Z", "2026-10-26"},
        {"2026-07-01T12:34:56Z", "2026-07-01T12:00:00Z", "2026-07-01"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_i64(zone_hour(&z, at(rows[i].t)), at(rows[i].hour));
        assert_i64(zone_day(&z, at(rows[i].t)), at(rows[i].day));
    }
    struct zone india;
    assert_ok(zone_parse_fixed(STR("+05:30"), &india, NULL), NULL);
    assert_i64(zone_hour(&india, at("2026-01-01T00:15:00Z")), at("2025-12-31T23:30:00Z"));
    assert_i64(zone_day(&india, at("2026-01-01T18:30:00Z")), at("2026-01-02"));
}

static void test_aligned(void **state)
{
    (void)state;
    struct zone berlin = zone_of(BERLIN), fixed;
    int64_t from = at("2026-03-01"), to = at("2026-04-30");
    assert_true(zone_aligned(&zone_utc, from, to, NS_PER_DAY));
    assert_true(zone_aligned(&berlin, from, to, H));
    assert_false(zone_aligned(&berlin, from, to, NS_PER_DAY));
    assert_ok(zone_parse_fixed(STR("+05:30"), &fixed, NULL), NULL);
    assert_false(zone_aligned(&fixed, from, to, H));
    assert_true(zone_aligned(&fixed, from, to, 30 * MINUTE));
    // Half an hour more from April to October: only the end of this range is off.
    struct zone half = zone_of("LHST-11LHDT-11:30,M4.1.0,M10.1.0");
    assert_true(zone_aligned(&half, from, from, H));
    assert_false(zone_aligned(&half, from, to, H));
}

static void test_format(void **state)
{
    (void)state;
    struct zone berlin = zone_of(BERLIN);
    int64_t now = at("2026-11-23T14:00:00Z");
    static const struct {
        const char *t, *utc, *berlin;
    } rows[] = {
        {"2026-11-22T14:00:00Z", "22 Nov 14:00", "22 Nov 15:00"},
        {"2026-11-22T14:00:07Z", "22 Nov 14:00:07", "22 Nov 15:00:07"},
        {"2026-07-01T22:30:00Z", "1 Jul 22:30", "2 Jul 00:30"},
        {"2025-11-22T14:00:00Z", "22 Nov 2025 14:00", "22 Nov 2025 15:00"},
        {"2026-12-31T23:30:00Z", "31 Dec 23:30", "1 Jan 2027 00:30"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b;
        buf_init(&b, 64);
        zone_format(&b, &zone_utc, at(rows[i].t), now);
        assert_str(buf_view(&b), rows[i].utc);
        buf_clear(&b);
        zone_format(&b, &berlin, at(rows[i].t), now);
        assert_str(buf_view(&b), rows[i].berlin);
        buf_done(&b);
    }
}

// The clock shows 02:00 twice in autumn: each says which it is.
static void test_format_hour(void **state)
{
    (void)state;
    struct zone berlin = zone_of(BERLIN), york;
    int64_t now = at("2026-11-23T14:00:00Z");
    static const struct {
        const char *t, *want;
    } rows[] = {
        {"2026-10-24T23:00:00Z", "25 Oct 01:00"},
        {"2026-10-25T00:00:00Z", "25 Oct 02:00 +02:00"},
        {"2026-10-25T01:00:00Z", "25 Oct 02:00 +01:00"},
        {"2026-10-25T02:00:00Z", "25 Oct 03:00"},
        {"2026-03-29T00:00:00Z", "29 Mar 01:00"},
        {"2026-03-29T01:00:00Z", "29 Mar 03:00"},
    };
    struct buf b;
    buf_init(&b, 64);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_clear(&b);
        zone_format_hour(&b, &berlin, at(rows[i].t), now);
        assert_str(buf_view(&b), rows[i].want);
    }
    york = zone_of(NEW_YORK);
    buf_clear(&b);
    zone_format_hour(&b, &york, at("2026-11-01T05:00:00Z"), now);
    assert_str(buf_view(&b), "1 Nov 01:00 -04:00");
    buf_clear(&b);
    zone_format_hour(&b, &zone_utc, at("2026-10-25T01:00:00Z"), now);
    assert_str(buf_view(&b), "25 Oct 01:00");
    buf_done(&b);
}

static void test_format_day_and_near(void **state)
{
    (void)state;
    int64_t now = at("2026-11-23T14:00:00Z");
    struct buf b;
    buf_init(&b, 64);
    zone_format_day(&b, at("2026-11-22"), now);
    assert_str(buf_view(&b), "22 Nov");
    buf_clear(&b);
    zone_format_day(&b, at("2025-01-02"), now);
    assert_str(buf_view(&b), "2 Jan 2025");
    buf_clear(&b);
    zone_format_near(&b, &zone_utc, at("2026-11-22T09:05:00Z"), at("2026-11-22T23:00:00Z"), now);
    assert_str(buf_view(&b), "09:05");
    buf_clear(&b);
    zone_format_near(&b, &zone_utc, at("2026-11-23T00:00:00Z"), at("2026-11-22T23:00:00Z"), now);
    assert_str(buf_view(&b), "23 Nov 00:00");
    buf_done(&b);
}

static void test_format_iso(void **state)
{
    (void)state;
    struct zone berlin = zone_of(BERLIN), fixed;
    struct buf b;
    buf_init(&b, 64);
    zone_format_iso(&b, &zone_utc, at("2026-11-22T14:00:00Z"));
    assert_str(buf_view(&b), "2026-11-22T14:00:00Z");
    buf_clear(&b);
    zone_format_iso(&b, &berlin, at("2026-11-22T14:00:00Z"));
    assert_str(buf_view(&b), "2026-11-22T15:00:00+01:00");
    buf_clear(&b);
    zone_format_iso(&b, &berlin, at("2026-10-25T00:30:00Z"));
    assert_str(buf_view(&b), "2026-10-25T02:30:00+02:00");
    buf_clear(&b);
    assert_ok(zone_parse_fixed(STR("-03:30"), &fixed, NULL), NULL);
    zone_format_iso(&b, &fixed, at("2026-11-22T14:00:00Z"));
    assert_str(buf_view(&b), "2026-11-22T10:30:00-03:30");
    buf_done(&b);
}

static void test_time_spec(void **state)
{
    (void)state;
    struct zone berlin = zone_of(BERLIN);
    int64_t now = at("2026-11-23T14:00:00Z");
    static const struct {
        const char *text, *utc, *berlin;
    } rows[] = {
        {"now", "2026-11-23T14:00:00Z", "2026-11-23T14:00:00Z"},
        {"24h", "2026-11-22T14:00:00Z", "2026-11-22T14:00:00Z"},
        {"today", "2026-11-23T00:00:00Z", "2026-11-22T23:00:00Z"},
        {"yesterday", "2026-11-22T00:00:00Z", "2026-11-21T23:00:00Z"},
        {"7d", "2026-11-16T14:00:00Z", "2026-11-16T14:00:00Z"},
        {"90s", "2026-11-23T13:58:30Z", "2026-11-23T13:58:30Z"},
        {"2026-11-22", "2026-11-22T00:00:00Z", "2026-11-21T23:00:00Z"},
        {"2026-07-01", "2026-07-01T00:00:00Z", "2026-06-30T22:00:00Z"},
        {"2026-11-22 14:00", "2026-11-22T14:00:00Z", "2026-11-22T13:00:00Z"},
        {"2026-11-22T14:00", "2026-11-22T14:00:00Z", "2026-11-22T13:00:00Z"},
        {"2026-11-22T14:00:05", "2026-11-22T14:00:05Z", "2026-11-22T13:00:05Z"},
        {"2026-11-22T14:00:00Z", "2026-11-22T14:00:00Z", "2026-11-22T14:00:00Z"},
        {"2026-11-22T14:00:00+01:00", "2026-11-22T13:00:00Z", "2026-11-22T13:00:00Z"},
        // Around the changes of the clock.
        {"2026-03-29 01:59", "2026-03-29T01:59:00Z", "2026-03-29T00:59:00Z"},
        {"2026-03-29 03:00", "2026-03-29T03:00:00Z", "2026-03-29T01:00:00Z"},
        {"2026-10-25 01:59", "2026-10-25T01:59:00Z", "2026-10-24T23:59:00Z"},
        {"2026-10-25 03:00", "2026-10-25T03:00:00Z", "2026-10-25T02:00:00Z"},
        {"30000d", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"}, // before there was time
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct time_spec spec = {0};
        if (time_spec_parse(str_of(rows[i].text), &spec) < 0) {
            fail_at(__FILE__, __LINE__, "'%s' was refused\n", rows[i].text);
        }
        assert_i64(time_spec_resolve(&spec, &zone_utc, now, 7), at(rows[i].utc));
        assert_i64(time_spec_resolve(&spec, &berlin, now, 7), at(rows[i].berlin));
    }
    struct time_spec unset = {0};
    assert_i64(time_spec_resolve(&unset, &zone_utc, now, 7), 7);
}

static void test_time_spec_refuses(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "tomorrow",
        "-24h",
        "3600",
        "2026",
        "2026-13-01",
        "2026-02-30",
        "14:00",
        "2026-11-22T25:00",
        "2026-11-22 14",
        "2026-11-22T14:00:00 Europe/Berlin",
        "2026-11-22T14:00:00.000000000000000000000000000000000000000000000000000000000000Z",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct time_spec spec = {.kind = TIME_UNSET};
        if (time_spec_parse(str_of(rows[i]), &spec) == 0) {
            fail_at(__FILE__, __LINE__, "'%s' was taken\n", rows[i]);
        }
        assert_i64(spec.kind, TIME_UNSET);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_parse_fixed), TEST(test_parse_fixed_refuses),
                    TEST(test_hours_and_days), TEST(test_aligned), TEST(test_format),
                    TEST(test_format_hour), TEST(test_format_day_and_near), TEST(test_format_iso),
                    TEST(test_time_spec), TEST(test_time_spec_refuses));
}
