#include "report/seek.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/sort.h"
#include "base/time.h"
#include "cost/ranges.h"

// Days are asked for in growing numbers. Of what no engine has taken in yet so many requests are
// looked at one by one; where there are more, every time may hold one.
enum { DAYS_MAX = 64, HOURS_OF_A_DAY = 24, UNSEEN_MAX = 50000 };

#define MINUTE_NS (60 * NS_PER_S)

struct span {
    int64_t from, to;
};

struct seek {
    struct store *store;
    const struct seek_query *q;
    const struct seek_visitor *v;
    struct error *err;
    struct store_info info;
    struct arena told;
    struct settings_history settings;
    struct ranges raw;  // what rows do not tell
    int64_t *frontiers; // of shards: the hours and days that they fall into are not rolled up
    size_t n_frontiers;
    bool rows_tell; // of such requests, rows tell where they are
    size_t unseen, rows;
    struct span *spans; // of the hour at hand
    size_t n_spans, cap_spans;
};

// ---- what rows do not tell -----------------------------------------------------------------

static bool rows_tell(const struct seek_query *q)
{
    bool few = q->filter == RECORDS_UNPLACED || q->filter == RECORDS_UNPRICED;
    bool whose = q->match && q->match->models.n + q->match->tenants.n > 0;
    return few || (q->filter == RECORDS_ALL && (whose || q->n_gpus > 0 || q->hosts.n > 0));
}

static int add_unseen(struct seek *k, uint32_t shard, int64_t from, int64_t to)
{
    struct record_query q = {.kind = RECORD_USAGE,
                             .order = RECORDS_BY_SEQ,
                             .from = from,
                             .to = to,
                             .shard = shard,
                             .match = k->q->match};
    struct store_cursor *c = NULL;
    struct stored_record row;
    int r = store_records(k->store, &q, &c, k->err);
    while (r >= 0 && k->unseen <= UNSEEN_MAX && (r = store_records_next(c, &row, k->err)) > 0) {
        int64_t start = usage_start(&row.record.usage);
        int64_t minute = time_floor(start, MINUTE_NS); // so that they are few ranges
        ranges_add(&k->raw, minute, minute + MINUTE_NS);
        k->unseen++;
    }
    store_cursor_close(c);
    return MIN(r, 0);
}

static int add_all_unseen(struct seek *k, const struct shard_state *s)
{
    const struct shard_gaps *gaps = &s->gaps[RECORD_USAGE];
    int r = 0;
    for (size_t i = 0; i < gaps->n && r == 0; i++) {
        r = add_unseen(k, s->shard, gaps->v[i].from, gaps->v[i].to);
    }
    if (r == 0 && s->usage_seen < INT64_MAX) {
        r = add_unseen(k, s->shard, s->usage_seen + 1, INT64_MAX);
    }
    return r;
}

// From the frontier on, and from the start of what is open at it.
static int add_shard(struct seek *k, uint32_t shard)
{
    struct shard_state s;
    int r = store_shard(k->store, shard, &s, k->err);
    if (r < 0) {
        return r;
    }
    int64_t newest = MIN(s.newest, INT64_MAX - 1);
    ranges_add(&k->raw, MIN(s.frontier, s.oldest_pending), newest + 1);
    k->frontiers[k->n_frontiers++] = s.frontier;
    return add_all_unseen(k, &s);
}

static int add_unsettled(struct seek *k)
{
    struct unsettled_range *ranges = NULL;
    size_t n = 0;
    int r = store_unsettled(k->store, &k->told, &ranges, &n, k->err);
    for (size_t i = 0; i < n && r == 0; i++) {
        ranges_add(&k->raw, ranges[i].from - k->info.longest_usage_ns, ranges[i].to);
    }
    return r;
}

static int find_raw(struct seek *k)
{
    if (!k->rows_tell && k->q->filter != RECORDS_OPEN) {
        ranges_add(&k->raw, k->q->from, k->q->to);
        return 0;
    }
    k->frontiers = x_array(k->info.n_shards, sizeof(k->frontiers[0]));
    int r = add_unsettled(k);
    for (uint32_t i = 0; i < k->info.n_shards && r == 0; i++) {
        r = add_shard(k, i);
    }
    if (k->unseen > UNSEEN_MAX) {
        ranges_add(&k->raw, k->q->from, k->q->to);
    }
    return r;
}

