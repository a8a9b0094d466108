#include "report/zone.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

enum { DATE_LENGTH = 10, DATE_TIME_LENGTH = 16, CLOCK_TEXT_MAX = 64 };

static int64_t fixed_offset(const struct zone *z, int64_t t)
{
    (void)t;
    return z->fixed;
}

static int64_t process_offset(const struct zone *z, int64_t t)
{
    (void)z;
    time_t seconds = time_floor(t, NS_PER_S) / NS_PER_S;
    struct tm tm;
    return localtime_r(&seconds, &tm) ? tm.tm_gmtoff * NS_PER_S : 0;
}

const struct zone zone_utc = {.offset = fixed_offset, .name = "UTC"};

int zone_parse_fixed(struct str text, struct zone *ret, struct error *err)
{
    if (str_eq(text, STR("UTC")) || str_eq(text, STR("Z"))) {
        *ret = zone_utc;
        return 0;
    }
    // The ISO parser knows offsets: noon there, seen from UTC.
    char noon[CLOCK_TEXT_MAX];
    int64_t t, noon_utc = NS_PER_DAY + NS_PER_DAY / 2;
    bool sign = text.n > 1 && (text.p[0] == '+' || text.p[0] == '-');
    snprintf(noon, sizeof(noon), "1970-01-02T12:00:00" STR_FMT, STR_ARG(text));
    if (!sign || time_parse_iso(str_of(noon), &t) < 0) {
        return error_set(err, -EINVAL, "'" STR_FMT "' is no time zone", STR_ARG(text));
    }
    *ret = (struct zone){.offset = fixed_offset, .fixed = noon_utc - t};
    snprintf(ret->name, sizeof(ret->name), STR_FMT, STR_ARG(text));
    return 0;
}

struct zone zone_process(struct str name)
{
    struct zone z = {.offset = process_offset};
    snprintf(z.name, sizeof(z.name), STR_FMT, STR_ARG(name));
    return z;
}

bool zone_aligned(const struct zone *z, int64_t from, int64_t to, int64_t step)
{
    for (int64_t t = from; t < to; t += NS_PER_DAY) {
        if (zone_offset(z, t) % step != 0) {
            return false;
        }
    }
    return zone_offset(z, to) % step == 0;
}

int64_t zone_hour(const struct zone *z, int64_t t)
{
    int64_t offset = zone_offset(z, t);
    return time_floor(t + offset, NS_PER_HOUR) - offset;
}

int64_t zone_day(const struct zone *z, int64_t t)
{
    return time_floor(t + zone_offset(z, t), NS_PER_DAY);
}

// The offset at the instant itself, found from that at its neighbour: right but in the hour that a
// clock change skips or repeats.
static int64_t from_local(const struct zone *z, int64_t local)
{
    int64_t near = local - zone_offset(z, local);
    return local - zone_offset(z, near);
}

int64_t zone_step(const struct zone *z, int64_t t, int64_t step)
{
    if (step < NS_PER_HOUR) {
        return time_floor(t, step);
    }
    if (step == NS_PER_HOUR) { // one that the clock shows twice is two
        return zone_hour(z, t);
    }
    return from_local(z, time_floor(t + zone_offset(z, t), step));
}

static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void zone_format_day(struct buf *b, int64_t day, int64_t now)
{
    struct civil c = time_civil(day);
    buf_printf(b, "%d %s", c.day, months[c.month - 1]);
    if (c.year != time_civil(now).year) {
        buf_printf(b, " %d", c.year);
    }
}

static void format_clock(struct buf *b, struct civil c)
{
    buf_printf(b, "%02d:%02d", c.hour, c.minute);
    if (c.second != 0) {
        buf_printf(b, ":%02d", c.second);
    }
}

void zone_format(struct buf *b, const struct zone *z, int64_t t, int64_t now)
{
    int64_t local = t + zone_offset(z, t);
    zone_format_day(b, local, now + zone_offset(z, now));
    buf_char(b, ' ');
    format_clock(b, time_civil(local));
}

