// Zones of the system's database, compared with the C library's own reading of it.
#include <errno.h>
#include <time.h>

#include "report/zone.h"

#include "test.h"
#include <unistd.h>

#define AN_ODD_WHILE (INT64_C(2971017) * NS_PER_S) // some 34 days: all hours and seasons come by

static void compare(const char *name, struct arena *a)
{
    const struct zone *z;
    struct error err = {0};
    assert_ok(zone_load(str_of(name), a, &z, &err), &err);
    assert_string_equal(z->name, name);
    setenv("TZ", name, 1);
    tzset();
    struct zone process = zone_process(str_of(name));
    for (int64_t t = 0; t < TIME_MAX; t += AN_ODD_WHILE) {
        if (zone_offset(z, t) != zone_offset(&process, t)) {
            fail_msg("%s at %lld: %lld, not %lld", name, (long long)t, (long long)zone_offset(z, t),
                     (long long)zone_offset(&process, t));
        }
    }
}

static void test_same_as_library(void **state)
{
    (void)state;
    // Summer in the south, half an hour of it, negative summer time, hours beyond a day, none.
    static const char *const names[] = {
        "Europe/Berlin",    "America/New_York", "Australia/Lord_Howe", "Europe/Dublin",
        "America/Nuuk",     "Asia/Jerusalem",   "America/Santiago",    "Asia/Kathmandu",
        "America/St_Johns", "Pacific/Apia",     "Africa/Casablanca",   "Etc/GMT+3",
    };
    struct arena a = {0};
    if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0) {
        print_message("skipped: there is no time zone database here\n");
        skip();
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        compare(names[i], &a);
    }
    arena_done(&a);
}

static void test_fixed(void **state)
{
    (void)state;
    struct arena a = {0};
    const struct zone *z;
    assert_ok(zone_load(STR("UTC"), &a, &z, NULL), NULL);
    assert_i64(zone_offset(z, 0), 0);
    assert_ok(zone_load(STR("+05:30"), &a, &z, NULL), NULL);
    assert_i64(zone_offset(z, 0), 330 * 60 * NS_PER_S);
    arena_done(&a);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"",         "Europe",      "Europe/",      "Nowhere/Town",
                                        "../etc",   "/etc/passwd", "Europe//Rome", "zone.tab",
                                        "tzdata.zi"};
    struct arena a = {0};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct zone *z;
        struct error err = {0};
        assert_i64(zone_load(str_of(names[i]), &a, &z, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "is no time zone"));
    }
    arena_done(&a);
}

int main(void)
{
    return TEST_RUN(TEST(test_same_as_library), TEST(test_fixed), TEST(test_refused));
}