static bool is_raw(const struct seek *k, int64_t from, int64_t to, bool whole)
{
    for (size_t i = 0; i < k->raw.n; i++) {
        const struct time_range *r = &k->raw.v[i];
        if (whole ? r->from <= from && r->to >= to : r->from < to && r->to > from) {
            return true;
        }
    }
    return false;
}

// Whether rows of this hour or day are missing in some shard.
static bool is_broken(const struct seek *k, int64_t from, int64_t to)
{
    for (size_t i = 0; i < k->n_frontiers; i++) {
        if (k->frontiers[i] > from && k->frontiers[i] < to) {
            return true;
        }
    }
    return false;
}

// ---- rows ----------------------------------------------------------------------------------

static bool on_gpus(const struct seek_query *q, const struct gpu_key *gpu)
{
    for (size_t i = 0; i < q->n_gpus; i++) {
        if (gpu_key_cmp(&q->gpus[i], gpu) == 0) {
            return true;
        }
    }
    return q->n_gpus == 0;
}

// Whether requests of the query may stand behind a row. *ret_ends: it tells where they end.
static bool row_hits(const struct seek_query *q, const struct window_row *row, bool *ret_ends)
{
    bool unpriced = q->filter == RECORDS_UNPRICED;
    *ret_ends = unpriced || row->kind == ROW_UNPLACED;
    if (row->kind == ROW_UNPLACED) { // it does not say their host
        return !unpriced && q->n_gpus == 0;
    }
    if (row->kind != ROW_USAGE || q->filter == RECORDS_UNPLACED ||
        !str_list_takes(&q->hosts, row->gpu.host)) {
        return false;
    }
    // Requests are counted on their first GPU, whichever it is.
    return unpriced ? row->unpriced_requests > 0 : on_gpus(q, &row->gpu);
}

static int each_hit(struct seek *k, enum window_level level, int64_t from, int64_t to,
                    void (*f)(struct seek *k, int64_t start, bool ends, void *ctx), void *ctx)
{
    const struct store_match *m = k->q->match;
    const struct window_query q = {.level = level, .from = from, .to = to, .shard = -1};
    struct store_cursor *c = NULL;
    struct window_row row;
    bool whose = m && m->models.n + m->tenants.n > 0, ends;
    int r = store_windows_of(k->store, &q, whose ? m : NULL, &c, k->err);
    while (r >= 0 && (r = store_windows_next(c, &row, k->err)) > 0) {
        k->rows++;
        if (row_hits(k->q, &row, &ends)) {
            f(k, row.window_start, ends, ctx);
        }
    }
    store_cursor_close(c);
    return r;
}

// ---- an hour -------------------------------------------------------------------------------

static void add_span(struct seek *k, int64_t from, int64_t to)
{
    ARRAY_RESERVE(k->spans, k->n_spans, k->cap_spans);
    k->spans[k->n_spans++] = (struct span){from, to};
}

static void add_row_span(struct seek *k, int64_t start, bool ends, void *ctx)
{
    const int64_t *hour = ctx; // NULL: the row is of a window
    int64_t window =
        k->settings.n ? settings_at(&k->settings, start)->window_ns : settings_default.window_ns;
    add_span(k, ends ? start - k->info.longest_usage_ns : start, start + (hour ? *hour : window));
}

static bool later(const struct span *a, const struct span *b)
{
    return a->to != b->to ? a->to > b->to : a->from < b->from;
}
DEFINE_SORT(sort_spans, struct span, later);

// Newest first; those that touch as one.
static int look_at_spans(struct seek *k)
{
    struct span *scratch AUTO_FREE = x_array(k->n_spans + 1, sizeof(*scratch));
    int r = 0;
    sort_spans(k->spans, k->n_spans, scratch);
    for (size_t i = 0, next; i < k->n_spans && r == 0; i = next) {
        struct span s = k->spans[i];
        for (next = i + 1; next < k->n_spans && k->spans[next].to >= s.from; next++) {
            s.from = MIN(s.from, k->spans[next].from);
        }
        r = k->v->look(k->v->ctx, s.from, s.to, k->err);
    }
    return r;
}

static int passed(struct seek *k, int64_t t)
{
    size_t rows = k->rows;
    k->rows = 0;
    return k->v->passed(k->v->ctx, t, rows);
}

