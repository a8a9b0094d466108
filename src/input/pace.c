#include "input/pace.h"

#include <errno.h>

#include "input/wait.h"
#include "model/validate.h"

#define SPEED_MAX 1e6
#define AHEAD_MAX_NS (INT64_C(10000) * NS_PER_DAY)

int pace_init(struct pace *p, const struct uri *uri, const struct input_env *env, double otherwise,
              struct error *err)
{
    *p = (struct pace){.env = env, .speed = otherwise};
    return uri_option_double(uri, "speed", 1e-3, SPEED_MAX, &p->speed, err);
}

int64_t pace_horizon(struct pace *p, int64_t from)
{
    if (p->speed <= 0) {
        return INT64_MAX;
    }
    struct mono now = clock_mono(p->env->clock);
    if (!p->started) {
        p->started = true;
        p->begun = now;
        p->origin = MIN(from, clock_wall(p->env->clock));
    }
    int64_t elapsed = now.ns - p->begun.ns;
    if (p->interval > 0) {
        elapsed = time_floor(elapsed, p->interval);
    }
    double ahead = (double)elapsed * p->speed;
    int64_t horizon = p->origin + (ahead < (double)AHEAD_MAX_NS ? (int64_t)ahead : AHEAD_MAX_NS);
    return MIN(horizon, clock_wall(p->env->clock));
}

void pace_wait(const struct pace *p, int64_t due)
{
    struct mono now = clock_mono(p->env->clock);
    double after = due > p->origin ? (double)(due - p->origin) / p->speed : 0;
    double most = (double)INPUT_WAIT_NS + (double)(now.ns - p->begun.ns);
    int64_t at = p->begun.ns + (after < most ? (int64_t)after + 1 : (int64_t)most);
    if (p->interval > 0) {
        at = p->begun.ns + time_ceil(at - p->begun.ns, p->interval);
    }
    int64_t wall_left = due - clock_wall(p->env->clock);
    input_wait(p->env, -1, MAX(at - now.ns, wall_left));
}

int pace_start(const struct uri *uri, const struct input_env *env, int64_t *ret, struct error *err)
{
    struct str s = uri_option(uri, "start");
    int64_t ago;
    if (!str_present(s)) {
        return 0;
    }
    if (str_eq(s, STR("now"))) {
        *ret = env->now_start;
        return 0;
    }
    if (str_starts(s, STR("-")) && duration_parse((struct str){s.p + 1, s.n - 1}, &ago) == 0 &&
        ago <= env->now_start) {
        *ret = env->now_start - ago;
        return 0;
    }
    if (time_parse_iso(s, ret) == 0) {
        return 0;
    }
    return error_set(err, -EINVAL,
                     "'" STR_FMT "': option start=" STR_FMT
                     " must be a date like 2026-11-23T14:00:00Z, now, or a time ago like -1h",
                     STR_ARG(uri->text), STR_ARG(s));
}

int pace_check_end(const struct pace *p, const struct uri *uri, int64_t start, int64_t duration,
                   struct error *err)
{
    int64_t end;
    bool over = __builtin_add_overflow(start, duration, &end) || end >= TIME_MAX;
    bool at_once = p->speed <= 0;
    if (over || (at_once && end > p->env->now_start + RECORD_AHEAD_MAX)) {
        return error_set(err, -EINVAL,
                         "'" STR_FMT "' ends more than an hour from now: give an earlier start=",
                         STR_ARG(uri->text));
    }
    return 0;
}
