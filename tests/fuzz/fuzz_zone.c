// Time zones and the times that people type: a line with a zone, then a time.
#include "fuzz.h"

#include <assert.h>

#include "report/zone.h"

static const int64_t now = INT64_C(1795442400) * NS_PER_S; // 2026-11-23T14:00:00Z

// Written in the zone, a time reads back as the same instant.
static void check_written(const struct zone *z, int64_t t)
{
    struct buf b;
    int64_t back;
    buf_init(&b, 128);
    zone_format_iso(&b, z, t);
    assert(time_parse_iso(buf_view(&b), &back) == 0 && back == t);
    buf_clear(&b);
    zone_format(&b, z, t, now);
    zone_format_near(&b, z, t, now, now);
    assert(buf_ok(&b));
    buf_done(&b);
}

static void check_calendar(const struct zone *z, int64_t t)
{
    int64_t hour = zone_hour(z, t), day = zone_day(z, t), local = t + zone_offset(z, t);
    assert(hour <= t && t - hour < NS_PER_HOUR && day <= local && local - day < NS_PER_DAY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size}, first = STR_NONE;
    struct zone z = zone_utc;
    struct error err = {0};
    struct time_spec spec;
    str_split(&text, '\n', &first);
    if (zone_parse_fixed(first, &z, &err) == 0) {
        assert(z.fixed > -NS_PER_DAY && z.fixed < NS_PER_DAY && z.fixed % (60 * NS_PER_S) == 0);
    } else {
        assert(err.code < 0 && err.msg[0] != '\0');
    }
    if (time_spec_parse(str_present(text) ? text : first, &spec) == 0) {
        int64_t t = time_spec_resolve(&spec, &z, now, -1);
        assert(t >= 0 && t <= TIME_MAX);
        check_calendar(&z, t);
        if (t < TIME_MAX) {
            check_written(&z, t);
        }
    }
    return 0;
}
