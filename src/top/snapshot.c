#include "top/snapshot.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/intern.h"

enum { KEY_MAX = 16 * 1024 };

static const struct {
    const char *name, *text;
    int64_t ns;
} windows[TOP_WINDOWS] = {
    [TOP_1M] = {"1m", "last 1 min", 60 * NS_PER_S},
    [TOP_5M] = {"5m", "last 5 min", 300 * NS_PER_S},
    [TOP_1H] = {"1h", "last 1 h", NS_PER_HOUR},
    [TOP_24H] = {"24h", "last 24 h", NS_PER_DAY},
    [TOP_TODAY] = {"today", "today", 0},
};

static const struct {
    const char *name;
    enum report_dim dims[2];
    size_t n;
} groups[TOP_GROUPS] = {
    [TOP_BY_MODEL_TENANT] = {"model/tenant", {DIM_MODEL, DIM_TENANT}, 2},
    [TOP_BY_MODEL] = {"model", {DIM_MODEL}, 1},
    [TOP_BY_TENANT] = {"tenant", {DIM_TENANT}, 1},
    [TOP_BY_GPU_MODEL] = {"gpu/model", {DIM_GPU, DIM_MODEL}, 2},
};

const char *top_window_name(enum top_window w)
{
    return windows[w].name;
}

const char *top_window_text(enum top_window w)
{
    return windows[w].text;
}

const char *top_group_name(enum top_group g)
{
    return groups[g].name;
}

size_t top_group_dims(enum top_group g, enum report_dim ret[2])
{
    memcpy(ret, groups[g].dims, sizeof(groups[g].dims));
    return groups[g].n;
}

int64_t top_window_from(enum top_window w, const struct zone *z, int64_t at)
{
    if (windows[w].ns > 0) {
        return MAX(at - windows[w].ns, INT64_C(0));
    }
    int64_t day = zone_day(z, at), begin = day - zone_offset(z, at);
    return MAX(day - zone_offset(z, begin), INT64_C(0)); // the clocks may have changed since
}

void top_snapshot_init(struct top_snapshot *s, const struct top_ask *ask, int64_t at)
{
    *s = (struct top_snapshot){
        .ask = *ask,
        .at = at,
        .from = top_window_from(ask->window, ask->zone, at),
        .to = at,
        .final_until = INT64_MIN,
        .newest = INT64_MIN,
        .stale_ns = settings_default.max_gap_ns,
    };
}

void top_snapshot_free(struct top_snapshot *s)
{
    if (s) {
        arena_done(&s->arena);
        free(s);
    }
}

void top_totals(struct report *r)
{
    memset(r->kinds, 0, sizeof(r->kinds));
    for (size_t i = 0; i < r->n_rows; i++) {
        sums_add(&r->kinds[r->rows[i].kind], &r->rows[i].sums);
    }
    r->bill = r->kinds[ROW_USAGE];
    sums_add(&r->bill, &r->kinds[ROW_IDLE]);
    sums_add(&r->bill, &r->kinds[ROW_UNATTRIBUTED]);
}

static bool find_dims(const struct report *from, const enum report_dim *dims, size_t n, size_t *ret)
{
    for (size_t i = 0; i < n; i++) {
        ret[i] = 0;
        while (ret[i] < from->query.n_by && from->query.by[ret[i]] != dims[i]) {
            ret[i]++;
        }
        if (ret[i] == from->query.n_by) {
            return false;
        }
    }
    return true;
}

// The group of a row, made when it is new.
static struct report_row *group_of(struct intern *keys, struct buf *key, struct report *to,
                                   const struct report_row *row, const size_t *at)
{
    buf_clear(key);
    buf_char(key, (char)row->kind);
    for (size_t i = 0; i < to->query.n_by; i++) {
        struct str text = row->values[at[i]].text;
        buf_char(key, str_present(text));
        buf_add(key, &text.n, sizeof(text.n));
        buf_str(key, text);
    }
    uint32_t id = intern_id(keys, buf_view(key));
    struct report_row *group = &to->rows[id];
    if (id == to->n_rows) {
        to->n_rows++;
        *group = (struct report_row){.kind = row->kind};
        for (size_t i = 0; i < to->query.n_by; i++) {
            group->values[i] = row->values[at[i]];
        }
    }
    return group;
}

int top_fold(const struct report *from, const enum report_dim *dims, size_t n, struct arena *a,
             struct report *ret)
{
    size_t at[DIM_COUNT];
    if (n > DIM_COUNT || !find_dims(from, dims, n, at)) {
        return -EINVAL;
    }
    struct buf key;
    struct intern *keys = intern_new();
    buf_init(&key, KEY_MAX);
    *ret = *from;
    memcpy(ret->query.by, dims, n * sizeof(*dims));
    ret->query.n_by = n;
    ret->rows = arena_alloc(a, (from->n_rows + 1) * sizeof(*ret->rows));
    ret->n_rows = 0;
    for (size_t i = 0; i < from->n_rows; i++) {
        const struct report_row *row = &from->rows[i];
        sums_add(&group_of(keys, &key, ret, row, at)->sums, &row->sums);
    }
    buf_done(&key);
    intern_free(keys);
    report_spread_loaded(ret);
    return 0;
}
