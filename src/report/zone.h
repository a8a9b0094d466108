// Time zones of reports, and the times people type.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/time.h"

// How far local time is ahead of UTC at t, in ns.
struct zone {
    int64_t (*offset)(const struct zone *z, int64_t t);
    int64_t fixed;
    char name[48]; // "UTC", "+02:00", "Europe/Berlin"
};

extern const struct zone zone_utc;

// "UTC", "Z", "+02:00", "-0330". -EINVAL otherwise: names of places are the process's business,
// see zone_process().
int zone_parse_fixed(struct str text, struct zone *ret, struct error *err) GTAP_CHECK;

// The zone of the process (TZ, tzset()) under a name to show. Thread-safe while nobody sets TZ.
struct zone zone_process(struct str name);

// A place's zone from the system's database ("Europe/Berlin"), or what zone_parse_fixed takes.
// Owned by the arena; any number of them, in any threads. -EINVAL: no such zone, or no database
// here.
int zone_load(struct str name, struct arena *a, const struct zone **ret, struct error *err)
    GTAP_CHECK;

static inline int64_t zone_offset(const struct zone *z, int64_t t)
{
    return z->offset(z, t);
}

// Whether every offset within [from, to) is a multiple of `step`, looked at once a day.
bool zone_aligned(const struct zone *z, int64_t from, int64_t to, int64_t step);

// An hour or a day as it is called there, for sorting and for showing: the instant it begins
// (hours), its midnight as if local time were UTC (days).
int64_t zone_hour(const struct zone *z, int64_t t);
int64_t zone_day(const struct zone *z, int64_t t);

// When the step of local time that t is in begins. step divides a day: from an hour on steps begin
// at local midnight and at multiples of the step behind it, shorter ones at multiples in UTC.
int64_t zone_step(const struct zone *z, int64_t t, int64_t step);

// "22 Nov 14:00" or, when its year is not that of `now`, "22 Nov 2025 14:00"; seconds only where
// there are any.
void zone_format(struct buf *b, const struct zone *z, int64_t t, int64_t now);
void zone_format_day(struct buf *b, int64_t day, int64_t now); // of zone_day(): "22 Nov"
// Of zone_hour(): as zone_format, with the offset where the clock shows this hour twice, as in
// autumn: "25 Oct 02:00 +02:00".
void zone_format_hour(struct buf *b, const struct zone *z, int64_t hour, int64_t now);
// The time alone when `day_of` is of the same day, else as zone_format.
void zone_format_near(struct buf *b, const struct zone *z, int64_t t, int64_t day_of, int64_t now);
// "2026-11-22T14:00:00+01:00", with Z for UTC.
void zone_format_iso(struct buf *b, const struct zone *z, int64_t t);

// A time as it was typed. Which instant it means depends on the zone and on now.
struct time_spec {
    enum { TIME_UNSET, TIME_AGO, TIME_INSTANT, TIME_LOCAL, TIME_DAY } kind;
    int64_t ns; // before now, since the epoch, local time as if it were UTC, days before today
};

// "24h", "7d" (before now), "now", "today", "yesterday" (their midnights), "2026-11-23",
// "2026-11-23 14:00", "2026-11-23T14:00:00Z". Without a zone it is local time. -EINVAL otherwise: a
// number alone is refused, too.
int time_spec_parse(struct str text, struct time_spec *ret) GTAP_CHECK;

// The instant, or `unset` for TIME_UNSET. Within [0, TIME_MAX].
int64_t time_spec_resolve(const struct time_spec *spec, const struct zone *z, int64_t now,
                          int64_t unset);