static int seek_hour(struct seek *k, int64_t hour)
{
    int64_t end = hour + NS_PER_HOUR, length = NS_PER_HOUR;
    bool expired = hour < k->info.windows_from;
    int r = 0;
    k->n_spans = 0;
    for (size_t i = 0; i < k->raw.n; i++) {
        int64_t from = MAX(k->raw.v[i].from, hour), to = MIN(k->raw.v[i].to, end);
        if (from < to) {
            add_span(k, from, to);
        }
    }
    if (k->rows_tell && expired) {
        r = each_hit(k, LEVEL_HOUR, hour, end, add_row_span, &length);
    }
    bool windows = k->rows_tell && !is_raw(k, hour, end, true);
    if (r == 0 && windows && (!expired || is_broken(k, hour, end))) {
        r = each_hit(k, LEVEL_WINDOW, hour, end, add_row_span, NULL);
    }
    r = r < 0 ? r : look_at_spans(k);
    return r ? r : passed(k, hour);
}

// ---- days ----------------------------------------------------------------------------------

struct marks {
    int64_t from, length;
    bool hit[DAYS_MAX];
};

static void mark(struct seek *k, int64_t start, bool ends, void *ctx)
{
    struct marks *m = ctx;
    (void)k, (void)ends;
    m->hit[(start - m->from) / m->length] = true;
}

static int seek_hours(struct seek *k, int64_t day)
{
    struct marks hours = {.from = day, .length = NS_PER_HOUR};
    int r = k->rows_tell ? each_hit(k, LEVEL_HOUR, day, day + NS_PER_DAY, mark, &hours) : 0;
    for (int i = HOURS_OF_A_DAY - 1; i >= 0 && r == 0; i--) {
        int64_t hour = day + i * NS_PER_HOUR, end = hour + NS_PER_HOUR;
        bool broken = k->rows_tell && is_broken(k, hour, end);
        if (hour < k->q->to && end > k->q->from &&
            (hours.hit[i] || broken || is_raw(k, hour, end, false))) {
            r = seek_hour(k, hour);
        }
    }
    return r;
}

static int seek_day(struct seek *k, int64_t day, bool hit)
{
    int64_t end = day + NS_PER_DAY;
    int r = 0;
    if (is_raw(k, MAX(day, k->q->from), MIN(end, k->q->to), true)) {
        r = k->v->look(k->v->ctx, day, end, k->err);
    } else if (hit || is_raw(k, day, end, false) || (k->rows_tell && is_broken(k, day, end))) {
        r = seek_hours(k, day);
    }
    return r ? r : passed(k, day);
}

// The days [from, to), newest first.
static int seek_days(struct seek *k, int64_t from, int64_t to)
{
    struct marks days = {.from = from, .length = NS_PER_DAY};
    int r = k->rows_tell ? each_hit(k, LEVEL_DAY, from, to, mark, &days) : 0;
    for (int64_t day = to - NS_PER_DAY; day >= from && r == 0; day -= NS_PER_DAY) {
        r = seek_day(k, day, days.hit[(day - from) / NS_PER_DAY]);
    }
    return r;
}

static int seek_all(struct seek *k)
{
    int64_t from = time_floor(k->q->from, NS_PER_DAY), step = 1;
    int r = 0;
    for (int64_t to = time_ceil(k->q->to, NS_PER_DAY); to > from && r == 0;) {
        int64_t begin = MAX(to - step * NS_PER_DAY, from);
        r = seek_days(k, begin, to);
        to = begin;
        step = MIN(2 * step, DAYS_MAX);
    }
    return r;
}

int seek(struct store *s, const struct seek_query *q, const struct seek_visitor *v,
         struct error *err)
{
    struct seek k = {.store = s, .q = q, .v = v, .err = err, .rows_tell = rows_tell(q)};
    struct seek_query cut = *q;
    int r = store_info(s, &k.info, err);
    if (r == 0) { // no request begins before or after all that is stored
        cut.from = MAX(q->from, k.info.first);
        int64_t last = MIN(k.info.last, INT64_MAX - 1);
        cut.to = MIN(q->to, last + 1);
        k.q = &cut;
        r = store_settings(s, &k.told, &k.settings, err);
    }
    if (r == 0 && cut.from < cut.to) {
        r = find_raw(&k);
        r = r ? r : seek_all(&k);
    }
    ranges_done(&k.raw);
    free(k.frontiers);
    free(k.spans);
    arena_done(&k.told);
    return r;
}
