#include "report/query.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "report/groups.h"
#include "report/range.h"

static int add_part(struct groups *b, struct store *s, const struct range_part *part,
                    struct error *err)
{
    struct window_query q = {part->level, part->from, part->to, .shard = -1};
    struct store_cursor *cursor;
    int r = store_windows(s, &q, &cursor, err);
    if (r < 0) {
        return r;
    }
    struct window_row row;
    while (!b->too_many && (r = store_windows_next(cursor, &row, err)) > 0) {
        if (row.final || b->report->query.provisional) {
            groups_add(b, &row);
        }
    }
    if (b->too_many) {
        r = error_set(err, -E2BIG,
                      "more than %zu groups: ask for a shorter time, a longer step or fewer "
                      "dimensions, or choose with filters",
                      b->report->query.max);
    }
    store_cursor_close(cursor);
    return r;
}

// The start of the first row of a level, INT64_MAX when there is none.
static int first_row(struct store *s, enum window_level level, int64_t *ret, struct error *err)
{
    struct window_query q = {level, 0, TIME_MAX, .shard = -1};
    struct store_cursor *cursor;
    int r = store_windows(s, &q, &cursor, err);
    if (r < 0) {
        return r;
    }
    struct window_row row;
    r = store_windows_next(cursor, &row, err);
    *ret = r > 0 ? row.window_start : INT64_MAX;
    store_cursor_close(cursor);
    return r < 0 ? r : 0;
}

// Where the rows begin. Windows may have been expired: then the first hour that is kept.
static int first_shown(struct store *s, int64_t *ret, struct error *err)
{
    int64_t window, hour;
    int r = first_row(s, LEVEL_WINDOW, &window, err);
    r = r < 0 ? r : first_row(s, LEVEL_HOUR, &hour, err);
    if (r == 0) {
        bool kept = window != INT64_MAX && time_floor(window, NS_PER_HOUR) <= hour;
        *ret = kept ? window : hour;
    }
    return r;
}

// How long the times of a dimension are; 0: it is no time.
static int64_t length_of(const struct report_query *q, enum report_dim d)
{
    switch (d) {
    case DIM_HOUR:
        return NS_PER_HOUR;
    case DIM_DAY:
        return NS_PER_DAY;
    case DIM_TIME:
        return q->step > 0 ? q->step : STEP_WINDOW;
    default:
        return 0;
    }
}

static enum window_level coarsest_level(const struct report *r, int64_t from, int64_t to)
{
    const struct report_query *q = &r->query;
    enum window_level level = LEVEL_DAY;
    for (size_t i = 0; i < q->n_by; i++) {
        int64_t length = length_of(q, q->by[i]);
        if (length == 0) {
            continue;
        }
        if (length % NS_PER_HOUR != 0 || !zone_aligned(q->zone, from, to, NS_PER_HOUR)) {
            return LEVEL_WINDOW;
        }
        if (length != NS_PER_DAY || !zone_aligned(q->zone, from, to, NS_PER_DAY)) {
            level = LEVEL_HOUR;
        }
    }
    return level;
}

static int64_t window_at(const struct settings_history *h, int64_t t)
{
    return h->n > 0 ? settings_at(h, t)->window_ns : settings_default.window_ns;
}

// Sets from and to: what to read, and what to show where that differs (an open range shows where
// the data begins and where it ends).
static int find_range(struct store *s, const struct store_info *info,
                      const struct settings_history *h, struct report *r, struct range_part *ret,
                      struct error *err)
{
    const struct report_query *q = &r->query;
    int64_t begin = 0, first = 0;
    if (q->from != INT64_MIN) {
        begin = time_floor(q->from, window_at(h, q->from));
    }
    int error = first_shown(s, &first, err);
    if (error < 0) {
        return error;
    }
    r->from = q->from != INT64_MIN ? begin : first != INT64_MAX ? first : info->first;
    int64_t last = q->to != INT64_MAX ? q->to : info->last + 1;
    r->to = MAX(time_ceil(last, window_at(h, last)), r->from);
    int64_t end = q->to != INT64_MAX ? r->to : TIME_MAX;
    if (!q->provisional) {
        end = MIN(end, r->final_until);
    }
    *ret = (struct range_part){.from = begin, .to = MAX(begin, end)};
    return 0;
}

static void find_splits(const struct settings_history *h, struct report *r)
{
    size_t first = 0, end = h->n;
    while (first + 1 < h->n && h->epochs[first + 1].effective_from <= r->from) {
        first++;
    }
    while (end > first + 1 && h->epochs[end - 1].effective_from >= r->to) {
        end--;
    }
    r->splits = h->n ? &h->epochs[first] : NULL;
    r->n_splits = end - first;
}

