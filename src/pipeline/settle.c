#include "pipeline/settle.h"

#include "base/time.h"

enum { SLICE_RECORDS = 200000 };

int64_t settle_slice(const struct store_info *info, const struct settings *s)
{
    int64_t records = info->samples + info->usages;
    if (records <= SLICE_RECORDS || info->last <= info->first) {
        return NS_PER_DAY;
    }
    double span = (double)(info->last - info->first);
    double slice = span * SLICE_RECORDS / (double)records;
    if (slice >= (double)NS_PER_DAY) {
        return NS_PER_DAY;
    }
    return MAX(s->window_ns, time_floor((int64_t)slice, s->window_ns));
}

size_t rows_different(const struct derive_window *w, size_t *ret_equal)
{
    size_t i = 0, j = 0, different = 0, equal = 0;
    while (i < w->n_derived || j < w->n_stored) {
        int c = i == w->n_derived  ? 1
                : j == w->n_stored ? -1
                                   : window_row_cmp(&w->derived[i], &w->stored[j]);
        bool same = c == 0 && w->stored[j].final && window_row_same(&w->derived[i], &w->stored[j]);
        equal += same;
        different += !same;
        i += c <= 0;
        j += c >= 0;
    }
    if (ret_equal) {
        *ret_equal = equal;
    }
    return different;
}

static int32_t newest_revision(const struct derive_window *w)
{
    int32_t newest = 1; // the window was final, if only by having no rows
    for (size_t i = 0; i < w->n_stored; i++) {
        newest = MAX(newest, w->stored[i].revision);
    }
    return newest;
}

// The stored row of this key, looking from *at on: both sides are in canonical order.
static const struct window_row *stored_row(const struct derive_window *w,
                                           const struct window_row *key, size_t *at)
{
    int c = 1;
    while (*at < w->n_stored && (c = window_row_cmp(key, &w->stored[*at])) > 0) {
        (*at)++;
    }
    return *at < w->n_stored && c == 0 ? &w->stored[*at] : NULL;
}

void settle_window(struct outbox *o, const struct derive_window *w)
{
    if (rows_different(w, NULL) == 0) {
        return;
    }
    int32_t revision = newest_revision(w) + 1;
    size_t at = 0;
    outbox_add_window(o, w->start, w->end);
    outbox_mark_settled(o);
    for (size_t i = 0; i < w->n_derived; i++) {
        struct window_row row = w->derived[i];
        const struct window_row *old = stored_row(w, &row, &at);
        bool same = old && old->final && window_row_same(old, &row);
        row.revision = same ? old->revision : revision;
        outbox_add_row(o, &row);
    }
}

void settle_cost(struct outbox *o, const struct usage_cost *derived,
                 const struct usage_cost *stored)
{
    if (stored->final && usage_cost_same(derived, stored)) {
        return;
    }
    struct usage_cost cost = *derived;
    cost.late = !stored->final || stored->late; // without a final cost by now, it came late
    cost.revision = stored->final ? stored->revision + 1 : 1;
    outbox_add_cost(o, &cost);
}

struct settlement {
    struct outbox *outbox;
    struct engine *live;
    const struct derive_visitor *asked; // the caller's: it is told of progress
};

static void on_window(void *ctx, const struct derive_window *w)
{
    settle_window(((struct settlement *)ctx)->outbox, w);
}

static void on_cost(void *ctx, const struct usage_cost *derived, const struct usage_cost *stored)
{
    settle_cost(((struct settlement *)ctx)->outbox, derived, stored);
}

static void on_partial(void *ctx, const struct usage_cost *sums)
{
    struct settlement *s = ctx;
    if (s->live) {
        (void)engine_set_partial(s->live, sums);
    }
}

static void on_progress(void *ctx, int64_t done)
{
    struct settlement *s = ctx;
    if (s->asked->progress) {
        s->asked->progress(s->asked->ctx, done);
    }
}

int settle_range(const struct derive_config *range, struct engine *live, struct outbox *o,
                 struct derivation **ret_keep, struct error *err)
{
    struct settlement s = {.outbox = o, .live = live, .asked = &range->visitor};
    struct derive_config c = *range;
    c.to_request_ends = true;
    c.visitor.window = on_window;
    c.visitor.cost = on_cost;
    c.visitor.partial = on_partial;
    c.visitor.progress = on_progress;
    c.visitor.ctx = &s;
    o->shard = c.shard;
    return derive(&c, ret_keep, err);
}
