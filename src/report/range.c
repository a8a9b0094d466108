#include "report/range.h"

#include "base/time.h"

static size_t add(struct range_part *parts, size_t n, enum window_level level, int64_t from,
                  int64_t to)
{
    if (from >= to) {
        return n;
    }
    parts[n] = (struct range_part){level, from, to};
    return n + 1;
}

// The part of [from, to) that consists of whole steps before `rolled`; empty: from == to.
static struct range_part whole_steps(int64_t from, int64_t to, int64_t rolled, int64_t step)
{
    int64_t end = MAX(MIN(to, rolled), from); // rolled may be INT64_MIN
    int64_t first = time_ceil(from, step), last = time_floor(end, step);
    return first < last ? (struct range_part){.from = first, .to = last}
                        : (struct range_part){.from = to, .to = to};
}

// [from, to) of hours around whole days.
static size_t split_hours(int64_t from, int64_t to, enum window_level coarsest,
                          struct range_part *parts, size_t n)
{
    struct range_part days = {.from = to, .to = to};
    if (coarsest == LEVEL_DAY) {
        days = whole_steps(from, to, to, NS_PER_DAY);
    }
    n = add(parts, n, LEVEL_HOUR, from, days.from);
    n = add(parts, n, LEVEL_DAY, days.from, days.to);
    return add(parts, n, LEVEL_HOUR, days.to, to);
}

size_t range_split(int64_t from, int64_t to, int64_t rolled, enum window_level coarsest,
                   struct range_part parts[RANGE_PARTS_MAX])
{
    struct range_part hours = {.from = to, .to = to};
    if (coarsest != LEVEL_WINDOW) {
        hours = whole_steps(from, to, rolled, NS_PER_HOUR);
    }
    size_t n = add(parts, 0, LEVEL_WINDOW, from, hours.from);
    n = split_hours(hours.from, hours.to, coarsest, parts, n);
    return add(parts, n, LEVEL_WINDOW, hours.to, to);
}