void zone_format_near(struct buf *b, const struct zone *z, int64_t t, int64_t day_of, int64_t now)
{
    if (zone_day(z, t) == zone_day(z, day_of)) {
        format_clock(b, time_civil(t + zone_offset(z, t)));
    } else {
        zone_format(b, z, t, now);
    }
}

static void format_offset(struct buf *b, int64_t offset)
{
    int minutes = (int)(offset / (60 * NS_PER_S)), size = minutes < 0 ? -minutes : minutes;
    buf_printf(b, "%c%02d:%02d", minutes < 0 ? '-' : '+', size / 60, size % 60);
}

void zone_format_iso(struct buf *b, const struct zone *z, int64_t t)
{
    int64_t offset = zone_offset(z, t);
    time_format_iso(b, t + offset);
    if (z->offset == fixed_offset && offset == 0) {
        return;
    }
    b->n -= b->n > 0; // the Z
    format_offset(b, offset);
}

void zone_format_hour(struct buf *b, const struct zone *z, int64_t hour, int64_t now)
{
    int64_t offset = zone_offset(z, hour);
    bool again = zone_offset(z, hour - NS_PER_HOUR) - offset == NS_PER_HOUR;
    bool to_come = offset - zone_offset(z, hour + NS_PER_HOUR) == NS_PER_HOUR;
    zone_format(b, z, hour, now);
    if (again || to_come) {
        buf_char(b, ' ');
        format_offset(b, offset);
    }
}

// A date and time is complete at "2026-11-23T14:00:00"; what follows but a fraction is a zone.
static bool names_zone(struct str s)
{
    size_t at = DATE_LENGTH + 1;
    while (at < s.n && s.p[at] != 'Z' && s.p[at] != 'z' && s.p[at] != '+' && s.p[at] != '-') {
        at++;
    }
    return at < s.n;
}

static bool ends_in_digit(struct str s)
{
    return s.n > 0 && s.p[s.n - 1] >= '0' && s.p[s.n - 1] <= '9';
}

// A number alone would be seconds as a duration and a year to most readers: it is neither.
static bool is_ago(struct str text, int64_t *ret)
{
    return !ends_in_digit(text) && duration_parse(text, ret) == 0;
}

int time_spec_parse(struct str text, struct time_spec *ret)
{
    struct time_spec spec = {.kind = TIME_AGO};
    char full[CLOCK_TEXT_MAX];
    if (str_eq(text, STR("now")) || is_ago(text, &spec.ns)) {
        *ret = spec;
        return 0;
    }
    if (str_eq(text, STR("today")) || str_eq(text, STR("yesterday"))) {
        *ret = (struct time_spec){.kind = TIME_DAY, .ns = text.p[0] == 'y'};
        return 0;
    }
    const char *seconds = text.n == DATE_TIME_LENGTH ? ":00" : "";
    if (text.n >= sizeof(full) - 3) {
        return -EINVAL;
    }
    snprintf(full, sizeof(full), STR_FMT "%s", STR_ARG(text), seconds);
    spec.kind = names_zone(text) ? TIME_INSTANT : TIME_LOCAL;
    int r = time_parse_iso(str_of(full), &spec.ns);
    if (r == 0) {
        *ret = spec;
    }
    return r;
}

static int64_t clamp_time(int64_t t)
{
    return t < 0 ? 0 : MIN(t, TIME_MAX);
}

int64_t time_spec_resolve(const struct time_spec *spec, const struct zone *z, int64_t now,
                          int64_t unset)
{
    switch (spec->kind) {
    case TIME_AGO:
        return clamp_time(spec->ns > now ? 0 : now - spec->ns);
    case TIME_INSTANT:
        return spec->ns;
    case TIME_LOCAL:
        return clamp_time(from_local(z, spec->ns));
    case TIME_DAY:
        return clamp_time(from_local(z, zone_day(z, now) - spec->ns * NS_PER_DAY));
    case TIME_UNSET:
        break;
    }
    return unset;
}
