// When a made-up record may be delivered: at once, or as it would have come.
#pragma once

#include "input/input.h"

// Where made-up time begins when nobody says: the same every time, so that ids are too.
#define PACE_START_DEFAULT INT64_C(1704067200000000000) // 2024-01-01T00:00:00Z

struct pace {
    const struct input_env *env;
    double speed;     // event seconds a second; 0: at once
    int64_t interval; // ns between two deliveries; 0: each record when it is due
    bool started;
    struct mono begun; // when event time `origin` was
    int64_t origin;    // or the wall time then, where that is earlier
};

// Reads option speed=, else takes `otherwise`.
int pace_init(struct pace *p, const struct uri *uri, const struct input_env *env, double otherwise,
              struct error *err) GTAP_CHECK;

// The event time up to which records may be delivered now; INT64_MAX when unpaced. The first call
// starts the clock at event time `from`. Never ahead of the wall clock, so a replay that runs
// faster than time slows down when it has caught up with it.
int64_t pace_horizon(struct pace *p, int64_t from);

// Waits until a record of this event time is due, or as long as an input may.
void pace_wait(const struct pace *p, int64_t due);

// Option start=: a date, "now", or a time before now ("-1h"). Leaves *ret alone when not given.
int pace_start(const struct uri *uri, const struct input_env *env, int64_t *ret, struct error *err)
    GTAP_CHECK;

// -EINVAL when records of [start, start + duration) would be refused: beyond 2200, or, made up at
// once, more than an hour ahead of now.
int pace_check_end(const struct pace *p, const struct uri *uri, int64_t start, int64_t duration,
                   struct error *err) GTAP_CHECK;

// The help texts of these options, the same for all inputs.
#define PACE_OPTIONS                                                                               \
    {"start", "TIME", "event time of the beginning: a date, now, or a time ago like -1h"},         \
    {                                                                                              \
        "speed", "X", "X event seconds a second; without it as fast as possible"                   \
    }
