// Windows that are not computed yet, as they stand: all of them, or those that may have changed
// since they were told last. Evidence changes no time before the evidence that precedes it on its
// GPU, so that where records come about in order, what changes is the end.

#include "base/time.h"
#include "cost/engine_impl.h"

enum { TAIL_LOOK = 64 }; // samples that are not sorted yet: so many are looked at

// ---- from when on something may have changed ---------------------------------------------------

static void changed_from(struct engine *e, int64_t t)
{
    e->changed_from = MIN(e->changed_from, t);
}

void engine_tell_all(struct engine *e)
{
    e->changed_from = INT64_MIN;
    e->telling.from = INT64_MAX;
    e->telling.begun = false;
}

static bool all_changed(const struct engine *e)
{
    return e->changed_from <= e->frontier;
}

static int64_t longest_gap(const struct engine *e)
{
    int64_t gap = 0;
    for (size_t i = 0; i < e->settings->n; i++) {
        gap = MAX(gap, e->settings->epochs[i].max_gap_ns);
    }
    return gap;
}

// The newest sample before `t` that a short look finds, but not further back than neighbours
// matter: what is billed, at which price, and what is covered before it does not depend on evidence
// at `t`.
static int64_t sample_before(const struct engine *e, const struct gpu *g, int64_t t)
{
    int64_t best = t - engine_reach(e);
    for (size_t i = g->n_samples; i > g->sorted_samples && g->n_samples - i < TAIL_LOOK; i--) {
        if (g->samples[i - 1].ts < t) {
            best = MAX(best, g->samples[i - 1].ts);
        }
    }
    size_t low = 0, high = g->sorted_samples;
    while (low < high) { // the first that is not before t
        size_t middle = low + (high - low) / 2;
        if (g->samples[middle].ts < t) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 ? MAX(best, g->samples[low - 1].ts) : best;
}

void preview_note_sample(struct engine *e, const struct gpu *g, const struct sample *s)
{
    if (all_changed(e)) {
        return;
    }
    changed_from(e, sample_before(e, g, s->ts));
    if (s->site != NO_TEXT) { // a window looks ahead for that
        changed_from(e, s->ts - longest_gap(e));
    }
}

void preview_note_use(struct engine *e, const struct gpu *g, int64_t start)
{
    if (!all_changed(e)) {
        changed_from(e, sample_before(e, g, start));
    }
}

void preview_note_unplaced(struct engine *e, int64_t end)
{
    changed_from(e, end - 1);
}

// ---- telling -----------------------------------------------------------------------------------

static int64_t first_open(const struct engine *e)
{
    return e->frontier != INT64_MIN ? e->frontier : engine_window_floor(e, MAX(e->oldest, 0));
}

// What no whole window ends after.
static int64_t end_of(const struct engine *e)
{
    int64_t newest = e->newest + 1, floor = engine_window_floor(e, newest);
    return floor == newest ? newest : floor + settings_at(e->settings, newest)->window_ns;
}

static void forget_unpriced(struct engine *e)
{
    for (size_t i = 0; i < e->n_gpus; i++) {
        for (size_t j = e->gpus[i]->head_uses; j < e->gpus[i]->n_uses; j++) {
            e->gpus[i]->uses[j].request->unpriced_ahead = false;
        }
    }
    e->unpriced_ahead = false;
}

void engine_preview(struct engine *e, const struct engine_sink *sink)
{
    if (e->newest != INT64_MIN) {
        forget_unpriced(e);
        e->rows_left = SIZE_MAX;
        (void)engine_compute_stretches(e, first_open(e), end_of(e), false, sink);
    }
}

// Where to begin. A request that has time without a price counts as unpriced in the window where it
// ends, which may be another one: then all are computed. What changes while windows are told is for
// the next time, or where much comes late there would be no end of it.
static void begin_telling(struct engine *e)
{
    int64_t open = first_open(e), since = e->changed_from;
    struct telling *t = &e->telling;
    if (t->from != INT64_MAX) { // it goes on
        t->begun &= t->from >= open;
        t->from = MAX(t->from, open);
        return;
    }
    e->changed_from = INT64_MAX;
    if (since > open && !e->unpriced_ahead) {
        t->from = engine_window_floor(e, since);
    } else {
        forget_unpriced(e);
        t->from = open;
    }
}

// Windows without anything are passed over: there may be very many.
static void go_to_next(struct engine *e, const struct settings *settings, int64_t stretch_end)
{
    struct telling *t = &e->telling;
    t->from += settings->window_ns;
    if (t->found.n_rows == 0 && t->from < stretch_end) {
        t->from = engine_next_window(e, t->from, stretch_end, settings);
    }
}

bool engine_preview_changed(struct engine *e, size_t work, const struct engine_sink *sink)
{
    struct telling *t = &e->telling;
    if (e->newest == INT64_MIN || MIN(e->changed_from, t->from) == INT64_MAX) {
        return false;
    }
    begin_telling(e);
    int64_t end = end_of(e), stretch_end;
    while (work > 0 && t->from < end &&
           (stretch_end = engine_stretch_end(e, t->from, end)) > t->from) {
        const struct settings *settings = settings_at(e->settings, t->from);
        if (!engine_tell_window(e, settings, &work, sink)) {
            return true;
        }
        go_to_next(e, settings, stretch_end);
    }
    if (t->from < end && work == 0) {
        return true;
    }
    t->from = INT64_MAX;
    return false;
}