static int name_gpus(struct store *s, struct report *r, struct arena *a, struct error *err)
{
    struct gpu_info *infos;
    size_t n;
    int error = store_gpus(s, a, &infos, &n, err);
    size_t i = 0, k = 0; // both in canonical order
    while (error == 0 && i < r->n_gpus && k < n) {
        int order = gpu_key_cmp(&r->gpus[i].key, &infos[k].newest.gpu);
        if (order == 0) {
            r->gpus[i].name = infos[k].newest.name;
        }
        i += order <= 0;
        k += order >= 0;
    }
    return error;
}

static int read_rows(struct groups *b, struct store *s, const struct range_part *range,
                     struct error *err)
{
    struct range_part parts[RANGE_PARTS_MAX];
    enum window_level coarsest = coarsest_level(b->report, b->report->from, b->report->to);
    size_t n = range_split(range->from, range->to, b->report->final_until, coarsest, parts);
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = add_part(b, s, &parts[i], err);
    }
    return r;
}

static struct window_row taken_back(const struct window_row *row)
{
    struct window_row r = *row;
    int64_t *const sums[] = {&r.cost_nusd,        &r.cost_in_nusd,         &r.cost_out_nusd,
                             &r.prompt_tokens,    &r.cached_prompt_tokens, &r.completion_tokens,
                             &r.busy_ns,          &r.unpriced_ns,          &r.requests,
                             &r.unpriced_requests};
    for (size_t i = 0; i < ARRAY_LEN(sums); i++) {
        *sums[i] = -*sums[i];
    }
    return r;
}

static void add_correction(struct groups *b, const struct correction *c,
                           const struct range_part *range)
{
    const struct report_query *q = &b->report->query;
    if (c->row.window_start >= range->from && c->row.window_start < range->to) {
        struct window_row before = taken_back(&c->row);
        groups_add(b, &before);
    }
    if (c->settled_at >= q->from && c->settled_at < q->to) {
        b->settled = billing_month(c->settled_at);
        groups_add(b, &c->row);
        b->settled = INT64_MIN;
    }
}

static int read_corrections(struct groups *b, struct store *s, const struct range_part *range,
                            struct error *err)
{
    struct store_cursor *cursor;
    struct correction c;
    int r = store_corrections(s, INT64_MIN, INT64_MAX, &cursor, err);
    if (r < 0) {
        return r;
    }
    while ((r = store_corrections_next(cursor, &c, err)) > 0) {
        add_correction(b, &c, range);
    }
    store_cursor_close(cursor);
    return r;
}

static int load(struct store *s, const struct report_query *q, const struct store_info *info,
                struct arena *a, struct report *ret, struct error *err)
{
    struct settings_history history;
    struct range_part range;
    int r = store_settings(s, a, &history, err);
    if (r < 0) {
        return r;
    }
    *ret = (struct report){
        .query = *q,
        .final_until = info->final_until,
        .first = info->first,
        .last = info->last,
        .empty = info->first == INT64_MAX,
    };
    if (ret->empty) {
        return 0;
    }
    r = find_range(s, info, &history, ret, &range, err);
    if (r < 0) {
        return r;
    }
    find_splits(&history, ret);
    struct groups b;
    groups_init(&b, ret, a);
    r = read_rows(&b, s, &range, err);
    r = r == 0 && q->corrections ? read_corrections(&b, s, &range, err) : r;
    groups_finish(&b);
    groups_done(&b);
    return r < 0 ? r : name_gpus(s, ret, a, err);
}

static void drop_hidden(struct report *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        if (!r->rows[i].hidden) {
            if (kept < i) {
                r->rows[kept] = r->rows[i];
            }
            kept++;
        }
    }
    r->n_rows = kept;
}

static int load_more(struct store *s, const struct store_info *info, report_more_fn *more,
                     struct arena *a, struct report *ret, struct error *err)
{
    struct report_query queries[REPORT_MORE_MAX];
    size_t n = more(ret, queries);
    struct report *list = arena_alloc(a, REPORT_MORE_MAX * sizeof(*list));
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = load(s, &queries[i], info, a, &list[i], err);
    }
    ret->more = list;
    ret->n_more = n;
    return r;
}

static void arrange(struct report *r, struct arena *a)
{
    if (!r->empty && !r->query.corrections) {
        report_spread_loaded(r);
        drop_hidden(r);
        report_order(r);
        report_fold(r, a);
    }
    for (size_t i = 0; i < r->n_more; i++) {
        arrange(&r->more[i], a);
    }
}

int report_load_more(struct store *s, const struct report_query *q, report_more_fn *more,
                     struct arena *a, struct report *ret, struct error *err)
{
    struct store_info info;
    int r = store_hold(s, err);
    if (r < 0) {
        return r;
    }
    r = store_info(s, &info, err);
    r = r < 0 ? r : load(s, q, &info, a, ret, err);
    if (r == 0 && more) {
        r = load_more(s, &info, more, a, ret, err);
    }
    store_release(s);
    if (r == 0) {
        arrange(ret, a);
    }
    return r;
}

int report_load(struct store *s, const struct report_query *q, struct arena *a, struct report *ret,
                struct error *err)
{
    return report_load_more(s, q, NULL, a, ret, err);
}
