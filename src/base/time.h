// Time: event and wall time are int64 nanoseconds since the Unix epoch (UTC, no leap seconds);
// the monotonic clock is another type, so that the two cannot mix. The engine reads no clock:
// whoever needs "now" is handed a struct clock, and tests hand out their own. Everything here is
// thread-safe; calendars are proleptic Gregorian, and no time zone database is read.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define NS_PER_HOUR (3600 * NS_PER_S)
#define NS_PER_DAY (24 * NS_PER_HOUR)

// The last instant gtap takes: 2200-01-01T00:00:00Z. Keeps every sum of a few times in int64.
#define TIME_MAX INT64_C(7258118400000000000)

struct mono {
    int64_t ns;
};

// Where "now" comes from.
struct clock {
    int64_t (*wall)(const struct clock *c);     // ns since the epoch; may jump
    struct mono (*mono)(const struct clock *c); // never goes back
};
extern const struct clock clock_system;

static inline int64_t clock_wall(const struct clock *c)
{
    return c->wall(c);
}
static inline struct mono clock_mono(const struct clock *c)
{
    return c->mono(c);
}

// ISO 8601 / RFC 3339: "2026-11-23T14:00:00[.fraction][Z|+hh:mm|-hh:mm|+hhmm]"; a space may stand
// for the T; a date alone is its midnight; no zone means UTC; digits past the ninth are cut.
// Dates that do not exist are refused. -EINVAL, or -ERANGE outside [1970, 2200).
int time_parse_iso(struct str s, int64_t *ret) GTAP_CHECK;

// "2026-11-23T14:00:00Z", with 3, 6 or 9 decimals when they are needed to be exact.
void time_format_iso(struct buf *b, int64_t t);

// Durations: "250ms", "90s", "5m", "24h", "7d", "1h30m", or a bare number of seconds; non-negative.
int duration_parse(struct str s, int64_t *ret) GTAP_CHECK;
void duration_format(struct buf *b, int64_t ns); // "5m", "1h30m", "250ms": parses back exactly

// Calendar parts of t in UTC.
struct civil {
    int year, month, day, hour, minute, second;
};
struct civil time_civil(int64_t t);
int64_t time_from_civil(struct civil c);

// t rounded down / up to a multiple of step (step > 0).
static inline int64_t time_floor(int64_t t, int64_t step)
{
    int64_t r = t % step;
    return t - (r < 0 ? r + step : r);
}
static inline int64_t time_ceil(int64_t t, int64_t step)
{
    int64_t f = time_floor(t, step);
    return f == t ? t : f + step;
}
