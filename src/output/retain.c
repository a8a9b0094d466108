#include "output/retain.h"

#include "base/time.h"

static int64_t unsettled_from(uint32_t shard, const struct unsettled_range *unsettled, size_t n)
{
    int64_t from = INT64_MAX;
    for (size_t i = 0; i < n; i++) {
        if (unsettled[i].shard == shard) {
            from = MIN(from, unsettled[i].from);
        }
    }
    return from;
}

int64_t retain_base(const struct shard_state *s, const struct unsettled_range *unsettled, size_t n)
{
    int64_t computed = MIN(s->frontier, s->oldest_pending);
    return MIN(computed, unsettled_from(s->shard, unsettled, n));
}

static int64_t margin_of(const struct settings_history *h)
{
    int64_t margin = 0;
    for (size_t i = 0; i < h->n; i++) {
        margin = MAX(margin, 2 * h->epochs[i].gpu_timeout_ns + h->epochs[i].window_ns);
    }
    if (h->n == 0) {
        margin = 2 * settings_default.gpu_timeout_ns + settings_default.window_ns;
    }
    return margin;
}

int64_t retain_records_from(const struct settings_history *h, int64_t oldest_start)
{
    int64_t margin = margin_of(h);
    return oldest_start < INT64_MIN + margin ? INT64_MIN : oldest_start - margin;
}

int64_t retain_open_from(const struct settings_history *h, int64_t raw_from)
{
    return raw_from == INT64_MIN ? INT64_MIN : raw_from + margin_of(h);
}

int64_t retain_windows_from(const struct shard_state *s, const struct unsettled_range *unsettled,
                            size_t n)
{
    int64_t settled = MIN(s->frontier, unsettled_from(s->shard, unsettled, n));
    return settled < 0 ? INT64_MIN : time_floor(settled, NS_PER_HOUR);
}
